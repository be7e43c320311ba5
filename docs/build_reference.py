"""Writes docs/reference/config.md and docs/reference/cli.md from the code: `python docs/build_reference.py`.

A test in tests/house fails when either page is not what this script would write.
"""

from __future__ import annotations

import datetime
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from assent.cli import app
from assent.core.config import Config
from assent.pipeline.config import RunConfig
from assent.web.entry.config import SignInConfig

REFERENCE = Path(__file__).parent / "reference"
ROOTS = {RunConfig: "The whole run", SignInConfig: "The file of `assent rate --sign-in`"}
"""What a YAML can be, with the title of its section."""

CONFIG_HEAD = """# Every key of a run

Written by `python docs/build_reference.py` from the config classes; do not edit by hand.

One YAML file describes one run. In `assent run a.yaml --with b.yaml --set optimize.kl.coefficient=0.1` the settings of
`b.yaml` override those of `a.yaml`, and the one after `--set` overrides both. Mappings are merged, so that a file
changes only the keys that it names. Lists and single values replace what was there; `--set` also reaches into lists:
`--set data.prompts.0.path=p.jsonl` (or `data.prompts[0].path`) changes the first entry, and
`--set data.prompts.+.path=p.jsonl` appends one; of a list that no file writes, the default is changed or added to. A
mapping with another `kind` replaces the whole mapping, and what that takes away is said. An unknown
key is an error that names the nearest known one, and the file or the `--set` that brought it in. Relative paths are
taken from the folder of the YAML.

Keys marked ° do not change results beyond rounding. If you change them, finished stages are kept as they are. The same
holds for `store` and `log`.
"""

CLI_HEAD = """# Every command

Written by `python docs/build_reference.py` from the command line's own help; do not edit by hand.

Every error is one line. Exit codes: 0 done · 1 the run failed (a loss that is not finite, a full disk, a reward
function that raised an error), or a gate said FAIL · 2 something you gave cannot be used (config, data, model) · 3
people have to rate first, or a gate is UNDECIDED · 130 stopped by Ctrl-C.
"""

Place = tuple[str, ...]


def config_reference() -> str:
    """The page of all config keys: one section per class, in the order a run's YAML meets them."""
    places: dict[type[Config], list[str]] = {}
    for root in ROOTS:
        for config, place in _walk(root, ""):
            places.setdefault(config, []).append(place)
    return CONFIG_HEAD + "".join(_section(config, found) for config, found in places.items())


def cli_reference() -> str:
    """The page of all commands with their arguments and options."""
    return CLI_HEAD + "".join(_command(name, command) for name, command in commands())


def commands() -> list[tuple[str, Any]]:
    """Every command with its full name, groups stepped into."""
    return list(_commands("assent", typer.main.get_command(app)))


def main() -> None:
    """Write both pages."""
    for name, text in (("config.md", config_reference()), ("cli.md", cli_reference())):
        (REFERENCE / name).write_text(text, encoding="utf-8")


def _walk(config: type[Config], place: str) -> Iterator[tuple[type[Config], str]]:
    yield config, place
    for name, field in config.model_fields.items():
        for below in _configs_in(field.annotation):
            kind = below.model_fields.get("kind")
            arms = len(_configs_in(field.annotation)) > 1 and kind is not None
            path = f"{place}.{name}".lstrip(".") + ("[]" if _is_list(field.annotation) else "")
            yield from _walk(below, f"{path} (kind: {kind.default})" if arms and kind is not None else path)


def _section(config: type[Config], places: list[str]) -> str:
    title = ROOTS.get(config, config.__name__)
    where = "" if config in ROOTS else "Under " + ", ".join(f"`{place}`" for place in places) + ". "
    about = " ".join((config.__doc__ or "").split())
    fields = sorted(config.model_fields.items(), key=lambda item: item[0] != "kind")  # stable: `kind` comes first
    rows = "".join(_row(name, field) for name, field in fields)
    return f"\n## {title}\n\n{where}{about}\n\n| key | type | default | meaning |\n|---|---|---|---|\n{rows}"


def _row(name: str, field: FieldInfo) -> str:
    extra = field.json_schema_extra
    mark = "°" if isinstance(extra, dict) and extra.get("affects_result") is False else ""
    cells = (f"`{name}`{mark}", _type(field.annotation) + _limits(field), _default(field), _help(field))
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |\n"


def _help(field: FieldInfo) -> str:
    """The docstring under the field, with YAML's word for nothing."""
    return (field.description or "").replace("None:", "null:")


def _type(annotation: Any) -> str:
    """An annotation in a user's words."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _type(arguments[0])
    if origin is typing.Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (typing.Union, types.UnionType):
        known = dict.fromkeys(_type(one) for one in arguments if one is not type(None))
        return " or ".join([*known, *(["null"] if type(None) in arguments else [])])
    if origin is tuple:
        return (
            f"list of {_type(arguments[0])}"
            if arguments[-1] is Ellipsis
            else f"{len(arguments)} {_type(arguments[0])}s"
        )
    if origin is dict:
        return f"{_type(arguments[0])}: {_type(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    names = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}
    return {**names, datetime.date: "date", type(None): "null"}[annotation]


def _limits(field: FieldInfo) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [
        f"{sign} {getattr(one, name)}" for one in field.metadata for name, sign in signs.items() if hasattr(one, name)
    ]
    return f" {', '.join(found)}" if found else ""


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "empty"
    value = field.default
    if value is PydanticUndefined:
        return "**required**"
    if isinstance(value, Config):
        return f"`{_short(value)}`"
    if isinstance(value, tuple):
        shown = [_short(one) for one in value]
        return f"`[{', '.join(shown)}]`" if shown else "none"
    return "null" if value is None else f"`{str(value).lower() if isinstance(value, bool) else _short(value)}`"


def _short(value: Any) -> str:
    """A nested config by what it changes in its class's own defaults."""
    if not isinstance(value, Config):
        return f'"{value}"' if value in ("off", "on", "yes", "no") else str(value)  # which YAML takes for true or false
    changed = {n: v for n, f in type(value).model_fields.items() if (v := getattr(value, n)) != f.default}
    kind = {"kind": value.kind} if hasattr(value, "kind") else {}
    return "{" + ", ".join(f"{name}: {_short(one)}" for name, one in {**kind, **changed}.items()) + "}"


def _configs_in(annotation: Any) -> list[type[Config]]:
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return [annotation]
    return [found for one in typing.get_args(annotation) for found in _configs_in(one)]


def _is_list(annotation: Any) -> bool:
    return typing.get_origin(annotation) is tuple


def _commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield name, command
        return
    for below, one in command.commands.items():
        yield from _commands(f"{name} {below}", one)


def _command(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.name != "help"]
    usage = " ".join([name, *(_argument(p) for p in arguments), *(["[OPTIONS]"] if options else [])])
    rows = "".join(_parameter(p) for p in (*arguments, *options))
    table = f"\n| | default | meaning |\n|---|---|---|\n{rows}" if rows else ""
    return f"\n## {name}\n\n    {usage}\n\n{' '.join((command.help or '').split())}\n{table}"


def _argument(parameter: Any) -> str:
    name = parameter.name.upper() + ("…" if parameter.nargs == -1 else "")
    return name if parameter.required else f"[{name}]"


def _parameter(parameter: Any) -> str:
    is_argument = parameter.param_type_name == "argument"
    is_bare = is_argument or parameter.is_flag
    name = _argument(parameter) if is_argument else ", ".join(parameter.opts)
    value = "" if is_bare else f" {parameter.metavar or parameter.name.upper()}"
    is_shown = not parameter.required and (is_argument or not parameter.is_flag) and parameter.default is not None
    default = f"`{parameter.default}`" if is_shown else ""
    return f"| `{name}{value}` | {default} | {parameter.help or ''} |\n"


if __name__ == "__main__":
    main()
