"""The routes of an app: each has the guard in front, and those that tests make quickly are those of the service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from rating_visitors import House

from assent.web.app import create_app
from assent.web.auth import guard


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Any]:
    """An app as the service makes it."""
    app = create_app(f"sqlite:///{tmp_path}/plain.db")
    yield app
    app.state.context.store.close()


def _handlers(app: Any) -> dict[tuple[str, str], APIRoute]:
    """The routes of handlers, by method and path."""
    return {("".join(route.methods), route.path): route for route in app.routes if isinstance(route, APIRoute)}


def _wanted(dependant: Dependant) -> list[Any]:
    """What is wanted of a request, in order, by whom."""
    fields = [
        (
            part,
            field.name,
            field.alias,
            field.field_info.annotation,
            field.field_info.is_required(),
            field.get_default(),
        )
        for part in ("path_params", "query_params", "header_params", "cookie_params", "body_params")
        for field in getattr(dependant, part)
    ]
    name = getattr(dependant.call, "__qualname__", repr(dependant.call))
    return [name, dependant.request_param_name, *fields, *map(_wanted, dependant.dependencies)]


def test_the_guard_is_the_first_before_every_handler(plain: Any) -> None:
    handlers = _handlers(plain)
    assert len(handlers) > 100
    assert {route.dependant.dependencies[0].call for route in handlers.values()} == {guard}


def test_handlers_of_apps_made_quickly_want_what_those_of_the_service_want(plain: Any, tmp_path: Path) -> None:
    with House.open(f"sqlite:///{tmp_path}/a.db") as first, House.open(f"sqlite:///{tmp_path}/b.db") as second:
        ours, others, real = (_handlers(app) for app in (first.app, second.app, plain))
        assert ours.keys() == others.keys() == real.keys()
        for key, route in ours.items():
            for made in (route, others[key]):
                assert _wanted(made.dependant) == _wanted(real[key].dependant), key
                assert made.dependant.call is made.endpoint
                answer, wanted = made.response_field, real[key].response_field
                assert (answer and answer.field_info.annotation) == (wanted and wanted.field_info.annotation), key
                assert bool(made.body_field) == bool(real[key].body_field), key
            assert route.endpoint is not others[key].endpoint
        assert first.app.openapi() == second.app.openapi() == plain.openapi()
