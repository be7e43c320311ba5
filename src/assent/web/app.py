"""The application: the store behind it, its routers, its errors, its static files.

uvicorn.run(create_app("sqlite:///feedback.db"))
uvicorn --factory assent.web.app:from_environment --workers 4        # ASSENT_STORE, ASSENT_BASE_URL
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping

from fastapi import Depends, FastAPI
from starlette.staticfiles import StaticFiles

import assent
from assent.feedback.store import Store
from assent.web import doors, own_account, refusals
from assent.web.admin import projects
from assent.web.api import router
from assent.web.auth import guard, identify
from assent.web.below import Below
from assent.web.context import STATIC, Context, Speaker
from assent.web.deliveries import Deliveries
from assent.web.rating import chat, pages, profile, tasks
from assent.web.security import IMMUTABLE, Security
from assent.web.tidying import Tidying

STORE, BASE_URL = "ASSENT_STORE", "ASSENT_BASE_URL"
"""Environment variables that `from_environment` reads."""
ROUTERS = (doors, own_account, tasks, pages, profile, projects, router, chat)


def create_app(
    store_url: str,
    *,
    speakers: Mapping[str, Speaker] | None = None,
    base_url: str | None = None,
    clock: Callable[[], float] = time.time,
) -> FastAPI:
    """The rating service on a store. Raises StoreError where it cannot be opened."""
    context = Context(
        Store.open(store_url), clock=clock, speakers=speakers or {}, base_url=base_url, store_url=store_url
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
        context.store.close()

    app = FastAPI(
        title="Assent",
        version=assent.__version__,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect would repeat the host that the client named
        lifespan=lifespan,
        dependencies=[Depends(guard)],
    )
    app.state.context = context
    refusals.install(app, identify)
    for module in ROUTERS:
        app.include_router(module.router(context))
    app.mount(f"/static/{context.version}", _Forever(directory=STATIC))
    app.mount("/static", StaticFiles(directory=STATIC))
    app.add_middleware(Security)
    if context.below:
        app.add_middleware(Below, path=context.below)
    return app


def from_environment() -> FastAPI:
    """The rating service as environment variables say; for several server processes."""
    return create_app(os.environ[STORE], base_url=os.environ.get(BASE_URL) or None)


class _Forever(StaticFiles):
    """Files whose address changes when they do."""

    def file_response(self, *args: object, **kwargs: object):  # type: ignore[no-untyped-def]
        """A file that browsers may keep."""
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["cache-control"] = IMMUTABLE
        return response
