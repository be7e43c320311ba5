"""Preference rows pass gather one by one: what is written, counted and said is what lists in memory would give."""

from __future__ import annotations

import gc
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from assent.artifacts.jsonl import Records, read_records, write_records
from assent.artifacts.stage import StageContext
from assent.core.lazy import Chained, Mapped, Picked, pick
from assent.core.runlog import RunLog
from assent.core.types import Comparison, Conversation, Prompt
from assent.data.config import Source
from assent.data.formats import Said
from assent.data.heldout import set_aside, take_out
from assent.data.identity import Numbering, distinct
from assent.data.inspect import inspect
from assent.data.load import load_comparisons, load_conversations, load_prompts, load_said
from assent.data.task_records import TaskRecord
from assent.feedback.queue import imports
from assent.feedback.queue.bringing import Bringing
from assent.feedback.records.queue import ImportCounts
from assent.feedback.said_files import read_said
from assent.feedback.store import Store
from assent.pipeline.commands.project import load_any
from assent.pipeline.config import FileData, RunConfig
from assent.pipeline.doctor.data import load_material
from assent.pipeline.imported import IMPORTED, count_of
from assent.pipeline.stages.gather import gather_comparisons, gather_conversations, gather_prompts, label, shuffled

WORDS = ("river", "stone", "candle", "window", "market", "winter", "garden", "letter", "engine", "copper", "yellow")


def asked(n: int) -> str:
    return "what " + " ".join(WORDS[(n * k + k) % len(WORDS)] for k in (1, 3, 5, 7, 9)) + f" {chr(97 + n % 26)}{n}x"


def write_rows(path: Path) -> None:
    """Forty rows, every fourth of which asks again what an earlier one asks, and two that cannot be used."""
    rows = [
        json.dumps({"prompt": asked(n - 3 if n % 4 == 3 else n), "chosen": f"yes {n // 8}", "rejected": f"no {n // 8}"})
        for n in range(40)
    ]
    rows[5], rows[17] = '{"prompt": "half', json.dumps({"prompt": "x", "chosen": "", "rejected": "y"})
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def context(folder: Path) -> StageContext:
    output, scratch = folder / "output", folder / "scratch"
    output.mkdir()
    scratch.mkdir()
    return StageContext(output, scratch, RunLog(folder / "log", quiet=True, tensorboard=False), 0, {}, "key")


def test_gather_writes_what_lists_in_memory_would_give(tmp_path: Path) -> None:
    write_rows(tmp_path / "one.jsonl")
    write_rows(tmp_path / "two.jsonl")
    sources = [
        Source(path=tmp_path / "one.jsonl", skip_bad=True),
        Source(path=tmp_path / "two.jsonl", skip_bad=True, weight=0.5, limit=30),
    ]
    evaluation = [Prompt.of(asked(2)), Prompt.of(asked(8) + " please"), Prompt.of("something else altogether here")]
    ctx = context(tmp_path)
    facts = gather_comparisons(ctx, sources, evaluation, None)
    marked, reports = [], []
    for source in sources:
        items, report = load_comparisons([source])
        marked += [c.model_copy(update={"meta": {**c.meta, "source": label(source)}}) for c in items]
        reports.append(report)
    apart = Numbering()
    kept = take_out(list(map(apart, marked)), evaluation)
    written = read_records(ctx.output / "comparisons.jsonl", Comparison)
    assert written == kept.items and 0 < len(written) < len(marked) == 38 + 15
    assert facts["comparisons"] == len(written) and facts["unnamed_again"] == apart.again > 10
    assert (facts["held_out_equal"], facts["held_out_near"]) == (kept.equal, kept.near) and kept.equal == 2
    assert facts["bad_rows"] == sum(report.num_bad for report in reports) == 4
    quarantined = (ctx.output / "quarantine-0.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["line"] for line in quarantined] == [6, 18]


def test_prompts_are_set_aside_as_of_lists_in_memory(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl")
    data = FileData(comparisons=(Source(path=tmp_path / "rows.jsonl", skip_bad=True),), eval_share=0.3)
    ctx = context(tmp_path)
    facts = gather_prompts(ctx, data, None, None)
    prompts, report = load_prompts(data.comparisons)
    asked = distinct(prompts)
    apart = set_aside(asked.prompts, [], share=0.3, seed=0)
    written = [read_records(ctx.output / f"{name}.jsonl", Prompt) for name in ("prompts", "eval")]
    assert isinstance(apart.train, list) and written == [
        shuffled(apart.train, ctx.seed),
        shuffled(apart.evaluation, ctx.seed),
    ]
    assert facts["repeated"] == asked.repeated > 5 and facts["bad_rows"] == report.num_bad == 2
    assert facts["eval"] == len(written[1]) > 3 and facts["prompts"] + facts["eval"] == len(asked.prompts)


def test_demonstrations_are_written_as_of_lists_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "talks.jsonl"
    rows = [{"prompt": asked(n), "completion": f"yes {n}"} for n in range(30)]
    path.write_text(
        "".join(json.dumps(row) + "\n" for row in (*rows[:9], {"prompt": "x", "completion": ""}, *rows[9:]))
    )
    sources = [Source(path=path, skip_bad=True, weight=1.5), Source(path=path, skip_bad=True, limit=5)]
    evaluation = [Prompt.of(asked(2)), Prompt.of(asked(8) + " please")]
    ctx = context(tmp_path)
    facts = gather_conversations(ctx, sources, "demonstrations", evaluation, None)
    loaded, report = load_conversations(sources)
    kept = take_out(loaded, evaluation)
    written = read_records(ctx.output / "demonstrations.jsonl", Conversation)
    assert written == kept.items and len(loaded) == 45 + 5
    assert (facts["demonstrations"], facts["bad_rows"]) == (len(written), report.num_bad) == (len(written), 1)


@pytest.mark.slow
def test_the_doctor_holds_no_row(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl")
    held = in_memory(Comparison)
    rows = [{"path": str(tmp_path / "rows.jsonl"), "skip_bad": True}]
    data = {"kind": "files", "comparisons": rows, "prompts": rows}
    config = RunConfig.parse({"name": "p", "base": {"kind": "pretrained", "path": "nowhere"}, "data": data}, where="p")
    material = load_material(config).material
    assert more(held, Comparison) == 0
    sources = [Source(path=tmp_path / "rows.jsonl", skip_bad=True)]
    assert list(material.comparisons) == load_comparisons(sources)[0] and len(material.comparisons) == 38
    assert list(material.prompts) == load_prompts(sources)[0]
    assert not list(Path(tempfile.gettempdir()).glob("assent-*/records.jsonl"))


def test_records_are_written_one_by_one_and_nothing_is_left_where_that_fails(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    prompts = [Prompt.of(f"question {n}\nand a line") for n in range(5)]
    seen: list[int] = []

    def given(count: int) -> Iterator[Prompt]:
        for n in range(count):
            seen.append(len([p for p in tmp_path.iterdir() if "partial" in p.name]))
            yield prompts[n]

    assert write_records(path, given(5)) == 5 and seen == [1] * 5
    with pytest.raises(IndexError):
        write_records(path, given(6))
    assert [p.name for p in tmp_path.iterdir()] == ["prompts.jsonl"]
    held = Records(path, Prompt)
    assert list(held) == prompts == read_records(path, Prompt)
    assert held[-1] == prompts[4] and list(held[1:4:2]) == prompts[1:4:2]
    with pytest.raises(IndexError):
        held[5]


def test_lazy_sequences_are_as_lists() -> None:
    numbers = list(range(10, 20))
    some = np.array([3, 4, 9])
    both = Chained(numbers[:3], [], Picked(numbers, some))
    assert list(both) == [10, 11, 12, 13, 14, 19] and both[3] == 13 and both[-1] == 19 and len(both) == 6
    squares = Mapped(lambda n, m: n * m, numbers, numbers)
    assert squares[2] == 144 and list(squares[-2:]) == [18 * 18, 19 * 19]
    assert list(Mapped(lambda n, m: (n, m), numbers, squares)) == list(zip(numbers, squares, strict=True))
    assert pick(numbers, some) == [13, 14, 19] and list(pick(squares, some)) == [169, 196, 361]
    with pytest.raises(ValueError, match="one item of each"):
        Mapped(lambda n, m: (n, m), numbers, numbers[:3])


def test_a_look_at_data_holds_no_row(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl")
    source = Source(path=tmp_path / "rows.jsonl", skip_bad=True)
    held, read, alive = in_memory(Comparison), [], []
    items, _ = load_any(source)
    assert more(held, Comparison) == 0

    def count() -> None:
        read.append(1)
        alive.extend([more(held, Comparison)] if len(read) == len(items) else [])

    found = inspect(items, on_item=count)
    assert alive[0] <= 2, "the last one and the one before it"
    assert found == inspect(load_comparisons([source])[0]) and found.num_items == 38


def test_an_import_holds_few_rows_and_ends_as_of_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "freeze", lambda: None)  # what is frozen cannot be counted
    write_rows(tmp_path / "rows.jsonl")
    source = Source(path=tmp_path / "rows.jsonl", skip_bad=True)
    held, added, alive = in_memory(Comparison, TaskRecord), [], []
    said, _ = read_said([source])
    assert more(held, Comparison, TaskRecord) == 0 and len(said.comparisons) == 38
    monkeypatch.setattr(imports, "BLOCK", 5)
    add = Bringing.add

    def counted(self: Bringing, records: Sequence[TaskRecord]) -> None:
        added.append(len(records))
        alive.extend([more(held, Comparison, TaskRecord)] if len(added) % 8 == 0 else [])
        add(self, records)

    monkeypatch.setattr(Bringing, "add", counted)

    def imported(name: str, items: Sequence[Said]) -> tuple[ImportCounts, int]:
        with Store.open(f"sqlite:///{tmp_path}/{name}.db") as store:
            counts = store.import_comparisons(items, IMPORTED, now=1.0)
            return counts, store.listing.with_comparisons(IMPORTED, count_of)

    found = imported("lazy", said.comparisons)
    assert added == [5] * 7 + [3] and alive[0] <= 4 * 5, (
        "comparisons and records of the last block and the one before it"
    )
    again = Numbering()
    assert imported("list", list(map(again, load_said([source])[0]))) == found and alive[1] > 38
    assert found[1] == 38 and said.again == again.again > 0
    one, other = (Store.open(f"sqlite:///{tmp_path}/{name}.db") for name in ("lazy", "list"))
    with one, other:
        assert one.comparisons(IMPORTED) == other.comparisons(IMPORTED)


def in_memory(*kinds: type) -> dict[int, object]:
    """All of these that there are, by where they are; who holds it keeps them there."""
    return {id(one): one for one in gc.get_objects() if isinstance(one, kinds)}


def more(held: dict[int, object], *kinds: type) -> int:
    """How many there are besides those held."""
    return len(in_memory(*kinds).keys() - held.keys())
