"""`assent rate --sign-in`: it says what the provider must know, and any of its processes ends what one began."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest
from small_provider import CLIENT, SECRET, running

from assent.feedback.store import Store


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_several_processes_sign_people_in_by_a_provider(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/feedback.db"
    with Store.open(url) as store:
        account = store.accounts.create("anna", "rater", now=time.time())
        store.accounts.set_email(account.rater_id, "anna@example.org")
    with running(time.time) as provider:
        provider.claims = {"email": "anna@example.org", "email_verified": True}
        secret = tmp_path / "secret"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        settings = tmp_path / "sign-in.yaml"
        settings.write_text(
            f"provider: {{issuer: '{provider.issuer}', client_id: {CLIENT}, client_secret_file: secret}}\n"
        )
        command = [sys.executable, "-m", "assent.cli", "rate", "--port", "0", "--workers", "2", "--store", url]
        with (tmp_path / "log").open("w") as log:
            server = subprocess.Popen([*command, "--sign-in", str(settings)], cwd=tmp_path, stdout=log, stderr=log)
        try:
            while not (found := re.search(r"must know this address: (\S+)/sign-in/provider/callback", _log(tmp_path))):
                assert server.poll() is None, _log(tmp_path)
                time.sleep(0.1)
            assert all(account.rater_id in _signed_in(found[1]) for _ in range(4))
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(60)
        assert "Traceback" not in _log(tmp_path) and SECRET not in _log(tmp_path)


def _log(folder: Path) -> str:
    return (folder / "log").read_text()


def _signed_in(base_url: str) -> str:
    """Somebody's own page after they signed in, with a new connection for every step."""
    headers = {"accept": "text/html", "connection": "close"}
    with httpx2.Client(follow_redirects=True, headers=headers, trust_env=False, timeout=30) as client:
        deadline = time.monotonic() + 90
        while True:
            try:
                return client.get(f"{base_url}/sign-in/provider?next=/me").text
            except httpx2.ConnectError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
