"""The application: the store behind it, its routers, its errors, its static files.

uvicorn.run(create_app("sqlite:///feedback.db"))
uvicorn --factory assent.web.app:from_environment --workers 4        # ASSENT_STORE, ASSENT_BASE_URL, ASSENT_SIGN_IN
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import Depends, FastAPI
from starlette.staticfiles import StaticFiles

import assent
from assent.core.errors import UserError
from assent.feedback.store import Store
from assent.web import doors, own_account, provider, refusals
from assent.web.admin import projects
from assent.web.api import router
from assent.web.auth import GuardedRouter, guard, identify
from assent.web.below import Below
from assent.web.context import STATIC, Context, Speaker
from assent.web.deliveries import Deliveries
from assent.web.entry.config import MailConfig, ProviderConfig, SignInConfig, read_sign_in
from assent.web.entry.outbox import Outbox
from assent.web.provider import CALLBACK
from assent.web.rating import chat, pages, profile, tasks
from assent.web.security import IMMUTABLE, Security
from assent.web.tidying import Tidying

if TYPE_CHECKING:
    from assent.web.entry.oidc import Provider

STORE, BASE_URL, SIGN_IN = "ASSENT_STORE", "ASSENT_BASE_URL", "ASSENT_SIGN_IN"
"""Environment variables that `from_environment` reads."""
PARTS: tuple[Callable[[Context], GuardedRouter], ...] = (
    doors.router,
    provider.router,
    own_account.router,
    tasks.router,
    pages.router,
    profile.router,
    projects.router,
    router.router,
    chat.router,
)


def create_app(
    store_url: str,
    *,
    speakers: Mapping[str, Speaker] | None = None,
    base_url: str | None = None,
    sign_in: SignInConfig | None = None,
    clock: Callable[[], float] = time.time,
) -> FastAPI:
    """The rating service on a store. Raises StoreError where it cannot be opened, UserError for a way to sign in."""
    sign_in = sign_in or SignInConfig()
    vouching = None if sign_in.provider is None else _provider(sign_in.provider, base_url, clock)
    store = Store.open(store_url)
    context = Context(
        store,
        clock=clock,
        speakers=speakers or {},
        base_url=base_url,
        store_url=store_url,
        provider=vouching,
        outbox=None if sign_in.mail is None else _outbox(sign_in.mail, store, clock),
    )

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        deliveries = Deliveries(context.store, context.clock)
        tidying = Tidying(context.store)
        deliveries.start()
        tidying.start()
        yield
        tidying.stop()
        deliveries.stop()
        if context.outbox is not None:
            context.outbox.stop()
        context.store.close()

    app = FastAPI(
        title="Assent",
        version=assent.__version__,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect would repeat the host that the client named
        lifespan=lifespan,
        dependencies=[Depends(guard)],  # of routes that are added to the app itself
    )
    app.state.context = context
    refusals.install(app, identify)
    for part in PARTS:
        # Taken as they are: of a router that is included, FastAPI analyses each route again at the first request.
        app.router.routes.extend(part(context).routes)
    app.mount(f"/static/{context.version}", _Forever(directory=STATIC))
    app.mount("/static", StaticFiles(directory=STATIC))
    app.add_middleware(Security)
    if context.below:
        app.add_middleware(Below, path=context.below)
    return app


def from_environment() -> FastAPI:
    """The rating service as environment variables say; for several server processes."""
    return create_app(os.environ[STORE], base_url=os.environ.get(BASE_URL) or None, sign_in=sign_in_of_environment())


def sign_in_of_environment() -> SignInConfig:
    """What the file says that an environment variable names; nothing without one. Raises ConfigError."""
    named = os.environ.get(SIGN_IN)
    return read_sign_in(Path(named)) if named else SignInConfig()


def _provider(config: ProviderConfig, base_url: str | None, clock: Callable[[], float]) -> Provider:
    if base_url is None:
        raise UserError("a sign-in provider leads back to one address; say which with --base-url")
    from assent.web.entry.oidc import Provider  # only where there is one: it wants a package that few need

    return Provider(config, redirect_uri=base_url.rstrip("/") + CALLBACK, clock=clock)


def _outbox(config: MailConfig, store: Store, clock: Callable[[], float]) -> Outbox:
    return Outbox(config, lambda event: store.events.record(event, now=clock()), clock)


class _Forever(StaticFiles):
    """Files whose address changes when they do."""

    def file_response(self, *args: object, **kwargs: object):  # type: ignore[no-untyped-def]
        """A file that browsers may keep."""
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["cache-control"] = IMMUTABLE
        return response
