"""Accounts in both databases: last places, limits and sessions under many hands, and what erasing takes along."""

from __future__ import annotations

import pytest
from store_samples import at_once

from assent.core.errors import StoreError
from assent.feedback.people.profiles import Told
from assent.feedback.people.sign_in import PER_LOGIN_AND_NETWORK, TooManyAttempts
from assent.feedback.store import Store

NOW = 1_800_000_000.0
PASSWORD = "four words in a row"


def test_the_last_places_of_an_invitation_go_to_as_many_people(store: Store) -> None:
    token = store.accounts.invitations.add("rater", project="p", max_uses=3, now=NOW).token
    made = at_once(8, lambda n: store.accounts.invitations.join(token, login=f"guest-{n}", now=NOW))
    assert sum(account is not None for account in made) == 3
    assert [(i.uses, i.is_open(NOW)) for i in store.accounts.invitations.all(project="p")] == [(3, False)]
    assert len(store.accounts.all()) == 3


def test_a_link_lets_one_of_many_in(store: Store) -> None:
    account = store.accounts.create("anna", "rater", now=NOW)
    token = store.accounts.new_link(account.rater_id, now=NOW)
    assert sum(one == account for one in at_once(8, lambda _: store.accounts.use_link(token, now=NOW))) == 1


def test_a_login_is_given_once_however_it_is_written(store: Store) -> None:
    made = at_once(6, lambda n: store.accounts.create("Anna" if n % 2 else "anna ", "rater", now=NOW))
    assert sum(not isinstance(one, Exception) for one in made) == 1
    with pytest.raises(StoreError, match="is taken"):
        store.accounts.create("\uff21nna", "rater", now=NOW)  # a full-width A


def test_guesses_are_counted_together_whoever_makes_them_at_once(store: Store) -> None:
    store.accounts.create("anna", "rater", password=PASSWORD, now=NOW)
    guesses = at_once(14, lambda n: store.accounts.check_password("anna", f"guess {n}", address="a", now=NOW))
    assert sum(guess is None for guess in guesses) == PER_LOGIN_AND_NETWORK
    assert sum(isinstance(guess, TooManyAttempts) for guess in guesses) == 14 - PER_LOGIN_AND_NETWORK
    assert store.accounts.check_password("anna", PASSWORD, address="b", now=NOW) is not None
    with pytest.raises(TooManyAttempts) as refused:
        store.accounts.check_password("anna", PASSWORD, address="a", now=NOW + 600)
    assert refused.value.retry_after == 300
    assert store.accounts.check_password("anna", PASSWORD, address="a", now=NOW + 901) is not None


def test_sessions_roll_on_and_end(store: Store) -> None:
    account = store.accounts.create("anna", "rater", projects=("p",), now=NOW)
    token = store.accounts.start_session(account.rater_id, lifetime=100_000, now=NOW)
    assert store.accounts.session(token, now=NOW + 90_000) == account
    assert store.accounts.session(token, now=NOW + 180_000) == account
    assert store.accounts.session(token, now=NOW + 290_000) is None
    store.accounts.start_session(account.rater_id, now=NOW)
    assert store.accounts.end_everywhere(account.rater_id, now=NOW) == 2
    assert store.accounts.session(token, now=NOW + 180_001) is None


def test_erasing_a_rater_takes_account_sessions_links_tokens_and_profile_along(store: Store) -> None:
    account = store.accounts.create("anna", "rater", password=PASSWORD, projects=("p", "q"), now=NOW)
    session = store.accounts.start_session(account.rater_id, now=NOW)
    link = store.accounts.new_link(account.rater_id, now=NOW)
    token = store.accounts.tokens.add(account.rater_id, "t", now=NOW).token
    store.accounts.profiles.tell(account.rater_id, {"region": Told("north", "v1")})
    store.erase_rater(account.rater_id, now=NOW)
    assert store.accounts.all() == [] and store.accounts.tokens.all() == []
    assert store.accounts.session(session, now=NOW) is None
    assert store.accounts.link(link, now=NOW) is None
    assert store.accounts.tokens.account(token, now=NOW) is None
    assert store.raters() == []
    assert store.accounts.create("anna", "rater", now=NOW).rater_id != account.rater_id


@pytest.mark.parametrize("text", ["a\x00b", "", "x" * 300, "a b", "<b>", "\u202eabc", "\ud800x"])
def test_logins_that_no_database_or_reader_could_bear_are_refused(store: Store, text: str) -> None:
    with pytest.raises(StoreError, match="cannot be used"):
        store.accounts.create(text, "rater", now=NOW)


def test_tokens_of_any_shape_are_looked_up_and_not_found(store: Store) -> None:
    for token in ("", "x", "\x00", "\ud800", "' OR 1=1 --", "x" * 10_000):
        assert store.accounts.session(token, now=NOW) is None
        assert store.accounts.link(token, now=NOW) is None
        assert store.accounts.invitations.find(token, now=NOW) is None
        assert store.accounts.tokens.account(token, now=NOW) is None


@pytest.mark.parametrize("password", ["short", "x" * 201, ""])
def test_passwords_have_a_length(store: Store, password: str) -> None:
    with pytest.raises(StoreError, match="between 12 and 200"):
        store.accounts.create("anna", "rater", password=password, now=NOW)
    assert store.accounts.all() == []


def test_what_is_told_needs_consent(store: Store) -> None:
    account = store.accounts.create("anna", "rater", now=NOW)
    with pytest.raises(StoreError, match="needs consent"):
        store.accounts.profiles.tell(account.rater_id, {"region": Told("north", "")})
    assert store.accounts.profiles.told(account.rater_id) == {}
