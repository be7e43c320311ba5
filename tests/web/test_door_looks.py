"""The doors in a real browser: signing in with every way in, an invitation with its code, a key with its code."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium_rater import Service, settle

from assent.web.entry.config import MailConfig, ProviderConfig, SignInConfig

pytestmark = pytest.mark.browser

RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
EVERY_WAY = SignInConfig(
    provider=ProviderConfig(issuer="https://login.example.org", client_id="a", label="Example University"),
    mail=MailConfig(host="127.0.0.1", port=1, tls="none", sender="rate@example.org"),
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service in an office, with every way in."""
    url = f"sqlite:///{tmp_path_factory.mktemp('doors')}/feedback.db"
    with Service.start(url, base_url="http://192.168.1.20:8000", sign_in=EVERY_WAY) as running:
        running.store.accounts.create("olga", "admin", now=time.time())
        yield running


def _page(
    chromium: Any, service: Service, path: str, *, is_admin: bool = True, **options: Any
) -> tuple[Any, list[str]]:
    context = chromium.new_context(**options)
    if is_admin:
        accounts, now = service.store.accounts, time.time()
        account = accounts.by_login("olga")
        assert account is not None
        cookie = accounts.start_session(account.rater_id, is_fresh=True, now=now)
        context.add_cookies([{"name": "assent_session", "value": cookie, "url": service.url}])
    page, problems = context.new_page(), []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    page.goto(service.url + path)
    return page, problems


def _violations(page: Any) -> list[str]:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is missing").Axe()
    settle(page)
    found = axe.run(page, options={"runOnly": {"type": "tag", "values": list(RULES)}}).response["violations"]
    return [f"{one['id']}: {node['target']} {node['failureSummary'][:160]}" for one in found for node in one["nodes"]]


def _is_too_wide(page: Any) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


LOOKS = [("light", "en", 1280), ("dark", "de", 390), ("dark", "ar", 390)]


@pytest.mark.parametrize(("scheme", "locale", "width"), LOOKS)
def test_signing_in_is_accessible_with_every_way_in(
    chromium: Any, service: Service, scheme: str, locale: str, width: int
) -> None:
    look: dict[str, Any] = {"color_scheme": scheme, "locale": locale, "viewport": {"width": width, "height": 800}}
    page, problems = _page(chromium, service, "/sign-in?next=/me", is_admin=False, **look)
    assert page.locator("a.button.wide").get_attribute("href") == "/sign-in/provider?next=/me"
    assert _violations(page) == [] and problems == [] and not _is_too_wide(page)
    page.fill("#email", "nobody@example.org")
    page.click("form[action='/sign-in/link'] button")
    assert page.locator("[role=status]").count() == 1
    page.context.close()


@pytest.mark.parametrize(("scheme", "locale", "width"), LOOKS)
def test_an_invitation_is_copied_and_has_a_code_that_stands_on_white(
    chromium: Any, service: Service, scheme: str, locale: str, width: int
) -> None:
    look: dict[str, Any] = {"color_scheme": scheme, "locale": locale, "viewport": {"width": width, "height": 800}}
    page, problems = _page(
        chromium, service, "/admin/people", permissions=["clipboard-read", "clipboard-write"], **look
    )
    page.click("form[action='/admin/people/invite'] button")
    link = page.input_value("#secret")
    assert link.startswith("http://192.168.1.20:8000/join/")
    page.click("[data-copy-of=secret]")
    page.wait_for_function("() => document.querySelector('[data-copy-of]').textContent.trim().length > 0")
    assert page.evaluate("navigator.clipboard.readText()") == link
    box = page.locator(".qr svg").bounding_box()
    assert box["width"] == box["height"] >= 150
    assert page.locator(".qr path").first.evaluate("one => getComputedStyle(one).fill") == "rgb(255, 255, 255)"
    assert _violations(page) == [] and problems == [] and not _is_too_wide(page)
    page.context.close()


def test_a_link_is_copied_on_a_page_without_a_clipboard_too(chromium: Any, service: Service) -> None:
    """Pages of a plain http address in an office have none."""
    page, problems = _page(chromium, service, "/admin/people")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.click("form[action='/admin/people/invite'] button")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    before = page.locator("[data-copy-of]").inner_text()
    page.click("[data-copy-of=secret]")
    page.wait_for_function("old => document.querySelector('[data-copy-of]').textContent !== old", arg=before)
    assert problems == []
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_key_of_a_second_factor_is_accessible_with_its_code(chromium: Any, service: Service, scheme: str) -> None:
    page, problems = _page(chromium, service, "/me", color_scheme=scheme)
    assert _violations(page) == []
    page.click("form[action='/me/second-factor/new'] button")
    assert page.locator(".qr svg").count() == 1
    assert _violations(page) == [] and problems == []
    page.context.close()


def test_who_connects_a_provider_is_said_when_it_does_not_answer(chromium: Any, tmp_path: Path) -> None:
    config = SignInConfig(provider=ProviderConfig(issuer="http://127.0.0.1:1", client_id="a"))
    url = f"sqlite:///{tmp_path}/feedback.db"
    with Service.start(url, base_url="http://127.0.0.1:8000", sign_in=config) as service:
        service.store.accounts.create("olga", "admin", now=time.time())
        page, _ = _page(chromium, service, "/me")
        page.click("form[action='/me/identities/new'] button")
        assert "does not answer" in page.inner_text("[role=alert]")
        page.context.close()
