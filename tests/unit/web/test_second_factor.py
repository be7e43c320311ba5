"""The second factor: a code of an app beside the password and beside a link, each code once."""

from __future__ import annotations

import re

import pyotp
from rating_visitors import House, Visitor

PASSWORD = "four words in a row"


def _with_codes(house: House) -> tuple[Visitor, pyotp.TOTP]:
    """An admin who signs in with codes, and their app."""
    admin = house.person("admin", "boss")
    assert admin.send_form("/me/password", new=PASSWORD).status_code == 303
    admin.page("/me")
    page = admin.send_form("/me/second-factor/new", current=PASSWORD)
    secret = re.search(r'name="secret" value="(\w+)"', page.text)
    assert secret is not None and "otpauth://totp/Assent:boss?secret=" in page.text
    app = pyotp.TOTP(secret[1])
    wrong = admin.send_form("/me/second-factor", current=PASSWORD, secret=secret[1], code="000000")
    assert wrong.status_code == 422
    code = app.at(house.clock())
    done = admin.send_form("/me/second-factor", current=PASSWORD, secret=secret[1], code=code)
    assert done.status_code == 303
    return admin, app


def _sign_in(house: House, code: str, password: str = PASSWORD) -> int:
    visitor = house.visitor()
    visitor.page("/sign-in")
    status: int = visitor.send_form("/sign-in", login="boss", password=password, code=code).status_code
    return status


def test_a_password_alone_opens_nothing_and_a_code_opens_once(house: House) -> None:
    _, app = _with_codes(house)
    house.clock.now += 120
    code = app.at(house.clock())
    assert [_sign_in(house, given) for given in ("", "123", code, code)] == [401, 401, 303, 401]
    assert _sign_in(house, app.at(house.clock() - 120)) == 401
    house.clock.now += 60
    assert _sign_in(house, app.at(house.clock()), "another password, wrong") == 401
    assert _sign_in(house, f" {app.at(house.clock())[:3]} {app.at(house.clock())[3:]} ") == 303


def test_codes_are_not_guessed_with_the_right_password_either(house: House) -> None:
    _with_codes(house)
    house.clock.now += 120
    assert [_sign_in(house, f"{n:06}") for n in range(11)] == [401] * 10 + [429]


def test_a_link_wants_the_code_too_and_is_not_used_up_without(house: House) -> None:
    admin, app = _with_codes(house)
    house.clock.now += 120
    assert admin.account is not None
    token = house.store.accounts.new_link(admin.account.rater_id, now=house.clock())
    visitor = house.visitor()
    assert 'name="code"' in visitor.page(f"/enter/{token}")
    assert visitor.send_form(f"/enter/{token}", code="111111").status_code == 401
    assert visitor.send_form(f"/enter/{token}", code=app.at(house.clock())).status_code == 303


def test_whoever_lost_the_app_is_helped_by_an_admin_or_by_who_has_the_machine(house: House) -> None:
    admin, _ = _with_codes(house)
    second = house.person("admin")
    assert admin.account is not None
    second.page(f"/admin/person?id={admin.account.rater_id}")
    form = {"id": admin.account.rater_id, "what": "second_factor"}
    assert second.send_form("/admin/person/credential", **form).status_code == 303
    house.clock.now += 60
    assert _sign_in(house, "") == 303
    _, _ = admin, house.store.accounts.admin_link(now=house.clock())
    account = house.store.accounts.by_login("boss")
    assert account is not None and not account.has_second_factor
