"""A cluster that does not come up is an error of one line that says where it was looked for."""

from __future__ import annotations

from typing import Any

import pytest

from assent.core.errors import RunError

pytest.importorskip("ray")
from assent.cluster import driver


@pytest.mark.parametrize("kind", [Exception, ConnectionError, RuntimeError])
@pytest.mark.parametrize(("address", "where"), [(None, "this machine"), ("10.0.0.1:6379", "10.0.0.1:6379")])
def test_what_ray_raises_at_its_start_is_said_in_one_line(
    kind: type[Exception], address: str | None, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise kind("The current node timed out during startup.\nThis could happen because some processes failed")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(driver.ray, "init", fails)
    layout = driver.Layout(learners=1, engines=1, address=address, gpus=0, engine_gpus=0, threads=1)
    with pytest.raises(RunError, match=rf"at {where}: The current node timed out .* some processes failed$") as error:
        driver._start(layout)
    assert "\n" not in str(error.value)
