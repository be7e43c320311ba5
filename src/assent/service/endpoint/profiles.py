"""Profiles of a served policy: the base is loaded once, each profile is an adapter and principles on it.

A profile of the policy `policy` is asked as the model `policy:ja`. Whether it may be used is looked up at each request,
so one that expires, or is edited, while the server runs is refused with words from then on.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from assent.artifacts.find import model_folder
from assent.artifacts.store import Artifact
from assent.core.errors import UserError
from assent.models.adapters import Adapters
from assent.pipeline.profile_use import ProfilePolicy
from assent.profiles.tree import NotUsableError, Tree, read_tree
from assent.service.endpoint.models import ServedPolicy
from assent.service.endpoint.refused import Refused

Today = Callable[[], datetime.date]


def with_profiles(
    served: ServedPolicy, source: str, folder: Path, *, today: Today = datetime.date.today
) -> dict[str, ServedPolicy]:
    """A served policy with every profile of a folder, by the names they are asked by.

    `source` is what the policy was named by: profiles that start from another policy are refused when asked for.
    Raises ConfigError where the tree cannot be right.
    """
    tree = read_tree(folder)
    adapters = Adapters(served.policy)
    found = {served.name: replace(served, within=lambda: adapters.using(None))}
    for name in children_of(tree):
        profile = tree.get(name)
        asked_as = f"{served.name}:{name}"
        one, adapter = replace(served, name=asked_as, principles=tree.principles(name)), None
        misfit = ""
        try:
            meant = ProfilePolicy.of_any(tree, name)
            misfit = _misfit(meant, source)
            if not misfit and meant.start is not None and meant.adapter is not None:
                adapters.add(asked_as, meant.adapter)
                adapter = asked_as
        except UserError as error:
            misfit = str(error)
        found[asked_as] = replace(
            one,
            within=lambda adapter=adapter: adapters.using(adapter),  # type: ignore[misc]
            refuse=_refusal(folder, name, profile.policy, misfit, today),
        )
    return found


def children_of(tree: Tree) -> Iterator[str]:
    """All profiles but the root, which is the policy itself."""
    yield from (name for name, profile in tree.profiles.items() if profile.parent is not None)


def _misfit(meant: ProfilePolicy, source: str) -> str:
    """Why the served policy is not the one that a profile is made for; empty where it is."""
    base: Artifact = meant.start or meant.artifact
    served = model_folder(source)
    if isinstance(served, Path) and served.resolve() == base.file("policy").resolve():
        return ""
    return f"it is made for {base.name}, which is not the policy that is served here; serve {base.folder}"


def _refusal(folder: Path, name: str, policy: str | None, misfit: str, today: Today) -> Callable[[], None]:
    def refuse() -> None:
        try:
            profile = read_tree(folder).usable(name, today())
        except NotUsableError as error:
            raise _refused(403, f"the profile {name!r} may not be used: {_without_path(str(error))}") from None
        except UserError as error:
            raise _refused(503, f"the profiles cannot be read: {_without_path(str(error))}") from None
        if profile.policy != policy:
            raise _refused(503, f"the profile {name!r} was fitted anew; the server has to be started again")
        if misfit:
            raise _refused(403, f"the profile {name!r} may not be used: {_without_path(misfit)}")

    return refuse


def _refused(status: int, said: str) -> Refused:
    return Refused(status, said, param="model", code="profile_not_usable")


def _without_path(said: str) -> str:
    """Whoever asks is told the reason, not where files lie, nor which command mends it."""
    return said.partition(".yaml: ")[2].partition(";")[0] or said.partition(";")[0]
