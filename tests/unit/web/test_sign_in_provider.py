"""Signing in by a provider: who comes in, with which account, and every word of it that must be right."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from joserfc.jwk import RSAKey
from rating_visitors import PAGE, Clock, House, Visitor
from small_provider import CLIENT, SECRET, SmallProvider, running

from assent.feedback.records.people import Account
from assent.web import trail
from assent.web.entry.config import ProviderConfig, SignInConfig
from assent.web.entry.oidc import AGAIN_SECONDS, KEPT_SECONDS, PAUSE

BASE = "http://testserver"
CALLBACK = "/sign-in/provider/callback"


@dataclass
class Doors:
    """The service beside its provider."""

    house: House
    provider: SmallProvider
    visitors: list[Visitor] = field(default_factory=list)

    def account(self, login: str = "anna", email: str | None = "anna@example.org") -> Account:
        """An account with an address."""
        made = self.house.store.accounts.create(login, "rater", now=self.house.clock())
        return self.house.store.accounts.set_email(made.rater_id, email)

    def leave(self, visitor: Visitor, path: str = "/sign-in/provider") -> str:
        """Go to the provider; where it sends the browser back to."""
        gone = visitor.client.get(path, headers=PAGE, follow_redirects=False)
        assert gone.status_code == 303, gone.text
        assert gone.headers["location"].startswith(f"{self.provider.issuer}/authorize?")
        back = httpx2.get(gone.headers["location"], follow_redirects=False, trust_env=False).headers["location"]
        assert back.startswith(f"{BASE}{CALLBACK}?")
        return back.removeprefix(BASE)

    def come_back(self, visitor: Visitor, back: str) -> Any:
        """Come back to the service."""
        return visitor.client.get(back, headers={**PAGE, "sec-fetch-site": "cross-site"}, follow_redirects=False)

    def sign_in(self, visitor: Visitor | None = None, *, path: str = "/sign-in/provider") -> Any:
        """All of it; the last answer."""
        visitor = visitor or self.house.visitor()
        return self.come_back(visitor, self.leave(visitor, path))

    def refused(self, visitor: Visitor | None = None) -> str:
        """The reason in the log of a sign-in that must fail, and lets nobody in."""
        visitor = visitor or self.house.visitor()
        answer = self.sign_in(visitor)
        assert answer.status_code in (403, 502) and 'role="alert"' in answer.text, answer.text
        assert visitor.client.get("/me", headers=PAGE, follow_redirects=False).status_code == 303
        return self.logged()

    def logged(self) -> str:
        """What the newest event of a failed sign-in is about."""
        return self.house.store.events.find(what="sign_in.provider_failed", limit=1)[0].about


@contextlib.contextmanager
def _doors(folder: Path, *, base_url: str = BASE, **settings: Any) -> Iterator[Doors]:
    secret = folder / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    with running(Clock()) as provider:
        given = {"issuer": provider.issuer, "client_id": CLIENT, "client_secret_file": secret, "label": "the lab"}
        config = SignInConfig(provider=ProviderConfig.parse(given | settings))
        with House.open(f"sqlite:///{folder}/feedback.db", base_url=base_url, sign_in=config) as house:
            provider.clock = house.clock
            provider.claims = {"email": "anna@example.org", "email_verified": True}
            yield Doors(house, provider)


@pytest.fixture(autouse=True)
def _no_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    """All tests happen in one minute by their clocks, and a server keeps few failures of a minute."""
    monkeypatch.setattr(trail, "_FLOOD", trail._Flood())


@pytest.fixture
def doors(tmp_path: Path) -> Iterator[Doors]:
    with _doors(tmp_path) as opened:
        yield opened


def test_somebody_whose_address_the_provider_verified_comes_in_and_goes_on(doors: Doors) -> None:
    account, visitor = doors.account(), doors.house.visitor()
    page = visitor.page("/sign-in?next=/me")
    link = re.search(r'href="(/sign-in/provider\?next=[^"]*)"', page)
    assert link is not None and "Sign in with the lab" in page
    answer = doors.sign_in(visitor, path=link[1])
    assert (answer.status_code, answer.headers["location"]) == (303, "/me")
    assert account.rater_id in visitor.page("/me")
    (event,) = doors.house.store.events.find(what="sign_in.provider")
    assert (event.what, event.account) == ("sign_in.provider", account.rater_id)
    visitor.send_form("/sign-out")
    assert visitor.client.get("/me", headers=PAGE, follow_redirects=False).status_code == 303
    assert doors.house.store.accounts.tokens.all() == []


def test_the_settings_and_keys_of_the_provider_are_asked_for_once(doors: Doors) -> None:
    doors.account()
    for _ in range(3):
        assert doors.sign_in().status_code == 303
    fixed = [path for path in doors.provider.asked if path in ("/.well-known/openid-configuration", "/keys")]
    assert sorted(fixed) == ["/.well-known/openid-configuration", "/keys"]
    doors.house.clock.now += KEPT_SECONDS + 1
    assert doors.sign_in().status_code == 303
    assert doors.provider.asked.count("/keys") == 2


def test_a_new_key_of_the_provider_is_found_a_minute_later_at_most(doors: Doors) -> None:
    doors.account()
    assert doors.sign_in().status_code == 303
    doors.provider.key = RSAKey.generate_key(2048, {"kid": "two", "use": "sig"})
    assert doors.refused() == "invalid_key_id" and doors.provider.asked.count("/keys") == 1
    doors.house.clock.now += AGAIN_SECONDS + 1
    assert doors.sign_in().status_code == 303 and doors.provider.asked.count("/keys") == 2


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"nonce": "another"}, "invalid_claim_nonce"),
        ({"nonce": None}, "missing_claim_nonce"),
        ({"aud": "another"}, "invalid_claim_aud"),
        ({"aud": [CLIENT, "another"]}, "missing_claim_azp"),
        ({"aud": [CLIENT, "another"], "azp": "another"}, "invalid_claim_azp"),
        ({"iss": "https://elsewhere.example"}, "invalid_claim_iss"),
        ({"exp": None}, "missing_claim_exp"),
        ({"exp": 1_799_999_000}, "expired_token_exp"),
        ({"iat": 1_800_009_000}, "invalid_claim_iat"),
        ({"sub": None}, "missing_claim_sub"),
        ({"sub": ""}, "invalid_claim"),
        ({"sub": 7}, "invalid_claim_sub"),
        ({"at_hash": "AAAA"}, "invalid_claim_at_hash"),
        ({"email_verified": False}, "unverified"),
        ({"email_verified": None}, "unverified"),
        ({"email_verified": "yes"}, "unverified"),
        ({"email": "anna@example.org\r\nx"}, "unverified"),
        ({"email": "eve@example.org"}, "unknown"),
    ],
)
def test_a_word_that_is_not_right_lets_nobody_in(doors: Doors, claims: dict[str, Any], reason: str) -> None:
    doors.account()
    doors.provider.claims |= claims
    assert doors.refused() == reason


@pytest.mark.parametrize(
    ("algorithm", "reason"), [("none", "unsupported_algorithm"), ("HS256", "unsupported_algorithm")]
)
def test_a_word_that_nobody_or_everybody_can_sign_is_none(doors: Doors, algorithm: str, reason: str) -> None:
    doors.account()
    doors.provider.algorithm = algorithm
    assert doors.refused() == reason


def test_a_word_signed_by_somebody_else_under_the_same_name_is_none(doors: Doors) -> None:
    doors.account()
    doors.provider.published = [doors.provider.key]
    doors.provider.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
    assert doors.refused() == "bad_signature"


def test_what_comes_back_is_for_the_browser_that_began_and_for_once(doors: Doors) -> None:
    doors.account()
    visitor, other = doors.house.visitor(), doors.house.visitor()
    back = doors.leave(visitor)
    assert doors.come_back(other, back).status_code == 403 and doors.logged() == "state"
    doors.leave(other)
    assert doors.come_back(other, back).status_code == 403 and doors.logged() == "state"
    wrong = re.sub(r"state=[^&]*", "state=wrong", back)
    assert doors.come_back(visitor, wrong).status_code == 403
    assert doors.come_back(visitor, back).status_code == 403, "each is for once, also where it failed"
    back = doors.leave(visitor)
    assert doors.come_back(visitor, back).status_code == 303
    assert doors.come_back(visitor, back).status_code == 403 and doors.logged() == "state"


def test_a_code_is_used_once_also_by_who_kept_the_cookie(doors: Doors) -> None:
    doors.account()
    visitor = doors.house.visitor()
    back = doors.leave(visitor)
    kept = visitor.client.cookies["assent_sign_on"]
    assert doors.come_back(visitor, back).status_code == 303
    again = doors.house.visitor()
    again.client.cookies["assent_sign_on"] = kept
    answer = doors.come_back(again, back)
    assert answer.status_code == 403 and "invalid_grant" in answer.text and doors.logged() == "invalid_grant"


def test_a_sign_in_that_took_too_long_is_begun_again(doors: Doors) -> None:
    doors.account()
    visitor = doors.house.visitor()
    back = doors.leave(visitor)
    doors.house.clock.now += 601
    assert doors.come_back(visitor, back).status_code == 403 and doors.logged() == "late"


def test_errors_of_the_provider_are_shown_as_plain_text_to_who_began(doors: Doors) -> None:
    doors.provider.refuses = "access_denied"
    visitor = doors.house.visitor()
    answer = doors.sign_in(visitor)
    assert answer.status_code == 403 and "You said &lt;b&gt;no&lt;/b&gt;" in answer.text
    assert doors.logged() == "access_denied"
    planted = doors.come_back(doors.house.visitor(), f"{CALLBACK}?error=x&error_description=Call+0900&state=s")
    said = re.search(r'<p role="alert"[^>]*>(.*?)</p>', planted.text)
    assert planted.status_code == 403 and said is not None and "0900" not in said[1]


def test_an_answer_of_another_provider_is_refused(doors: Doors) -> None:
    doors.account()
    visitor = doors.house.visitor()
    back = re.sub(r"iss=[^&]*", "iss=https%3A%2F%2Felsewhere.example", doors.leave(visitor))
    assert doors.come_back(visitor, back).status_code == 403 and doors.logged() == "issuer"


def test_a_provider_that_calls_itself_otherwise_is_refused(doors: Doors) -> None:
    doors.provider.settings["issuer"] = "https://elsewhere.example"
    answer = doors.house.visitor().client.get("/sign-in/provider", headers=PAGE, follow_redirects=False)
    assert answer.status_code == 403 and doors.logged() == "issuer"


@pytest.mark.parametrize("address", ["javascript:alert(1)", "ftp://x.example/", "", None])
def test_an_address_of_the_provider_that_is_none_is_not_gone_to(doors: Doors, address: str | None) -> None:
    doors.provider.settings["authorization_endpoint"] = address
    answer = doors.house.visitor().client.get("/sign-in/provider", headers=PAGE, follow_redirects=False)
    assert answer.status_code == 403 and doors.logged() == "endpoint"


def test_a_provider_that_is_down_is_said_and_passwords_work_on(tmp_path: Path) -> None:
    with _doors(tmp_path) as doors:
        config = doors.house.app.state.context.provider.config
    with House.open(f"sqlite:///{tmp_path}/feedback.db", base_url=BASE, sign_in=SignInConfig(provider=config)) as house:
        answer = house.visitor().client.get("/sign-in/provider", headers=PAGE, follow_redirects=False)
        assert answer.status_code == 502 and "does not answer" in answer.text
        assert house.store.events.find(what="sign_in.provider_failed", limit=1)[0].about == "unreachable"
        house.store.accounts.create("anna", "rater", password="four words in a row", now=house.clock())
        visitor = house.visitor()
        assert "Sign in with the lab" in visitor.page("/sign-in")
        assert visitor.send_form("/sign-in", login="anna", password="four words in a row").status_code == 303


def test_a_provider_that_fails_is_left_alone_for_a_moment(doors: Doors) -> None:
    doors.account()
    doors.provider.is_broken = True
    statuses = [
        doors.house.visitor().client.get("/sign-in/provider", headers=PAGE, follow_redirects=False).status_code
        for _ in range(3)
    ]
    assert statuses == [502] * 3 and doors.provider.asked == ["/.well-known/openid-configuration"]
    doors.provider.is_broken = False
    doors.house.clock.now += PAUSE + 1
    assert doors.sign_in().status_code == 303


def test_below_a_path_people_leave_from_there_and_come_back_there(tmp_path: Path) -> None:
    with _doors(tmp_path, base_url=f"{BASE}/apps/rate") as doors:
        account, visitor = doors.account(), doors.house.visitor()
        page = visitor.client.get("/apps/rate/sign-in?next=/me", headers=PAGE).text
        assert 'href="/apps/rate/sign-in/provider?next=/me"' in page
        gone = visitor.client.get("/apps/rate/sign-in/provider?next=/me", headers=PAGE, follow_redirects=False)
        back = doors.provider.authorize(gone.headers["location"])
        assert back.startswith(f"{BASE}/apps/rate{CALLBACK}?") and "Path=/apps/rate/" in gone.headers["set-cookie"]
        answer = doors.come_back(visitor, back.removeprefix(BASE))
        assert (answer.status_code, answer.headers["location"]) == (303, "/apps/rate/me")
        assert account.rater_id in visitor.client.get("/apps/rate/me", headers=PAGE).text


def test_an_endless_or_slow_answer_is_given_up(doors: Doors) -> None:
    doors.provider.settings["padding"] = "x" * (1 << 21)
    answer = doors.house.visitor().client.get("/sign-in/provider", headers=PAGE, follow_redirects=False)
    assert answer.status_code == 502 and doors.logged() == "unreachable"


def test_a_disabled_account_stays_out(doors: Doors) -> None:
    account = doors.account()
    assert doors.sign_in().status_code == 303
    doors.house.store.accounts.change(account.rater_id, is_disabled=True, now=doors.house.clock())
    assert doors.refused() == "disabled"


def test_an_invited_person_gets_the_account_and_an_unknown_one_none(doors: Doors) -> None:
    assert doors.refused() == "unknown" and doors.house.store.accounts.all() == []
    doors.house.store.accounts.invitations.add(
        "adjudicator", project="p", email="anna@example.org", now=doors.house.clock()
    )
    visitor = doors.house.visitor()
    assert doors.sign_in(visitor).status_code == 303
    (account,) = doors.house.store.accounts.all()
    assert (account.role, account.projects, account.email) == ("adjudicator", ("p",), "anna@example.org")


def test_domains_decide_who_may_come_in_and_newcomers_become_raters(tmp_path: Path) -> None:
    settings = {"allow": ["Example.org", "boss@partner.example"], "newcomers": "rater", "newcomer_projects": ["p"]}
    with _doors(tmp_path, **settings) as doors:
        assert doors.sign_in().status_code == 303
        (account,) = doors.house.store.accounts.all()
        assert (account.role, account.projects, account.login) == ("rater", ("p",), "anna@example.org")
        for email in ("eve@sub.example.org", "eve@partner.example", "eve@evilexample.org", "example.org@x.example"):
            doors.provider.claims |= {"sub": email, "email": email}
            assert doors.refused() == "not_allowed"
        doors.provider.claims |= {"sub": "b", "email": "Boss@Partner.example"}
        assert doors.sign_in().status_code == 303
        doors.provider.claims |= {"sub": "sub-1", "email": "anna@example.org", "email_verified": False}
        assert doors.refused() == "not_allowed"


def test_addresses_that_only_the_userinfo_says_count_and_are_of_the_same_person(doors: Doors) -> None:
    doors.account()
    doors.provider.claims = {}
    doors.provider.userinfo = {"sub": "sub-1", "email": "Anna@example.org", "email_verified": True}
    assert doors.sign_in().status_code == 303
    doors.provider.userinfo = {"sub": "sub-2", "email": "anna@example.org", "email_verified": True}
    assert doors.refused() == "invalid_claim"


def test_who_is_signed_in_connects_the_provider_and_comes_in_by_it_afterwards(doors: Doors) -> None:
    doors.provider.claims = {"email_verified": False}
    person = doors.house.person("rater", "ben")
    page = person.send_form("/me/identities/new")
    link = re.search(r'href="(http[^"]*/authorize\?[^"]*)"', page.text)
    assert link is not None
    back = httpx2.get(link[1].replace("&amp;", "&"), follow_redirects=False, trust_env=False).headers["location"]
    answer = doors.come_back(person, back.removeprefix(BASE))
    assert (answer.status_code, answer.headers["location"]) == (303, "/me?changed=identity")
    assert "Disconnect the lab" in person.page("/me")
    visitor = doors.house.visitor()
    assert doors.sign_in(visitor).status_code == 303 and person.account is not None
    assert person.account.rater_id in visitor.page("/me")
    assert person.send_form("/me/identities/end").status_code == 303
    assert doors.refused() == "unverified"


def test_a_connection_that_somebody_else_finishes_is_refused(doors: Doors) -> None:
    ben, eve = doors.house.person("rater", "ben"), doors.house.person("rater", "eve")
    page = ben.send_form("/me/identities/new").text
    link = re.search(r'href="(http[^"]*/authorize\?[^"]*)"', page)
    assert link is not None
    back = doors.provider.authorize(link[1].replace("&amp;", "&")).removeprefix(BASE)
    eve.client.cookies["assent_sign_on"] = ben.client.cookies["assent_sign_on"]
    assert doors.come_back(eve, back).status_code == 403
    assert eve.account is not None and doors.house.store.accounts.identities.of(eve.account.rater_id) == []


def test_what_the_browser_keeps_cannot_be_written_by_hand(doors: Doors) -> None:
    """Else whoever found a screen open could connect themselves without the password."""
    ben = doors.house.person("rater", "ben")
    assert ben.account is not None
    back = doors.leave(ben)
    text, _, mark = ben.client.cookies["assent_sign_on"].partition(".")
    kept = json.loads(base64.urlsafe_b64decode(text))
    forged = base64.urlsafe_b64encode(json.dumps(kept | {"account": ben.account.rater_id}).encode()).decode()
    session = ben.client.cookies["assent_session"]
    for cookie in (f"{forged}.{mark}", forged, f"{forged}.", ".", "", f"{text}.{mark}x"):
        ben.client.cookies.clear()
        ben.client.cookies.update({"assent_session": session, "assent_sign_on": cookie})
        assert doors.come_back(ben, back).status_code == 403 and doors.logged() == "state"
    assert doors.house.store.accounts.identities.of(ben.account.rater_id) == []


def test_connecting_wants_the_password_where_there_is_one(doors: Doors) -> None:
    ben = doors.house.person("rater", "ben")
    ben.send_form("/me/password", new="four words in a row")
    ben.page("/me")
    assert ben.send_form("/me/identities/new", current="wrong").status_code == 403
    assert ben.send_form("/me/identities/new", current="four words in a row").status_code == 200


def test_nothing_of_the_address_asked_for_leaks_into_another(doors: Doors) -> None:
    gone = doors.house.visitor().client.get(
        "/sign-in/provider", params={"next": "//evil.example/"}, headers=PAGE, follow_redirects=False
    )
    query = parse_qs(urlsplit(gone.headers["location"]).query)
    assert query["redirect_uri"] == [BASE + CALLBACK] and len(query["nonce"][0]) >= 32 and len(query["state"][0]) >= 32
    assert not {"password", "client_secret"} & query.keys() and SECRET not in gone.text
