"""The hub of models and data sets: asked once whether it answers, so that nobody waits for its retries."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
from pathlib import Path

DEADLINE = 5.0
"""Seconds in which the hub has to answer, once in the life of a process."""


def prepare(name: str | Path) -> None:
    """Before a name is looked for: where it is no folder and the hub does not answer, only the cache is asked."""
    if not Path(name).exists():
        unreachable()


def problem_of(name: str, *, revision: str | None = None) -> str | None:
    """Why a model cannot be had from the hub now; None where the hub answers, or the model is in its cache."""
    said = unreachable()
    if said is None or _is_cached(name, revision):
        return None
    return f"{name} is neither a folder here nor in the hub's cache, and {said}: the name was not checked"


@functools.cache
def unreachable() -> str | None:
    """Why the hub cannot be reached, in words; None where it answers, whatever it says.

    Where it does not answer, this process asks it nothing more: models and data sets that are cached still open, and
    others are missed at once.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE keeps this process from asking the hub"
    reason = _ask(constants.ENDPOINT, DEADLINE)
    if reason is None:
        return None
    constants.HF_HUB_OFFLINE = True
    os.environ["HF_HUB_OFFLINE"] = "1"  # for processes that this one starts
    if (datasets := sys.modules.get("datasets.config")) is not None:
        vars(datasets).update(HF_HUB_OFFLINE=True, HF_DATASETS_OFFLINE=True)
    return f"the hub could not be reached within {DEADLINE:g} s ({reason})"


def faults(*others: type[Exception]) -> tuple[type[Exception], ...]:
    """What is raised where an answer of the hub is an error or breaks off, and `others`.

    It is a class of the library that the hub's client asks with, which is no OSError in all of its versions.
    """
    from huggingface_hub.errors import HfHubHTTPError

    return (*(base for base in HfHubHTTPError.__bases__ if issubclass(base, Exception)), OSError, *others)


def _ask(url: str, seconds: float) -> str | None:
    """Why there was no answer, as the hub's own client asks, with its proxies; None where there was one."""
    from huggingface_hub import get_session

    said = ["no answer"]

    def ask() -> None:
        try:
            get_session().head(url, timeout=seconds)
            said.clear()
        except Exception as problem:  # whichever library asks, anything but an answer is none
            said[:] = [(str(problem).strip() or type(problem).__name__).splitlines()[0]]

    # Looking up an address has no timeout of its own, so the wait ends here and not there.
    asking = threading.Thread(target=ask, name="hub", daemon=True)
    asking.start()
    asking.join(seconds)
    return said[0] if said else None


def _is_cached(name: str, revision: str | None) -> bool:
    from huggingface_hub import snapshot_download

    with contextlib.suppress(Exception):  # no name of the hub, not cached, or a cache that cannot be read
        snapshot_download(name, revision=revision, local_files_only=True)
        return True
    return False
