"""The file of `assent rate --sign-in`: what is refused, with key and value, and where secrets come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assent.core.errors import ConfigError, UserError
from assent.web.app import create_app, from_environment
from assent.web.entry.config import MailConfig, ProviderConfig, SignInConfig, read_sign_in

PROVIDER = {"issuer": "https://login.example.org", "client_id": "assent"}
MAIL = {"host": "mail.example.org", "sender": "rate@example.org"}


def _written(folder: Path, text: str) -> Path:
    path = folder / "sign-in.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"issuer": "http://login.example.org"}, "provider's address"),
        ({"issuer": "login.example.org"}, "provider's address"),
        ({"issuer": "https://me:pw@login.example.org"}, "provider's address"),
        ({"issuer": "https://login.example.org/?x=1"}, "provider's address"),
        ({"client_id": ""}, "client_id"),
        ({"client_secret": "s3cret"}, "unknown key 'client_secret'"),
        ({"client_secret_env": "A", "client_secret_file": "b"}, "keep one"),
        ({"newcomers": "rater"}, "needs allow"),
        ({"newcomers": "everybody"}, "newcomers"),
        ({"newcomer_projects": ["p"]}, "is for newcomers: rater"),
        ({"allow": ["exa mple.org"]}, "neither a domain"),
        ({"allow": ["anna@"]}, "neither a domain"),
    ],
)
def test_a_provider_that_cannot_be_used_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ProviderConfig.parse(PROVIDER | values)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"sender": "nobody"}, "write an address"),
        ({"sender": "A <a@example.org>\nBcc: eve@example.org"}, "write an address"),
        ({"sender": "a <b> <a@example.org>"}, "write an address"),
        ({"user": "rate"}, "belong together"),
        ({"password_env": "PW"}, "belong together"),
        ({"tls": "none", "user": "rate", "password_env": "PW"}, "for all to read"),
        ({"tls": "ssl"}, "tls"),
        ({"port": 0}, "port"),
        ({"password": "s3cret"}, "unknown key 'password'"),
    ],
)
def test_a_mail_server_that_cannot_be_used_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        MailConfig.parse(MAIL | values)


def test_http_is_for_providers_on_this_machine_only() -> None:
    for issuer in ("http://127.0.0.1:9000", "http://localhost:9000/realm", "http://[::1]:9000"):
        assert ProviderConfig.parse(PROVIDER | {"issuer": issuer}).issuer == issuer


def test_domains_and_addresses_decide_without_case() -> None:
    config = ProviderConfig.parse(PROVIDER | {"allow": ["Example.org", "Boss@partner.example"]})
    admitted = [
        "anna@example.org",
        "boss@partner.example",
    ]
    refused = [None, "eve@partner.example", "eve@sub.example.org", "eve@notexample.org", "example.org@eve.example"]
    assert [config.admits(one) for one in admitted] == [True, True]
    assert [config.admits(one) for one in refused] == [False] * 5
    assert ProviderConfig.parse(PROVIDER).admits(None)
    assert ProviderConfig.parse(PROVIDER | {"allow": ["*"], "newcomers": "rater"}).admits(None)


def test_secrets_come_from_the_environment_or_a_private_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _written(
        tmp_path,
        "provider: {issuer: 'https://login.example.org', client_id: assent, client_secret_file: secret}\n"
        "mail: {host: mail.example.org, sender: rate@example.org, user: rate, password_env: A_PASSWORD}\n",
    )
    with pytest.raises(ConfigError, match="cannot read .*secret"):
        read_sign_in(path)
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    secret.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_sign_in(path)
    secret.chmod(0o600)
    with pytest.raises(ConfigError, match="no environment variable A_PASSWORD"):
        read_sign_in(path)
    monkeypatch.setenv("A_PASSWORD", "pw")
    config = read_sign_in(path)
    assert config.provider is not None and config.mail is not None
    assert (config.provider.secret(), config.mail.password()) == ("s3cret", "pw")
    assert "s3cret" not in repr(config) and "'pw'" not in repr(config)
    secret.write_text(" \n")
    with pytest.raises(ConfigError, match="is empty"):
        read_sign_in(path)


def test_server_processes_read_the_file_that_a_variable_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _written(tmp_path, "provider: {issuer: 'https://login.example.org', client_id: assent, label: the lab}\n")
    monkeypatch.setenv("ASSENT_STORE", f"sqlite:///{tmp_path}/feedback.db")
    monkeypatch.setenv("ASSENT_BASE_URL", "https://rate.example.org")
    monkeypatch.setenv("ASSENT_SIGN_IN", str(path))
    context = from_environment().state.context
    assert context.provider.config.label == "the lab" and context.outbox is None
    context.store.close()


def test_a_provider_without_an_address_to_lead_back_to_is_refused(tmp_path: Path) -> None:
    config = SignInConfig(provider=ProviderConfig.parse(PROVIDER))
    with pytest.raises(UserError, match="--base-url"):
        create_app(f"sqlite:///{tmp_path}/feedback.db", sign_in=config)


def test_a_wrong_key_is_named_with_the_file_and_the_nearest_one(tmp_path: Path) -> None:
    path = _written(tmp_path, "provider: {issuer: 'https://x.example', client: assent}\n")
    with pytest.raises(ConfigError, match=r"sign-in\.yaml: unknown key 'provider.client'; did you mean 'client_id'"):
        read_sign_in(path)


def test_the_package_that_speaks_to_providers_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _written(tmp_path, "provider: {issuer: 'https://login.example.org', client_id: assent}\n")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'assent\[oidc\]'"):
        read_sign_in(path)
