"""What the classes of settings say of a place: which types fit, which kinds a union has, what stands there unsaid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel


def default_at(model: type[BaseModel], path: Sequence[str], values: Any) -> Any:
    """The list or mapping that stands under a path of keys and numbers where nobody wrote one, as plain values.

    `values` are the settings so far: their kinds say which class's default is meant. An empty list where a list belongs
    and none stands; None where neither a list nor a mapping without a class of its own belongs.
    """
    arms: list[Any] = [model]
    default: Any = None
    for part in path:
        owners = _owners(arms, default, values)
        values = _inside(values, part)
        if fields := [(one, one.model_fields[part]) for one in owners if part in one.model_fields]:
            if len(fields) > 1 and len({repr(field.get_default()) for _, field in fields}) > 1:
                return None
            owner, field = fields[0]
            default = getattr(default, part) if isinstance(default, owner) else field.get_default()
            arms = arms_of(field.annotation)
        else:
            arms = [entry for arm in arms for entry in entries_of(arm, int(part) if part.isdecimal() else part)]
            default = _inside(default, part)
    if isinstance(default, list | tuple | Mapping):
        return plain(default)
    return [] if any(get_origin(arm) in (list, tuple) for arm in arms) else None


def plain(value: Any) -> Any:
    """Settings as a person would write them: of a class its kind and what differs from its defaults."""
    if isinstance(value, BaseModel):
        said = {name for name in type(value).model_fields if name in value.model_fields_set or name == "kind"}
        return {name: plain(getattr(value, name)) for name in type(value).model_fields if name in said}
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


def arms_of(annotation: Any) -> list[Any]:
    """What a union may be, its own unions opened; anything else is itself. None is no arm."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return [] if annotation is type(None) else [annotation]
    if hasattr(annotation, "__metadata__"):
        return arms_of(get_args(annotation)[0])
    if get_origin(annotation) in (tuple, list, dict, set, frozenset, Literal) or not get_args(annotation):
        return [annotation]
    if isinstance(get_origin(annotation), type) and get_origin(annotation).__module__ == "collections.abc":
        return [annotation]
    return [arm for one in get_args(annotation) for arm in arms_of(one)]


def entries_of(arm: Any, part: int | str) -> list[Any]:
    """What stands under a number of a list or a key of a mapping."""
    arguments = [one for one in get_args(arm) if one is not Ellipsis]
    origin = get_origin(arm)
    if origin is dict or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return arguments[1:2]
    if origin is Literal or not arguments or not isinstance(part, int):
        return []
    return [arguments[min(part, len(arguments) - 1)]]


def kinds_of(arm: Any) -> tuple[str, ...]:
    """The values of a class's `kind`, by which a union tells its arms apart."""
    field = arm.model_fields.get("kind") if is_model(arm) else None
    return () if field is None else tuple(map(str, get_args(field.annotation)))


def is_model(arm: Any) -> bool:
    """Whether it is a class of settings."""
    return isinstance(arm, type) and issubclass(arm, BaseModel)


def below(model: type[BaseModel], wrong: str, levels: int) -> dict[str, list[str]]:
    """Where else a key of that very name stands, shallow places first; with the kinds that have it if not all do."""
    found: dict[str, list[str]] = {}
    waiting: list[tuple[str, type[BaseModel]]] = [("", model)]
    for _ in range(levels):
        inner = [
            (f"{before}{name}.", [arm for arm in arms_of(field.annotation) if is_model(arm)])
            for before, one in waiting
            for name, field in one.model_fields.items()
        ]
        for before, arms in inner:
            having = [arm for arm in arms if wrong in arm.model_fields]
            kinds = sorted(kind for arm in having for kind in kinds_of(arm)) if len(having) < len(arms) else []
            if having:
                found.setdefault(f"{before}{wrong}", kinds)
        waiting = [(before, arm) for before, arms in inner for arm in arms]
    return found


def fitting(arms: Sequence[Any], value: str) -> str | None:
    """How a word is written where settings of their own belong, as YAML: {kind: dpo}; None where it has no place."""
    if entries := [entry for arm in arms if get_origin(arm) in (tuple, list) for entry in entries_of(arm, 0)]:
        entry = fitting([one for entry in entries for one in arms_of(entry)], value)
        return None if entry is None else f"[{entry}]"
    if any(value in kinds_of(arm) for arm in arms):
        return f"{{kind: {value}}}"
    for arm in filter(is_model, arms):
        needed = [name for name, field in arm.model_fields.items() if field.is_required()]
        key = needed[0] if len(needed) == 1 else next((name for name in arm.model_fields if _form(arm, name)), None)
        if key is None:
            continue
        inner = arms_of(arm.model_fields[key].annotation)
        held = _form(arm, key).format(value) or (value if str in inner else fitting(inner, value))
        if held is not None:
            return "{" + "".join(f"kind: {kind}, " for kind in kinds_of(arm)[:1]) + f"{key}: {held}}}"
    return None


def _form(model: type[BaseModel], name: str) -> str:
    """How a word becomes this setting, {} in its place; empty where the setting says nothing of that."""
    extra = model.model_fields[name].json_schema_extra
    return str(extra.get("word", "")) if isinstance(extra, Mapping) else ""


def _owners(arms: list[Any], default: Any, values: Any) -> list[type[BaseModel]]:
    """The classes that settings may be of: those of the kind that is written, else that of the default."""
    classes = [arm for arm in arms if is_model(arm)]
    kind = values.get("kind") if isinstance(values, Mapping) else None
    if kind is not None:
        return [one for one in classes if kind in kinds_of(one) or not kinds_of(one)]
    return [type(default)] if isinstance(default, BaseModel) else classes


def _inside(values: Any, part: str) -> Any:
    if isinstance(values, Mapping):
        return values.get(part)
    is_there = isinstance(values, list | tuple) and part.isdecimal() and int(part) < len(values)
    return values[int(part)] if is_there else None
