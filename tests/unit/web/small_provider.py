"""A small sign-in provider on a port: OpenID Connect with one RSA key, codes that work once, and words it can twist."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import uvicorn
from fastapi import FastAPI, Request
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.responses import JSONResponse, RedirectResponse, Response

CLIENT, SECRET = "assent", "s3cret-of:the client"


def _unpadded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


@dataclass
class SmallProvider:
    """The provider: who is signed in there, and what is wrong with it."""

    clock: Callable[[], float]
    issuer: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    """What the signed token says beside or instead of what is right; None: leaves it out."""
    userinfo: dict[str, Any] | None = None
    is_broken: bool = False
    refuses: str = ""
    """The error that the authorization endpoint answers."""
    algorithm: str = "RS256"
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one", "use": "sig"}))
    published: list[RSAKey] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """Paths that were asked for."""
    grants: dict[str, dict[str, str]] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)

    def authorize(self, address: str) -> str:
        """What a browser is sent back to that came to the authorization endpoint and signs in."""
        query = dict(parse_qsl(urlsplit(address).query))
        assert query["response_type"] == "code" and query["client_id"] == CLIENT
        assert query["code_challenge_method"] == "S256" and "openid" in query["scope"].split()
        back = {"state": query["state"], "iss": self.issuer}
        if self.refuses:
            back |= {"error": self.refuses, "error_description": "You said <b>no</b>"}
        else:
            code = secrets.token_urlsafe(16)
            self.grants[code] = query
            back |= {"code": code}
        return f"{query['redirect_uri']}?{urlencode(back)}"

    def id_token(self, grant: dict[str, str], access_token: str) -> str:
        """The signed word of who somebody is."""
        now = int(self.clock())
        half = hashlib.sha256(access_token.encode()).digest()[:16]
        said = {"iss": self.issuer, "sub": "sub-1", "aud": CLIENT, "iat": now, "exp": now + 300}
        said |= {"nonce": grant["nonce"], "at_hash": _unpadded(half), **self.claims}
        said = {name: value for name, value in said.items() if value is not None}
        if self.algorithm in ("none", "HS256"):
            body = ".".join(
                _unpadded(json.dumps(one).encode()) for one in ({"alg": self.algorithm, "kid": "one"}, said)
            )
            public = self.key.as_pem(private=False)  # what everybody may read, taken for a shared secret
            mark = "" if self.algorithm == "none" else _unpadded(hmac.digest(public, body.encode(), "sha256"))
            return f"{body}.{mark}"
        return jwt.encode({"alg": self.algorithm, "kid": self.key.kid}, said, self.key, algorithms=[self.algorithm])

    def app(self) -> FastAPI:
        """Its addresses."""
        app = FastAPI()

        @app.middleware("http")
        async def note(request: Request, call_next: Any) -> Response:
            self.asked.append(request.url.path)
            return await call_next(request)

        @app.get("/.well-known/openid-configuration")
        def settings() -> Any:
            if self.is_broken:
                return JSONResponse({"error": "out of order"}, 500)
            names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
            found = {name: f"{self.issuer}/{path}" for name, path in names.items()} | {"issuer": self.issuer}
            if self.userinfo is not None:
                found["userinfo_endpoint"] = f"{self.issuer}/userinfo"
            return found | self.settings

        @app.get("/authorize")
        def authorize(request: Request) -> Response:
            return RedirectResponse(self.authorize(str(request.url)), 303)

        @app.get("/keys")
        def keys() -> Any:
            return {"keys": [key.as_dict(private=False) for key in self.published or [self.key]]}

        @app.get("/userinfo")
        def userinfo(request: Request) -> Any:
            assert request.headers["authorization"].removeprefix("Bearer ") in self.tokens
            return self.userinfo

        @app.post("/token")
        async def token(request: Request) -> Any:
            sent = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
            given = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
            grant = self.grants.pop(sent["code"], None)
            challenge = _unpadded(hashlib.sha256(sent["code_verifier"].encode()).digest())
            is_right = grant is not None and sent["grant_type"] == "authorization_code"
            is_right = is_right and grant["code_challenge"] == challenge and given == f"{CLIENT}:{SECRET}"
            if not is_right or sent["redirect_uri"] != grant["redirect_uri"]:
                return JSONResponse({"error": "invalid_grant", "error_description": "used or never given"}, 400)
            self.tokens.append(secrets.token_urlsafe(16))
            said = {"access_token": self.tokens[-1], "token_type": "Bearer", "expires_in": 300}
            return said | {"id_token": self.id_token(grant, self.tokens[-1])}

        return app


@contextlib.contextmanager
def running(clock: Callable[[], float]) -> Iterator[SmallProvider]:
    """A provider on a port of this machine while the block runs."""
    provider = SmallProvider(clock)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        provider.issuer = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(provider.app(), log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield provider
        finally:
            server.should_exit = True
            thread.join(10)
