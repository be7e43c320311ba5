"""A sign-in on its way to a provider and back: what the browser keeps of it meanwhile, and what may go wrong."""

from __future__ import annotations

import base64
import hmac
import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from assent.core.errors import UserError

SECONDS = 600.0
"""So long the provider may take with a person."""
_LONGEST_PATH = 1000  # browsers keep no cookie above 4 kB
_WORD = re.compile(r"[a-z][a-z_]{0,39}")
Seal = Callable[[str], str]
"""A mark of a text that only this service can make."""


class ProviderFailed(UserError):
    """A sign-in that came to nothing: `reason` for the log, what to say to the person, the status of the answer."""

    def __init__(self, reason: str, said: str, do: str = "try again", *, status: int = 403) -> None:
        self.reason = reason if _WORD.fullmatch(reason) else "error"
        self.said, self.do, self.status = said, do, status
        super().__init__(f"{said}; {do}")


@dataclass(frozen=True)
class SignOn:
    """What the browser that began keeps in a cookie, so that what comes back is for it and for this once."""

    there: str
    """The page to go on to."""
    begun: float
    account: str = ""
    """The rater id of somebody signed in who connects the provider with their account; empty: somebody signs in."""
    state: str = ""
    nonce: str = ""
    verifier: str = ""
    """Of PKCE (RFC 7636): only who has it can use the code that the provider sends back."""

    @classmethod
    def begin(cls, *, there: str, account: str = "", now: float) -> SignOn:
        """A new one, with secrets of its own."""
        state, nonce, verifier = (secrets.token_urlsafe(n) for n in (24, 24, 48))
        there = there if len(there) <= _LONGEST_PATH else "/"
        return cls(there, now, account, state, nonce, verifier)

    @classmethod
    def read(cls, cookie: str | None, seal: Seal) -> SignOn | None:
        """What a browser kept; None for nothing, or what we never gave out."""
        text, _, mark = (cookie or "").partition(".")
        if not text or not hmac.compare_digest(mark.encode("utf-8", "replace"), seal(text).encode()):
            return None
        return cls(**json.loads(base64.urlsafe_b64decode(text)))

    def written(self, seal: Seal) -> str:
        """As a cookie. It is sealed: who connects a provider with an account has shown that the account is theirs."""
        text = base64.urlsafe_b64encode(json.dumps(asdict(self)).encode()).decode()
        return f"{text}.{seal(text)}"

    def check(self, query: Mapping[str, str], *, now: float) -> str:
        """The code that came back with this sign-in. Raises ProviderFailed where something else came."""
        if not hmac.compare_digest(query.get("state", "").encode("utf-8", "replace"), self.state.encode()):
            raise lost()
        if not 0 <= now - self.begun <= SECONDS:
            raise ProviderFailed("late", "the sign-in took longer than ten minutes", "begin again")
        if "error" in query:
            raise ProviderFailed(query["error"], provider_says(query["error"], query.get("error_description", "")))
        if not query.get("code"):
            raise ProviderFailed("no_code", "the sign-in provider sent nothing that could be used")
        return query["code"]


def lost() -> ProviderFailed:
    """Something came back that this browser did not begin, or began twice, or finished already."""
    return ProviderFailed(
        "state",
        "this sign-in was begun elsewhere, or is over already",
        "begin again on the sign-in page, at the same address and in one tab",
    )


def provider_says(error: object, description: object) -> str:
    """The words of a provider as one plain line."""
    words = " – ".join(str(one) for one in (error, description) if one)
    return "the sign-in provider says: " + "".join(c if c.isprintable() else " " for c in words)[:300].strip().rstrip(
        "."
    )
