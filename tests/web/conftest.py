"""The real service on a real port, Chromium before it, and a rater signed in: what the browser tests stand on."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium_rater import ARGUMENTS, Desk, Service

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    """A running browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"Chromium is not installed at {CHROMIUM} (apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The app on a store of its own; every test makes its own project in it."""
    with Service.start(f"sqlite:///{tmp_path_factory.mktemp('service')}/feedback.db") as running:
        yield running


@pytest.fixture
def desk(chromium: object, service: Service) -> Iterator[Desk]:
    """A rater at a project of their own. Ends with the facts that must hold for every page."""
    number = next(_NUMBERS)
    opened = Desk(chromium, service, project=f"project-{number}", login=f"rater-{number}")
    yield opened
    problems = list(opened.problems)
    opened.close()
    assert not problems
