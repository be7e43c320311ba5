"""People as sign-in providers know them: which account they get, once, and which they never get."""

from __future__ import annotations

import pytest
from store_samples import at_once

from assent.core.errors import StoreError
from assent.feedback.people.identities import FAILURES, Newcomers, NotLetIn
from assent.feedback.people.sign_in import WINDOW, TooManyAttempts
from assent.feedback.records.people import Account, Identity, clean_email
from assent.feedback.store import Store

NOW = 1_800_000_000.0
ISSUER = "https://login.example.org"
ANNA = Identity(ISSUER, "sub-anna", "anna@example.org")


def _account(store: Store, login: str, email: str | None = None) -> Account:
    account = store.accounts.create(login, "rater", now=NOW)
    return store.accounts.set_email(account.rater_id, email)


def _reason(store: Store, who: Identity) -> str:
    with pytest.raises(NotLetIn) as refused:
        store.accounts.identities.enter(who, now=NOW)
    return refused.value.reason


def test_the_first_time_the_address_decides_and_then_the_subject_alone(store: Store) -> None:
    anna = _account(store, "anna", "Anna@Example.org")
    enter = store.accounts.identities.enter
    assert enter(ANNA, now=NOW).rater_id == anna.rater_id
    store.accounts.set_email(anna.rater_id, None)
    ben = _account(store, "ben", "anna@example.org")
    assert enter(ANNA, now=NOW).rater_id == anna.rater_id
    assert store.accounts.identities.of(anna.rater_id) == [Identity(ISSUER, "sub-anna")]
    assert enter(Identity("https://other.example", "sub-anna", "anna@example.org"), now=NOW).rater_id == ben.rater_id


def test_a_name_that_somebody_chose_is_no_address(store: Store) -> None:
    store.accounts.create("anna@example.org", "rater", now=NOW)
    assert _reason(store, ANNA) == "unknown"
    assert _reason(store, Identity(ISSUER, "s")) == "unverified"


def test_an_address_that_went_to_a_new_person_opens_nothing(store: Store) -> None:
    anna = _account(store, "anna", "anna@example.org")
    store.accounts.identities.enter(ANNA, now=NOW)
    assert _reason(store, Identity(ISSUER, "sub-new", "anna@example.org")) == "other_person"
    store.accounts.identities.unlink(anna.rater_id)
    assert store.accounts.identities.enter(ANNA, now=NOW).rater_id == anna.rater_id


@pytest.mark.parametrize("is_linked", [True, False])
def test_a_disabled_account_stays_out(store: Store, is_linked: bool) -> None:
    anna = _account(store, "anna", "anna@example.org")
    if is_linked:
        store.accounts.identities.enter(ANNA, now=NOW)
    store.accounts.change(anna.rater_id, is_disabled=True, now=NOW)
    assert _reason(store, ANNA) == "disabled"
    assert bool(store.accounts.identities.of(anna.rater_id)) == is_linked


def test_an_invitation_to_an_address_makes_the_account_once(store: Store) -> None:
    invitations, enter = store.accounts.invitations, store.accounts.identities.enter
    invitations.add("adjudicator", project="a", email="Anna@example.org", now=NOW)
    invitations.add("admin", project="b", email="anna@example.org", now=NOW)
    over = invitations.add("rater", project="c", email="anna@example.org", lifetime=60, now=NOW - 61)
    account = enter(ANNA, now=NOW)
    assert (account.login, account.role, account.projects) == ("anna@example.org", "adjudicator", ("a", "b"))
    assert (account.email, account.has_password) == ("anna@example.org", False)
    assert [one.uses for one in invitations.all()] == [0, 1, 1] and over.kept.email == "anna@example.org"
    invitations.add("admin", project="d", email="anna@example.org", now=NOW)
    assert enter(ANNA, now=NOW).projects == ("a", "b", "d") and enter(ANNA, now=NOW).role == "adjudicator"


def test_unknown_people_get_an_account_only_where_that_is_said(store: Store) -> None:
    assert _reason(store, ANNA) == "unknown"
    enter = store.accounts.identities.enter
    made = enter(ANNA, newcomers=Newcomers(("p",)), locale="de", now=NOW)
    assert (made.role, made.projects, made.locale) == ("rater", ("p",), "de")
    store.accounts.create("ben@example.org", "rater", now=NOW)
    other = enter(Identity(ISSUER, "b", "ben@example.org"), newcomers=Newcomers(), now=NOW)
    assert other.login.startswith("person-") and other.email == "ben@example.org" and other.projects is None
    nameless = enter(Identity(ISSUER, "c"), newcomers=Newcomers(), now=NOW)
    assert nameless.email is None and enter(Identity(ISSUER, "c"), now=NOW).rater_id == nameless.rater_id


def test_two_browsers_of_a_new_person_make_one_account(store: Store) -> None:
    enter = store.accounts.identities.enter
    made = at_once(6, lambda _: enter(ANNA, newcomers=Newcomers(), now=NOW))
    assert len({account.rater_id for account in made}) == 1 and len(store.accounts.all()) == 1


def test_somebody_who_is_signed_in_links_themselves_but_nobody_else(store: Store) -> None:
    anna, ben = _account(store, "anna"), _account(store, "ben")
    link = store.accounts.identities.link
    link(anna.rater_id, Identity(ISSUER, "a"), now=NOW)
    link(anna.rater_id, Identity(ISSUER, "a"), now=NOW)
    with pytest.raises(NotLetIn, match="another account here"):
        link(ben.rater_id, Identity(ISSUER, "a"), now=NOW)
    with pytest.raises(NotLetIn, match="another person of the provider"):
        link(anna.rater_id, Identity(ISSUER, "b"), now=NOW)
    assert store.accounts.identities.enter(Identity(ISSUER, "a"), now=NOW).rater_id == anna.rater_id


def test_failures_are_counted_by_network_and_success_forgets_them(store: Store) -> None:
    identities = store.accounts.identities
    _account(store, "anna", "anna@example.org")
    for _ in range(FAILURES):
        identities.admit("10.0.0.7", now=NOW)
    with pytest.raises(TooManyAttempts):
        identities.admit("10.0.0.7", now=NOW)
    identities.admit("10.0.0.8", now=NOW)
    identities.enter(ANNA, address="10.0.0.7", now=NOW)
    identities.admit("10.0.0.7", now=NOW)


def test_links_by_mail_are_few_for_an_address_and_for_a_network_whoever_is_known(store: Store) -> None:
    ask = store.accounts.admit_asking
    for n in range(3):
        ask("Nobody@example.org ", f"10.0.0.{n}", now=NOW)
    with pytest.raises(TooManyAttempts):
        ask("nobody@example.org", "10.0.1.1", now=NOW)
    for n in range(20):
        ask(f"{n}@example.org", "10.9.9.9", now=NOW)
    with pytest.raises(TooManyAttempts):
        ask("more@example.org", "10.9.9.9", now=NOW)
    ask("nobody@example.org", "10.0.1.1", now=NOW + WINDOW + 1)


def test_an_address_belongs_to_one_account_and_goes_when_it_is_erased(store: Store) -> None:
    anna, ben = _account(store, "anna", "anna@example.org"), _account(store, "ben")
    with pytest.raises(StoreError, match="another account"):
        store.accounts.set_email(ben.rater_id, "ANNA@example.org")
    store.accounts.identities.enter(ANNA, now=NOW)
    store.accounts.invitations.add("rater", email="anna@example.org", note="for Anna", now=NOW)
    store.erase_rater(anna.rater_id, now=NOW)
    assert store.accounts.by_email("anna@example.org") is None and store.accounts.identities.of(anna.rater_id) == []
    assert [(one.email, one.note) for one in store.accounts.invitations.all()] == [(None, "")]
    assert store.accounts.set_email(ben.rater_id, "anna@example.org").email == "anna@example.org"


def test_joining_by_an_addressed_link_takes_the_address_and_one_person_only(store: Store) -> None:
    invitations = store.accounts.invitations
    with pytest.raises(StoreError, match="one address for 2 people"):
        invitations.add("rater", email="anna@example.org", max_uses=2, now=NOW)
    token = invitations.add("rater", email="anna@example.org", now=NOW).token
    joined = invitations.join(token, login="anna", now=NOW)
    assert joined is not None and joined.email == "anna@example.org"
    again = invitations.add("rater", email="anna@example.org", now=NOW).token
    with pytest.raises(StoreError, match="another account"):
        invitations.join(again, login="impostor", now=NOW)
    assert [account.login for account in store.accounts.all()] == ["anna"]


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (" Anna.B+x@Example.ORG ", "anna.b+x@example.org"),
        ("root@localhost", "root@localhost"),
        ("anna@example.org\nBcc: eve@example.org", None),
        ("anna@example.org, eve@example.org", None),
        ("Anna <anna@example.org>", None),
        ("anna@@example.org", None),
        ("anna@-example.org", None),
        ("аnna@example.org", None),  # a Cyrillic а
        ("\u212aim@example.org", None),  # the sign for kelvin, a k in small letters
        ("anna", None),
        ("a" * 250 + "@example.org", None),
    ],
)
def test_only_plain_addresses_are_kept(written: str, kept: str | None) -> None:
    assert clean_email(written) == kept
