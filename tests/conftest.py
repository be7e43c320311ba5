"""Shape checks: annotations of tensors in the packages that compute with them are enforced while tests run.

jaxtyping binds the letters of one call (`" S"` is one length for all its arguments), beartype looks at every value.
Only this process is checked; a test that starts another one runs it as users do.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator

from jaxtyping import install_import_hook

from shape_check import CHECKED

if "ASSENT_CACHE" not in os.environ:
    # What tests hash is no business of the user's own cache.
    os.environ["ASSENT_CACHE"] = tempfile.mkdtemp(prefix="assent-tests-")
    atexit.register(shutil.rmtree, os.environ["ASSENT_CACHE"], ignore_errors=True)

install_import_hook(CHECKED, "shape_check.checked")

import numpy.random  # noqa: E402, F401 - numpy imports it late; a process forked just then would find half of it
import pytest  # noqa: E402 - after the hook

from assent.core import processor  # noqa: E402
from assent.feedback.tables import schema  # noqa: E402
from quick_stores import FirstMigrated  # noqa: E402


@pytest.fixture(autouse=True)
def a_processor_with_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings in bfloat16 mean it on every machine that tests run on; what is done elsewhere has tests of its own."""
    monkeypatch.setattr(processor, "_here", lambda: True)


@pytest.fixture(scope="session", autouse=True)
def stores_are_migrated_once() -> Iterator[None]:
    """Migrations run for the first new store of a process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "_upgrade", FirstMigrated().upgrade)
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: one that begins at the end would keep one worker busy while the others have nothing to do."""
    long = {item.path for item in items if any(map(item.get_closest_marker, ("slow", "browser")))}
    items.sort(key=lambda item: item.path not in long)
