"""Links that are handed out: with a code for phones, and with a warning where they lead nowhere but to this machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rating_visitors import House

from assent.web.qr import code_of


def _invited(house: House) -> str:
    admin = house.person("admin")
    admin.page("/admin/people")
    page = admin.send_form("/admin/people/invite", role="rater", project="", uses="1", days="3")
    assert page.status_code == 200
    return str(page.text)


def _link(page: str) -> str:
    found = re.search(r'id="secret"[^>]*value="([^"]+)"', page)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("base_url", "is_only_here"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://127.8.0.1:8000", True),
        ("http://localhost:8000", True),
        ("http://[::1]:8000", True),
        ("http://192.168.1.20:8000", False),
        ("http://[fd00::7]:8000", False),
        ("http://rate.example.org", False),
        ("http://localhost.example.org", False),
    ],
)
def test_a_link_that_works_here_only_says_so(tmp_path: Path, base_url: str, is_only_here: bool) -> None:
    with House.open(f"sqlite:///{tmp_path}/feedback.db", base_url=base_url) as house:
        page = _invited(house)
    assert _link(page).startswith(f"{base_url}/join/")
    assert ("works only on this machine" in page, "--host 0.0.0.0" in page) == (is_only_here, is_only_here)


def test_an_invitation_and_a_one_time_link_have_a_code_and_a_button(tmp_path: Path) -> None:
    with House.open(f"sqlite:///{tmp_path}/feedback.db", base_url="http://rate.example.org") as house:
        invitation = _invited(house)
        admin = house.person("admin")
        assert admin.account is not None
        admin.page("/admin/people")
        person = admin.send_form("/admin/person/link", id=admin.account.rater_id).text
    for page in (invitation, person):
        assert str(code_of(_link(page))) in page and 'data-copy-of="secret"' in page
    assert "/enter/" in _link(person)


def test_a_code_is_plain_drawing_that_any_policy_lets_through() -> None:
    drawn = code_of('https://x.example/?a="<script>&b=é')
    assert re.fullmatch(r"<svg viewBox=[^<>]*>(<path [^<>]*/>)+</svg>", drawn)
    assert "style" not in drawn and "script" not in drawn and "class" not in drawn
    assert drawn != code_of("https://x.example/")


def test_the_key_of_a_second_factor_has_a_code(house: House) -> None:
    admin = house.person("admin", "boss")
    page = admin.send_form("/me/second-factor/new").text
    link = re.search(r'href="(otpauth:[^"]+)"', page)
    assert link is not None and str(code_of(link[1].replace("&amp;", "&"))) in page
