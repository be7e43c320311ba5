"""The container files name commands and options that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
import yaml

from assent.cli import app
from assent.web.entry.config import read_sign_in

DEPLOY = Path(__file__).parents[3] / "deploy"

pytestmark = pytest.mark.skipif(not DEPLOY.is_dir(), reason="the container files are part of a checkout only")


def options_of(command: str) -> set[str]:
    group = typer.main.get_command(app)
    found = group.commands[command]  # type: ignore[attr-defined]
    return {option for parameter in found.params for option in parameter.opts}


def test_the_service_of_the_compose_file_is_started_by_a_command_that_exists() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    name, *given = services["app"]["command"]
    assert {one.partition("=")[0] for one in given} <= options_of(name)
    assert "ports" not in services["app"] and "ports" not in services["db"], "only the proxy is reached from outside"


def test_the_image_starts_a_command_that_exists_and_is_not_root() -> None:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    name, *given = re.findall(r'"([^"]+)"', re.search(r"^CMD (.*)$", text, re.MULTILINE)[1])  # type: ignore[index]
    assert {one for one in given if one.startswith("--")} <= options_of(name)
    assert re.search(r"^USER assent$", text, re.MULTILINE)


def test_the_file_of_ways_to_sign_in_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSENT_CLIENT_SECRET", "a")
    monkeypatch.setenv("ASSENT_MAIL_PASSWORD", "b")
    config = read_sign_in(DEPLOY / "sign-in.yaml")
    assert config.provider is not None and config.provider.secret() == "a"
    assert config.mail is not None and config.mail.sender_address.addr_spec == "rate@example.org"
