"""Signing in by OpenID Connect: authorization code with PKCE, in both directions, with every check on what comes back.

    address, sign_on = provider.begin(there="/")                  # the browser goes to the address and keeps the rest
    who = provider.finish(sign_on, code)                          # when it comes back; ProviderFailed says why not

Authlib speaks the protocol and checks the claims, joserfc the signature (OpenID Connect Core 1.0, section 3.1). No
token is kept: what is left is who the provider says it is. A provider in a private network is asked, for an admin named
it; but one outside does not lead into it.
"""

from __future__ import annotations

import ipaddress
import json
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.oauth2.client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from assent.core.errors import UserError
from assent.feedback.records.people import Identity, clean_email
from assent.web import outbound
from assent.web.entry.config import SCOPE, ProviderConfig
from assent.web.entry.sign_on import ProviderFailed, SignOn, provider_says

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
"""Signatures by a key that only the provider has. `none` and those by a shared secret are not among them."""
LEEWAY = 120
"""Seconds by which the provider's clock may differ."""
DEADLINE = 10.0
"""Seconds for one answer of the provider."""
KEPT_SECONDS, AGAIN_SECONDS = 3600.0, 60.0
"""How long its settings and keys are used, and how soon it is asked again where a key is not among them."""
PAUSE = 5.0
"""A provider that did not answer is left alone for so many seconds, so that not everybody waits for it."""
LONGEST_SUBJECT = 255
_UNREACHABLE = (httpx2.HTTPError, httpx2.InvalidURL, OSError, UserError)


class Provider:
    """The provider of a service."""

    def __init__(self, config: ProviderConfig, *, redirect_uri: str, clock: Callable[[], float]) -> None:
        self.config, self._redirect_uri, self._clock = config, redirect_uri, clock
        self._secret = config.secret()
        self._kept: dict[str, tuple[float, dict[str, Any]]] = {}
        self._missed: dict[str, float] = {}
        self._lock = threading.Lock()

    def begin(self, *, there: str, account: str = "") -> tuple[str, SignOn]:
        """Where the browser goes, and what it keeps meanwhile. Raises ProviderFailed."""
        sign_on = SignOn.begin(there=there, account=account, now=self._clock())
        with _failures():
            address, _ = self._client().create_authorization_url(
                self._endpoint("authorization_endpoint"),
                state=sign_on.state,
                nonce=sign_on.nonce,
                code_verifier=sign_on.verifier,
            )
        return str(address), sign_on

    def finish(self, sign_on: SignOn, code: str, *, issuer: str | None = None) -> Identity:
        """Who came back with a code; `issuer` is what the answer says it is from. Raises ProviderFailed."""
        with _failures():
            if issuer is not None and issuer != self._settings()["issuer"]:  # RFC 9207
                raise ProviderFailed("issuer", "the answer is from another sign-in provider")
            tokens = self._client().fetch_token(
                self._endpoint("token_endpoint"),
                grant_type="authorization_code",
                code=code,
                redirect_uri=self._redirect_uri,
                code_verifier=sign_on.verifier,
            )
            claims = self._claims(tokens, sign_on.nonce)
            return self._identity(claims, self._about(claims, tokens))

    def _client(self) -> _Client:
        methods = self._settings().get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        preferred = [one for one in ("client_secret_basic", "client_secret_post") if one in methods]
        return _Client(
            self._ask,
            client_id=self.config.client_id,
            client_secret=self._secret,
            token_endpoint_auth_method="none" if self._secret is None else next(iter(preferred), None),
            redirect_uri=self._redirect_uri,
            scope=SCOPE,
            code_challenge_method="S256",
        )

    def _claims(self, tokens: Mapping[str, Any], nonce: str) -> Mapping[str, Any]:
        """What the signed token says, once everything about it is right."""
        token = tokens.get("id_token")
        if not isinstance(token, str):
            raise ProviderFailed("no_id_token", "the sign-in provider sent no signed word of who you are")
        try:
            found = jwt.decode(token, self._keys(KEPT_SECONDS), algorithms=ALGORITHMS)
        except InvalidKeyIdError:  # a new key; asked for once a minute at most, whatever comes
            found = jwt.decode(token, self._keys(AGAIN_SECONDS), algorithms=ALGORITHMS)
        expected = {"iss": self._settings()["issuer"], "aud": self.config.client_id}
        claims = CodeIDToken(
            found.claims,
            found.header,
            {name: {"essential": True, "value": value} for name, value in expected.items()},
            {"nonce": nonce, "client_id": self.config.client_id, "access_token": tokens.get("access_token")},
        )
        claims.validate(now=int(self._clock()), leeway=LEEWAY)
        return claims

    def _about(self, claims: Mapping[str, Any], tokens: Mapping[str, Any]) -> Mapping[str, Any]:
        """The claims about the person; some providers say addresses at a place of their own only."""
        if "email" in claims or "userinfo_endpoint" not in self._settings() or not tokens.get("access_token"):
            return claims
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        found = _json_of(self._ask(self._endpoint("userinfo_endpoint"), headers=bearer))
        if found.get("sub") != claims["sub"]:
            raise ProviderFailed("invalid_claim", "the sign-in provider speaks of two people")
        return found

    def _identity(self, claims: Mapping[str, Any], about: Mapping[str, Any]) -> Identity:
        subject, email = claims["sub"], about.get("email")
        if not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
            raise ProviderFailed("invalid_claim", "the sign-in provider's name for you cannot be used")
        is_verified = about.get("email_verified") in (True, "true")
        verified = clean_email(email) if is_verified and isinstance(email, str) else None
        if not self.config.admits(verified):
            raise ProviderFailed(
                "not_allowed",
                "people with your e-mail address may not come in here"
                if verified
                else "only people whose e-mail address the provider has verified may come in here",
                "ask whoever runs the service",
            )
        return Identity(str(self._settings()["issuer"]), subject, verified)

    def _settings(self) -> dict[str, Any]:
        """What the provider says of itself (OpenID Connect Discovery 1.0)."""
        found = self._fetched(self.config.issuer.rstrip("/") + "/.well-known/openid-configuration", KEPT_SECONDS)
        if str(found.get("issuer")).rstrip("/") != self.config.issuer.rstrip("/"):
            raise ProviderFailed("issuer", "the sign-in provider calls itself otherwise than it is named here")
        return found

    def _endpoint(self, name: str) -> str:
        address = str(self._settings().get(name, ""))
        if urlsplit(address).scheme not in ("https", urlsplit(self.config.issuer).scheme):
            raise ProviderFailed("endpoint", f"the sign-in provider has no safe {name}")
        return address

    def _keys(self, most_age: float) -> KeySet:
        return KeySet.import_key_set(self._fetched(self._endpoint("jwks_uri"), most_age))  # type: ignore[arg-type]

    def _fetched(self, url: str, most_age: float) -> dict[str, Any]:
        """An answer in JSON that is not older. One thread asks, and the others wait for it."""
        with self._lock:
            now = self._clock()
            at, found = self._kept.get(url, (0.0, {}))
            if found and 0 <= now - at < most_age:
                return found
            if 0 <= now - self._missed.get(url, -math.inf) < PAUSE:
                raise httpx2.ConnectError("no answer a moment ago")
            self._missed[url] = now
            found = _json_of(self._ask(url))
            self._kept[url] = (now, found)
            del self._missed[url]
            return found

    def _ask(
        self, url: str, method: str = "GET", *, body: str = "", headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        issuer = outbound.address_of(self.config.issuer, allow_private=True)
        is_inside = not outbound.is_public(ipaddress.ip_address(issuer.ip.partition("%")[0]))
        to = outbound.address_of(url, allow_private=is_inside)
        named = {"Accept": "application/json", "User-Agent": "Assent", **(headers or {})}
        return outbound.ask(to, method, body=body.encode(), headers=named, deadline=DEADLINE)


class _Client(OAuth2Client):  # type: ignore[misc]
    """Authlib's client on our way out, which has limits."""

    def _fetch_token(
        self, url: str, body: str = "", headers: Any = None, auth: Any = None, method: str = "POST", **_: Any
    ) -> Any:
        url, headers, body = auth.prepare(method, url, dict(headers), body)
        return self.parse_response_token(self.session(url, method, body=body, headers=headers))


def _json_of(answer: httpx2.Response) -> dict[str, Any]:
    answer.raise_for_status()
    found = json.loads(answer.content)
    if not isinstance(found, dict):
        raise ValueError("the answer is no JSON object")
    return found


@contextmanager
def _failures() -> Iterator[None]:
    """Let everything that can go wrong with a provider be said in one way."""
    try:
        yield
    except ProviderFailed:
        raise
    except AuthlibBaseError as error:
        raise ProviderFailed(str(error.error), provider_says(error.error, error.description)) from error
    except JoseError as error:
        claim = getattr(error, "claim", "")
        said = f"the sign-in provider's word does not hold ({error.error}{f': {claim}' if claim else ''})"
        raise ProviderFailed("_".join([error.error, *([claim] if claim else [])]), said) from error
    except _UNREACHABLE as error:
        said = "the sign-in provider does not answer as it should"
        raise ProviderFailed("unreachable", said, "try again later", status=502) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        said = "the sign-in provider answers something that cannot be read"
        raise ProviderFailed("unreadable", said, "tell an admin", status=502) from error
