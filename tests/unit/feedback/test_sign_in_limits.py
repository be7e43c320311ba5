"""Who is kept out by whose guesses: networks count as one, and nobody keeps others out of their accounts."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from assent.core.errors import StoreError
from assent.feedback.people.passwords import is_guessed
from assent.feedback.people.sign_in import PER_LOGIN, PER_REGION, TooManyAttempts, networks
from assent.feedback.store import Store
from assent.feedback.tables.connection import connect, read_transaction
from assent.feedback.tables.people import SignInAttempt, SignInPlace

NOW, PASSWORD = 1_800_000_000.0, "four words in a row"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hash that is compared at once: what is counted here is attempts."""
    monkeypatch.setattr("assent.feedback.people.accounts.is_password", lambda given, kept: given == PASSWORD)


def _tries(store: Store, login: str, addresses: list[str], password: str = "wrong") -> list[str]:
    said = []
    for address in addresses:
        try:
            found = store.accounts.check_password(login, password, address=address, now=NOW)
            said.append("in" if found else "wrong")
        except TooManyAttempts:
            said.append("limited")
    return said


def test_one_ipv6_line_is_one_address(store: Store) -> None:
    store.accounts.create("anna", "rater", password=PASSWORD, now=NOW)
    said = _tries(store, "anna", [f"2001:db8:9:9::{n:x}" for n in range(1, 14)])
    assert said == ["wrong"] * 10 + ["limited"] * 3
    assert _tries(store, "anna", ["2001:db8:9:a::1", "192.0.2.1"], PASSWORD) == ["in", "in"]


def test_a_whole_site_is_stopped_later(store: Store) -> None:
    said = _tries(store, "nobody-x", [])
    for n in range(PER_REGION + 2):
        said += _tries(store, f"name-{n}", [f"2001:db8:9:{n:x}::1"])
    assert said == ["wrong"] * PER_REGION + ["limited"] * 2
    assert _tries(store, "name", ["2001:db8:a::1"]) == ["wrong"]


def test_guesses_from_everywhere_do_not_keep_the_owner_out_of_where_they_come_in(store: Store) -> None:
    store.accounts.create("anna", "rater", password=PASSWORD, now=NOW)
    assert _tries(store, "anna", ["192.0.2.77"], PASSWORD) == ["in"]
    said = _tries(store, "anna", [f"198.51.{n // 250}.{n % 250}" for n in range(PER_LOGIN + 5)])
    assert said == ["wrong"] * PER_LOGIN + ["limited"] * 5
    assert _tries(store, "anna", ["192.0.2.77"], PASSWORD) == ["in"]
    assert _tries(store, "anna", ["203.0.113.5"], PASSWORD) == ["limited"]


@pytest.mark.parametrize(
    ("address", "line", "site"),
    [
        ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/64", "fe80::/48"),
        ("unknown", "unknown", "unknown"),
    ],
)
def test_networks(address: str, line: str, site: str) -> None:
    assert networks(address) == (line, site)


def test_what_is_counted_is_hashed_with_a_key_of_the_store_and_goes_in_time(store: Store, empty_url: str) -> None:
    """The same address has another hash in another store, and a guess of it proves nothing."""
    from assent.core.hashing import hash_bytes

    store.accounts.create("anna", "rater", password=PASSWORD, now=NOW)
    _tries(store, "anna", ["192.0.2.1"])
    _tries(store, "anna", ["192.0.2.9"], PASSWORD)
    keys = _keys(store)
    assert keys and not keys & {hash_bytes(f"{what} 192.0.2.1".encode()) for what in ("address", "network")}
    store.accounts.tidy(now=NOW + 901)
    assert len(_keys(store)) == 1  # the place from which anna came in
    store.accounts.tidy(now=NOW + 91 * 86_400)
    assert _keys(store) == set()


def _keys(store: Store) -> set[str]:
    engine = store._engine
    with read_transaction(engine) as connection:
        found = [*connection.execute(select(SignInAttempt.key)), *connection.execute(select(SignInPlace.key))]
    return {row.key for row in found}


def test_a_place_goes_with_its_account(store: Store) -> None:
    account = store.accounts.create("anna", "rater", password=PASSWORD, now=NOW)
    _tries(store, "anna", ["192.0.2.9"], PASSWORD)
    store.erase_rater(account.rater_id, now=NOW)
    assert _keys(store) == set()


COMMON = ["123456789012", "password1234", "qwertyuiop12", "aaaaaaaaaaaa", "iloveyou1234", " " * 12, "P@ssw0rd2024!"]
COMMON += [
    "abcabcabcabc",
    "1q2w3e4r5t6y",
    "letmein12345",
    "assentassent",
    "Summer2026!!",
    "annabell1234",
    "annabellannabell",
]


@pytest.mark.parametrize("password", COMMON)
def test_passwords_that_are_guessed_first_are_refused(store: Store, password: str) -> None:
    with pytest.raises(StoreError, match="guessed first"):
        store.accounts.create("annabell", "rater", password=password, now=NOW)


@pytest.mark.parametrize("password", [PASSWORD, "Tr0ub4dor&3xyz", "x9$kLm2!qRt7", "これは長いパスワードです"])
def test_passwords_of_some_thought_are_taken(password: str) -> None:
    assert not is_guessed(password, "annabell")


@pytest.mark.parametrize("login", ["admin\u00ad", "ad\u2060min", "a\ufeffdmin"])
def test_logins_with_signs_that_nobody_sees_are_refused(store: Store, login: str) -> None:
    with pytest.raises(StoreError, match="cannot be used"):
        store.accounts.create(login, "rater", now=NOW)


def test_logins_of_mixed_alphabets_are_marked(store: Store) -> None:
    logins = {"аdmin": True, "admin": False, "анна": False, "山田たろう": False, "anna-7": False}
    made = {login: store.accounts.create(login, "rater", now=NOW).is_mixed for login in logins}
    assert made == logins


def test_two_admins_who_erase_each_other_at_once_leave_one(store: Store) -> None:
    from store_samples import at_once

    admins = [store.accounts.create(f"admin-{n}", "admin", now=NOW).rater_id for n in range(4)]
    done = at_once(4, lambda n: store.erase_rater(admins[n], now=NOW))
    assert sum(isinstance(one, Exception) for one in done) == 1
    assert len(store.accounts.all()) == 1


def test_an_erased_person_is_in_no_note_of_a_used_invitation(store: Store) -> None:
    token = store.accounts.invitations.add("rater", note="for Anna Example", now=NOW).token
    store.accounts.invitations.add("rater", note="open still", now=NOW)
    account = store.accounts.invitations.join(token, login="anna", now=NOW)
    assert account is not None
    store.erase_rater(account.rater_id, now=NOW)
    assert [one.note for one in store.accounts.invitations.all()] == ["open still", ""]


def test_the_first_admin_finds_a_free_login(store: Store) -> None:
    store.accounts.create("admin", "rater", now=NOW)
    assert store.accounts.first_admin(now=NOW) is not None
    assert [(a.login, a.role) for a in store.accounts.all()] == [("admin", "rater"), ("admin-2", "admin")]


def test_a_taken_login_costs_no_hash(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.accounts.create("anna", "rater", now=NOW)
    token = store.accounts.invitations.add("rater", now=NOW).token
    monkeypatch.setattr("assent.feedback.people.invitations.hash_password", lambda *a, **k: pytest.fail("hashed"))
    with pytest.raises(StoreError, match="is taken"):
        store.accounts.invitations.join(token, login="anna", password=PASSWORD, now=NOW)


def test_joining_is_counted_by_network(store: Store) -> None:
    for _ in range(60):
        store.accounts.admit_joining("2001:db8::1", now=NOW)
    with pytest.raises(TooManyAttempts):
        store.accounts.admit_joining("2001:db8::2", now=NOW)
    store.accounts.admit_joining("192.0.2.1", now=NOW)
    store.accounts.joined("2001:db8::3")
    store.accounts.admit_joining("2001:db8::4", now=NOW)


def test_a_store_is_for_its_owner_alone(tmp_path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "a" / "ratings.db"
    with Store.open(f"sqlite:///{file}") as opened:
        opened.accounts.create("anna", "rater", now=NOW)
        modes = {path.name: path.stat().st_mode & 0o777 for path in file.parent.iterdir()}
    assert modes == dict.fromkeys(("ratings.db", "ratings.db-wal", "ratings.db-shm"), 0o600)


def test_an_error_about_a_store_hides_its_password() -> None:
    for url in ("postgresql://a:S3cret@@@host:port/x", "mysql://a:S3cret@host/x", "nonsense?password=S3cret&y"):
        with pytest.raises(StoreError) as refused:
            connect(url)
        assert "S3cret" not in str(refused.value)
