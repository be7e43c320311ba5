"""How people come in besides passwords: a sign-in provider (OpenID Connect) and links by e-mail, as one YAML says it.

The YAML holds no secret: it names the environment variable or the file that does.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import os
from email.headerregistry import Address
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from assent.core.config import Config, read_yaml
from assent.core.errors import ConfigError
from assent.core.files import is_open_to_others
from assent.feedback.records.people import checked_email, clean_email

SCOPE = "openid email"
EVERYBODY = "*"


class ProviderConfig(Config):
    """A sign-in provider that speaks OpenID Connect."""

    issuer: str
    """The provider's address, exactly as the provider states it, e.g. `https://login.example.org/realms/lab`;
    `http://` only on this machine."""
    client_id: str = Field(min_length=1, max_length=500)
    """How the provider knows this service."""
    client_secret_env: str | None = None
    """Name of the environment variable that holds the client's secret."""
    client_secret_file: Path | None = None
    """File that holds the client's secret, with mode 600; a relative path is taken from the YAML's folder. Without
    either the client is a public one."""
    label: str = Field(default="single sign-on", min_length=1, max_length=60)
    """What the button on the sign-in page says after "Sign in with"."""
    allow: tuple[str, ...] = ()
    """Domains (`example.org`, without those below it) and addresses that may come in, by the e-mail address that the
    provider has verified; `"*"` or nothing: whoever the provider signs in."""
    newcomers: Literal["invited", "rater"] = "invited"
    """What unknown people get: nothing unless an admin invited their address, or the account of a rater. `rater`
    needs `allow`."""
    newcomer_projects: tuple[str, ...] | None = None
    """Projects that such raters see; null: all."""

    @field_validator("issuer")
    @classmethod
    def _is_address(cls, issuer: str) -> str:
        parts = urlsplit(issuer)
        is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_this_machine(parts.hostname or ""))
        if not is_safe or not parts.hostname or parts.username or parts.query or parts.fragment:
            raise ValueError("write the provider's address, such as https://login.example.org")
        return issuer

    @field_validator("allow")
    @classmethod
    def _are_domains(cls, allow: tuple[str, ...]) -> tuple[str, ...]:
        for one in allow:
            if one != EVERYBODY and clean_email(one if "@" in one else f"someone@{one}") is None:
                raise ValueError(f"{one!r} is neither a domain like example.org nor an address")
        return tuple(one.lower() for one in allow)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.client_secret_env is not None and self.client_secret_file is not None:
            raise ValueError("client_secret_env and client_secret_file are both there; keep one")
        if self.newcomers == "rater" and not self.allow:
            raise ValueError('newcomers: rater needs allow, such as [example.org]; ["*"] for all that the provider has')
        if self.newcomers == "invited" and self.newcomer_projects is not None:
            raise ValueError("newcomer_projects is for newcomers: rater; leave it out")
        return self

    def admits(self, email: str | None) -> bool:
        """May somebody come in whose verified address this is?"""
        if not self.allow or EVERYBODY in self.allow:
            return True
        return email is not None and (email in self.allow or email.rpartition("@")[2] in self.allow)

    def secret(self) -> str | None:
        """The client's secret; None for a public client. Raises ConfigError where it is not there."""
        if self.client_secret_env is not None:
            return _from_environment(self.client_secret_env, where="provider.client_secret_env")
        return None if self.client_secret_file is None else _from_file(self.client_secret_file)


class MailConfig(Config):
    """A mail server (SMTP) that sends invitations and one-time links."""

    host: str = Field(min_length=1, max_length=253)
    """Its name."""
    port: int = Field(default=587, ge=1, le=65535)
    """Its port: 587 with `starttls`, 465 with `implicit`, usually."""
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    """How the connection is encrypted. `none` only without a password, or on this machine."""
    user: str | None = None
    """The name to sign in with; null: without signing in."""
    password_env: str | None = None
    """Name of the environment variable that holds the password."""
    sender: str
    """Who the mails are from: `rate@example.org` or `Ratings <rate@example.org>`."""

    @field_validator("sender")
    @classmethod
    def _is_sender(cls, sender: str) -> str:
        name, _, address = sender.rpartition("<")
        if clean_email(address.removesuffix(">")) is None or not sender.isprintable() or "<" in name:
            raise ValueError("write an address, such as rate@example.org or Ratings <rate@example.org>")
        return sender

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.user is None) != (self.password_env is None):
            raise ValueError("user and password_env belong together; give both or none")
        if self.tls == "none" and self.user is not None and not is_this_machine(self.host):
            raise ValueError("tls: none would send the password for all to read; use starttls or implicit")
        return self

    @property
    def sender_address(self) -> Address:
        """The sender as a header."""
        name, _, address = self.sender.rpartition("<")
        return Address(name.strip().strip('"'), addr_spec=checked_email(address.removesuffix(">")))

    def password(self) -> str | None:
        """The password; None where there is no signing in. Raises ConfigError where it is not there."""
        return None if self.password_env is None else _from_environment(self.password_env, where="mail.password_env")


class SignInConfig(Config):
    """Ways to sign in besides passwords. `deploy/sign-in.yaml` in the repository is one to begin with."""

    provider: ProviderConfig | None = None
    """A sign-in provider beside passwords; null: none."""
    mail: MailConfig | None = None
    """A mail server for invitations and one-time links; null: links are handed on by hand."""


def read_sign_in(path: Path) -> SignInConfig:
    """Read the YAML and see that its secrets are there. Raises ConfigError."""
    config = SignInConfig.parse(read_yaml(path), where=str(path))
    provider = config.provider
    if provider is not None:
        if importlib.util.find_spec("authlib") is None:
            raise ConfigError(f"{path}: a provider wants the package Authlib; pip install 'assent[oidc]'")
        if provider.client_secret_file is not None:
            placed = {"client_secret_file": path.parent / provider.client_secret_file}
            config = config.model_copy(update={"provider": provider.model_copy(update=placed)})
        (config.provider or provider).secret()
    if config.mail is not None:
        config.mail.password()
    return config


def is_this_machine(host: str) -> bool:
    """Does a host name the machine it is said on?"""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _from_environment(name: str, *, where: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise ConfigError(f"{where}: there is no environment variable {name}, or it is empty; set it to the secret")
    return value


def _from_file(path: Path) -> str:
    if is_open_to_others(path):
        raise ConfigError(f"provider.client_secret_file: other users of this machine may read {path}; chmod 600 {path}")
    try:
        value = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"provider.client_secret_file: cannot read {path} ({error}); put the secret there") from None
    if not value:
        raise ConfigError(f"provider.client_secret_file: {path} is empty; put the secret there")
    return value
