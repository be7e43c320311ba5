"""The page about Python works as written: its blocks are executed in order, on a tiny model."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

import assent
from assent.models.tiny import save_tiny

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "python-api.md"
FILE = re.compile(r"# (\w+\.py)\n")
"""The first line of a block that is a file of its own."""


@pytest.mark.slow
def test_every_block_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    save_tiny(tmp_path / "my-model", "llama")
    rows = [{"prompt": f"What is {n}?", "chosen": "A number.", "rejected": "No."} for n in range(40)]
    Path("preferences.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    names: dict[str, Any] = {"__name__": "page"}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for block in blocks:
        if file := FILE.match(block):
            Path(file[1]).write_text(block, encoding="utf-8")
            importlib.invalidate_caches()
        else:
            exec(compile(block, str(PAGE), "exec"), names)
    assert len(blocks) == 5
    assert names["model"].num_parameters() > 0
    assert names["done"].metrics["rounds"][0]["artifacts"].keys() == {"optimize"}
    assert names["judge"].metrics["rounds"][0]["reward"]["heldout_accuracy"] is not None
    [said] = names["tuned"].verdict
    assert re.fullmatch(
        r"fine-tuned in \d+ steps: loss on held-out demonstrations [\d.]+ → [\d.]+ nats per token", said
    )
    assert "What the policy starts from" in names["tuned"].report.read_text(encoding="utf-8")
    assert assent.FinishedRun("runs/mine").verdict == assent.FinishedRun(tmp_path / "runs/mine").verdict
