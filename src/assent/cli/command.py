"""Commands of the command line: switches are shown as switches, and a value behind one is told."""

from __future__ import annotations

import itertools
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from assent.core.errors import UserError

_VALUES = ("true", "false")


class _Switches:
    """Shows no type behind a switch."""

    def get_params(self, ctx: Any) -> Any:
        """The parameters, `--help` among them."""
        params = super().get_params(ctx)  # type: ignore[misc]
        for one in params:
            if getattr(one, "is_flag", False):
                one.metavar = ""
        return params


class Command(_Switches, TyperCommand):
    """One command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Raises UserError for `--plan true`, which would be taken for `--plan` and a file called true."""
        switches = {name for one in self.params if getattr(one, "is_flag", False) for name in one.opts}
        for before, value in itertools.pairwise(args):
            if before in switches and value.lower() in _VALUES:
                raise UserError(f"{before} is a switch and takes no value; leave {value!r} out, or leave out both")
        return super().parse_args(ctx, args)


class Group(_Switches, TyperGroup):
    """Commands under one name."""


class Commands(typer.Typer):
    """A group that is filled with commands."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"cls": Group, **settings})

    def command(self, *args: Any, **settings: Any) -> Any:
        """As typer's own, of this class of commands."""
        return super().command(*args, **{"cls": Command, **settings})
