"""A judge behind an address that behaves badly: what is lost, double, swapped, paid for and asked again.

The address (`hostile_endpoint.py`) prefers the longer answer, so that every judgment can be checked. It is silent,
answers 429, 500, half a JSON, a web page, nothing, everything twice, hangs up, is slow in another order each time, says
words instead of verdicts. Then the same is judged again from the replies that were kept, and by a judge with a budget.

    python benchmarks/endpoint_judge.py
    python benchmarks/endpoint_judge.py --tasks 60 --seeds 1
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hostile_endpoint import Hostile, hostile

from assent.core import seeds
from assent.core.types import Completion, Judgment, Prompt, Rater, Task
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.raters.asking import Asking, load_prompts
from assent.raters.collect import collect
from assent.raters.config import AutoraterConfig, EndpointJudgeConfig
from assent.raters.endpoint import EndpointJudge
from assent.raters.endpoint_cache import ReplyCache
from assent.raters.endpoint_client import EndpointClient
from assent.raters.panel import Panel
from assent.raters.rater import JudgingStoppedError
from assent.raters.rubric import Rubric

KEY = "sk-this-key-must-not-be-found-anywhere-0"
HEADER = (
    "| faults | seed | tasks | judged | skipped | lost | double | wrong | replies asked for twice | requests"
    " | of them again | of a second run | budget, billed when it stopped | seconds |"
)


@dataclass(frozen=True)
class Outcome:
    """One row of the table."""

    share: float
    seed: int
    tasks: int
    judged: int
    skipped: int
    lost: int
    double: int
    wrong: int
    twice: int
    requests: int
    again: int
    second: int
    budget: int
    billed: int
    found_key: int
    seconds: float

    def row(self) -> str:
        """As Markdown."""
        numbers = (self.tasks, self.judged, self.skipped, self.lost, self.double, self.wrong, self.twice)
        cells = [f"{self.share:.0%}", str(self.seed), *map(str, numbers), str(self.requests), str(self.again)]
        cells += [str(self.second), f"{self.budget}, {self.billed}", f"{self.seconds:.0f}"]
        return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--shares", type=float, nargs="*", default=[0.0, 0.3, 0.6])
    arguments = parser.parse_args()
    print(HEADER)
    print("|" + "---|" * (HEADER.count("|") - 1))
    found = 0
    for share in arguments.shares:
        for seed in range(arguments.seeds):
            outcome = run(arguments.tasks, share=share, seed=seed)
            found += outcome.found_key
            print(outcome.row(), flush=True)
    print(f"\nfiles that hold the key: {found}")


def run(number: int, *, share: float, seed: int) -> Outcome:
    """Judge all tasks against one address, then again; and against a second one with half the budget that it took."""
    given = tasks(number, seed)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        state = Hostile(fault_share=share, seed=seed, key=KEY)
        with hostile(state) as url:
            first = judge(url, folder / "cache")
            said = collected(folder / "whole.db", first, given)
            second = judge(url, folder / "cache")
            collected(folder / "again.db", second, given)
        took = time.monotonic() - began
        budget = state.billed // 2 + 20_000
        billed = stopped(folder, given, budget, share=share, seed=seed)
        holding = sum(KEY.encode() in path.read_bytes() for path in folder.rglob("*") if path.is_file())
    known = {task.id: task for task in given}
    ids = [one.task_id for one in said]
    return Outcome(
        share=share,
        seed=seed,
        tasks=number,
        judged=sum(one.ranking is not None for one in said),
        skipped=sum(one.ranking is None for one in said),
        lost=len(set(known) - set(ids)),
        double=len(ids) - len(set(ids)),
        wrong=sum(one.ranking is not None and one.ranking.rank() != right(known[one.task_id]) for one in said),
        twice=first.client.traffic.requests - first.client.traffic.again - len(state.asked),
        requests=first.client.traffic.requests,
        again=first.client.traffic.again,
        second=second.client.traffic.requests,
        budget=budget,
        billed=billed,
        found_key=holding,
        seconds=took,
    )


def stopped(folder: Path, given: Sequence[Task], budget: int, *, share: float, seed: int) -> int:
    """Tokens that a fresh address had billed when the judge stopped at its budget."""
    state = Hostile(fault_share=share, seed=seed + 1000, key=KEY)
    with hostile(state) as url:
        with contextlib.suppress(JudgingStoppedError):
            collected(folder / "budget.db", judge(url, folder / "other", budget_tokens=budget), given)
        return state.billed


def judge(url: str, cache: Path, *, budget_tokens: int | None = None) -> EndpointJudge:
    """A judge of pairs, with short pauses so that the table is quick."""
    backend = EndpointJudgeConfig(
        base_url=url, model="judge", concurrency=8, timeout=1.0, retries=8, budget_tokens=budget_tokens
    )
    asking = Asking(Rubric.load("hhh"), load_prompts("plain"))
    client = EndpointClient(backend, KEY, ReplyCache(cache), {"rubric": asking.rubric.hash}, first_pause=0.02)
    return EndpointJudge(Rater(id="judge", kind="autorater"), AutoraterConfig(backend=backend), asking, client)


def collected(path: Path, asked: EndpointJudge, given: Sequence[Task]) -> list[Judgment]:
    """All judgments of the tasks, through a store."""
    with Store.open(f"sqlite:///{path}") as store:
        store.add_tasks(given, now=time.time())
        collect(store, Panel((asked,)), Queue(), clock=time.time)
        return store.judgments(Queue())


def tasks(number: int, seed: int) -> list[Task]:
    """Pairs of answers of drawn lengths, a tenth of them equally long."""
    random = seeds.stream(seed, "endpoint judge")
    made = []
    for n in range(number):
        prompt = Prompt.of(f"question {n}")
        first, second = random.integers(5, 60, size=2).tolist()
        lengths = (first, first if random.random() < 0.1 else second)
        answers = [
            Completion(prompt_id=prompt.id, text="ab"[k] * length, id=f"{n}/{k}") for k, length in enumerate(lengths)
        ]
        made.append(Task(id=f"t{n:05}", prompt=prompt, completions=tuple(answers)))
    return made


def right(task: Task) -> dict[str, int]:
    """Place of each answer where longer is better."""
    lengths = sorted({len(one.text) for one in task.completions}, reverse=True)
    return {one.id: lengths.index(len(one.text)) for one in task.completions}


if __name__ == "__main__":
    main()
