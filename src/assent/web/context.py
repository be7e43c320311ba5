"""The context: the one thing every handler is given."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import jinja2
from fastapi import Request
from markupsafe import Markup
from starlette.responses import HTMLResponse

from assent.core.hashing import hash_json, short
from assent.core.types import Message
from assent.feedback.dashboard import Watch
from assent.feedback.records.people import digest
from assent.feedback.store import Store
from assent.web.below import path_of, placed
from assent.web.catalogs import Catalogs
from assent.web.entry.config import is_this_machine
from assent.web.entry.letters import Letters
from assent.web.entry.outbox import Outbox
from assent.web.qr import code_of

if TYPE_CHECKING:
    from assent.web.entry.oidc import Provider

PAGES = Path(__file__).parent / "pages"
STATIC = Path(__file__).parent / "static"
SESSION, VISITOR, LANGUAGE = "assent_session", "assent_visitor", "assent_language"
"""Cookies: who is signed in; a secret for the forms of those who are not; the language somebody chose."""
SIGN_ON = "assent_sign_on"
"""The cookie of somebody who is at a sign-in provider."""
YEAR = 365 * 86_400


class Speaker(Protocol):
    """A model that takes part in conversations."""

    @property
    def name(self) -> str:
        """Its name, which raters do not see."""
        ...

    def reply(self, messages: Sequence[Message], seed: int) -> str:
        """Its next turn."""
        ...


@dataclass(frozen=True)
class Context:
    """What the service works with."""

    store: Store
    clock: Callable[[], float]
    speakers: Mapping[str, Speaker] = field(default_factory=dict)
    base_url: str | None = None
    """How the service is reached from outside; links are made with it, never with what a client says."""
    store_url: str = ""
    """Where the store is: runs with the same store keep their artifacts beside it."""
    provider: Provider | None = None
    """A sign-in provider beside passwords."""
    outbox: Outbox | None = None
    """Sends invitations and one-time links by mail; None: they are handed on by hand."""
    catalogs: Catalogs = field(default_factory=Catalogs.load)
    templates: jinja2.Environment = field(default_factory=lambda: _templates())
    version: str = field(default_factory=lambda: _static_version())
    """Names the scripts and styles of this server, so that browsers may keep them for good."""

    @functools.cached_property
    def below(self) -> str:
        """The path below which the service is reached; empty for a host of its own."""
        return path_of(self.base_url)

    @functools.cached_property
    def watch(self) -> Watch:
        """The one look at every project's judgments that the pages of admins and the API share."""
        return Watch(self.store, self.store_url)

    def now(self) -> float:
        """Seconds since 1970."""
        return self.clock()

    @property
    def is_secure(self) -> bool:
        """Is the service reached by https only?"""
        return (self.base_url or "").startswith("https://")

    @functools.cached_property
    def letters(self) -> Letters:
        """What writes the mails."""
        return Letters(self.store, self.catalogs, self.link, self.clock)

    @functools.cached_property
    def is_only_here(self) -> bool:
        """Do the links that are handed out lead to the machine of whoever opens them, and so nowhere but here?"""
        return is_this_machine(urlsplit(self.base_url or "").hostname or "")

    def link(self, path: str) -> str:
        """A link to hand out; only a path where nobody said how the service is reached."""
        return (self.base_url or "").rstrip("/") + path

    def language(self, request: Request) -> str:
        """The language to answer in: chosen here, kept with the account, or what the browser asks for."""
        person = getattr(request.state, "person", None)
        kept = None if person is None else person.account.locale
        accepted = request.headers.get("accept-language", "")
        return self.catalogs.choose(self.cookie(request, LANGUAGE), kept, header=accepted)

    def page(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page. Beside `values` templates know t, lang, dir, languages, person, csrf, static and code_of."""
        lang = self.language(request)
        person = getattr(request.state, "person", None)
        visitor = None if person is not None else self.cookie(request, VISITOR) or secrets.token_urlsafe(18)
        known: dict[str, Any] = {
            "t": lambda key, **named: self.catalogs.text(lang, key, **named),
            "lang": lang,
            "dir": self.catalogs.direction(lang),
            "languages": self.catalogs.languages,
            "person": person,
            "csrf": csrf_of(visitor) if person is None else person.csrf,
            "below": self.below,
            "code_of": code_of,
            "is_only_here": self.is_only_here,
            "static": lambda path: f"/static/{self.version}/{path}",
            "path": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
        }
        text = placed(self.templates.get_template(template).render(known | values), self.below)
        response = HTMLResponse(text, status)
        if visitor is not None:
            self.set_cookie(response, VISITOR, visitor)
        return response

    def set_cookie(self, response: Any, name: str, value: str, *, max_age: int | None = YEAR) -> None:
        """Set a cookie that no script can read, and no other host of the same site can plant where there is TLS."""
        response.set_cookie(
            self._kept_as(name),
            value,
            max_age=max_age,
            path=self.below + "/",
            httponly=True,
            samesite="lax",
            secure=self.is_secure,
        )

    def cookie(self, request: Request, name: str) -> str | None:
        """A cookie that a browser sent."""
        return request.cookies.get(self._kept_as(name))

    def forget_cookie(self, response: Any, name: str) -> None:
        """Let a browser forget a cookie."""
        response.delete_cookie(
            self._kept_as(name), path=self.below + "/", httponly=True, samesite="lax", secure=self.is_secure
        )

    def _kept_as(self, name: str) -> str:
        if not self.is_secure:
            return name
        return f"__Secure-{name}" if self.below else f"__Host-{name}"  # browsers take __Host- for the path / only


def csrf_of(secret: str | None) -> str:
    """The value that forms and scripts send along with a cookie; the cookie cannot be computed from it."""
    return short(digest("csrf " + (secret or ""))) + digest("csrf again " + (secret or ""))[:24]


def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["safe_html"] = Markup
    return environment


def _static_version() -> str:
    files = [p for p in sorted(STATIC.rglob("*")) if p.is_file()]
    return short(hash_json([[p.name, p.stat().st_mtime_ns, p.stat().st_size] for p in files]))
