"""New apps without all analysis: what FastAPI finds out about a handler's parameters is found once a process.

Handlers are closures over the store of their app, so FastAPI reads their signatures and builds their validators anew
for every app, a quarter of a second for ours. Here the second app is given what the first one's handlers of the same
code and address were found to want. A process that a test starts analyses its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import params, routing
from fastapi._compat import ModelField
from fastapi.dependencies.models import Dependant

Wanted = tuple[Dependant, list[ModelField], bool]
analyse: Callable[..., Wanted] = routing._build_dependant_with_parameterless_dependencies
make_field: Callable[..., ModelField] = routing.create_model_field


@dataclasses.dataclass
class FirstAnalysed:
    """What handlers want and which models they answer with, by code and address; stands in for FastAPI's functions."""

    wanted: dict[Any, Wanted] = dataclasses.field(default_factory=dict)
    fields: dict[Any, ModelField] = dataclasses.field(default_factory=dict)

    def analysed(self, *, path: str, call: Callable[..., Any], dependencies: Sequence[params.Depends]) -> Wanted:
        """What a handler wants, for its own app."""
        key = (path, call.__code__, tuple(dependencies))
        if key not in self.wanted:
            dependant, *rest = analyse(path=path, call=call, dependencies=dependencies)
            self.wanted[key] = (dataclasses.replace(dependant, call=None), *rest)  # the handler would hold its store
        dependant, *rest = self.wanted[key]
        return (dataclasses.replace(dependant, call=call), *rest)

    def field(self, *, name: str, type_: Any, mode: str) -> ModelField:
        """The model of an answer."""
        key = (name, type_, mode)
        if key not in self.fields:
            self.fields[key] = make_field(name=name, type_=type_, mode=mode)
        return self.fields[key]

    def stand_in(self, patch: Any) -> None:
        """Take the place of FastAPI's functions."""
        patch.setattr(routing, "_build_dependant_with_parameterless_dependencies", self.analysed)
        patch.setattr(routing, "create_model_field", self.field)
