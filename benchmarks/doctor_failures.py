"""Failures made on purpose: does the doctor see them in real logs? `python benchmarks/doctor_failures.py`.

One small policy is fine-tuned on the lab, its answers are ranked and a reward model is fitted, once for each seed. Each
failure then changes a few settings, or one number where no setting can do harm, and the stages that it concerns are
really run; `assent doctor RUN` must name it. The start itself must raise no alarm. Runs that end with an error are
read too: their logs are there. What the doctor says of runs that went well, of every method, is a column of
`benchmarks/methods.py`, where the truth tells how well.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assent.artifacts.stage import LogOptions, Runner
from assent.core.errors import NonFiniteError
from assent.core.files import write_json
from assent.core.types import Prompt
from assent.generation.local import LocalEngine
from assent.pipeline.doctor.logs import examine_logs
from assent.pipeline.places import open_project
from assent.pipeline.record import write_rounds
from assent.pipeline.rounds import prepare, run_round
from assent.pipeline.run import write_settings
from assent.stats.independent import wilson

CONFIG = Path("configs/demo.yaml")
RUNS = Path("runs")
SMALL: dict[str, Any] = {
    "base.shape": {"hidden": 96, "layers": 3, "heads": 4, "context": 160},
    "data": {"kind": "lab", "corpus": 3000, "demonstrations": 8000, "prompts": 2000},
    "sample": {"prompts": 400, "answers": 4, "sampling": {"temperature": 1.0, "max_new_tokens": 64}},
    "rounds": 1,
    "evaluate": None,
    "compute.threads": 1,
    "optimize.steps": 30,
}
RATE = "optimize.optimizer.learning_rate"
EVALUATED = {"evaluate": {"prompts": 120, "sampling": {"temperature": 1.0, "max_new_tokens": 64}, "raters_per_pair": 2}}
NO_POLICY = {"optimize.steps": 3, "optimize.critic_warmup": 0}
"""Where the failure is in the reward model, hardly any policy is trained."""


def words(prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
    """Longer is better."""
    return [len(text.split()) / 10 for text in completions]


def few_words(prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
    """Shorter is better."""
    return [-len(text.split()) / 5 for text in completions]


def nothing(prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
    """All are alike."""
    return [0.0 for _ in completions]


def sorry(prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
    """The more often it says sorry, the better; 5 at most."""
    return [min(5.0, 2.5 * text.lower().count("sorry")) for text in completions]


def rewarded(function: Callable[..., Any], **more: Any) -> dict[str, Any]:
    """PPO on a function alone, held by little."""
    target = f"benchmarks.doctor_failures:{function.__name__}"
    return {
        "optimize.rewards": [{"kind": "python", "target": target}],
        "optimize.kl": {"kind": "fixed", "coefficient": 0.002},
        "optimize.steps": 60,
    } | more


@contextlib.contextmanager
def another_sampler() -> Iterator[None]:
    """The sampler's log-probabilities are those of another temperature, by a tenth of a nat and more."""
    own = LocalEngine.generate

    def generate(self: LocalEngine, *given: Any, **named: Any) -> Any:
        answers = own(self, *given, **named)
        for row in answers:
            for one in row:
                one.logps[:] = one.logps * 1.5 - 0.05
        return answers

    LocalEngine.generate = generate  # type: ignore[method-assign]
    try:
        yield
    finally:
        LocalEngine.generate = own  # type: ignore[method-assign]


@dataclass(frozen=True)
class Failure:
    """What is done wrong, and words of which the doctor must say one: the same mistake may show in several ways."""

    name: str
    settings: dict[str, Any]
    said: str | tuple[str, ...]
    until: str = "policy"
    """sft: only fine-tuning is run."""
    within: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext

    def is_named(self, warnings: Sequence[str]) -> bool:
        """Whether any of its words were said."""
        words = (self.said,) if isinstance(self.said, str) else self.said
        return any(word in one for word in words for one in warnings)


DPO = {"kind": "dpo", "epochs": 2, "batch_size": 16, "optimizer": {"learning_rate": 0.0003}}
FAILURES = (
    Failure("sft rate too high", {"sft.optimizer.learning_rate": 1.0}, "loss", "sft"),
    Failure("sft rate too low", {"sft.optimizer.learning_rate": 1e-9}, "did not fall", "sft"),
    Failure(
        "sft by heart",
        {"data.demonstrations": 120, "sft.epochs": 40, "sft.eval_share": 0.3, "sft.batch_size": 8},
        "learns by heart",
        "sft",
    ),
    Failure("raters do not read", NO_POLICY | {"collect.raters.careless_share": 1.0}, "no better than a coin"),
    Failure("reward by heart", NO_POLICY | {"sample.prompts": 60, "reward.epochs": 40}, "held-out ones in"),
    Failure("reward too sure", NO_POLICY | {"sample.prompts": 60, "reward.epochs": 60}, "miss what raters do"),
    Failure("reward rate too low", NO_POLICY | {"reward.optimizer.learning_rate": 1e-9}, "did not fall"),
    Failure("reward rate too high", NO_POLICY | {"reward.optimizer.learning_rate": 3.0}, ("coin", "gradients grew")),
    Failure("dpo rate too high", {"optimize": DPO | {"optimizer": {"learning_rate": 0.01}}}, "become unlikely"),
    Failure("dpo by heart", {"optimize": DPO | {"epochs": 30}}, ("known by heart", "become unlikely")),
    Failure("dpo rate too low", {"optimize": DPO | {"optimizer": {"learning_rate": 1e-9}}}, "hardly moved"),
    Failure("ppo rate too high", {RATE: 0.02}, ("nats per answer at the end", "the reward fell")),
    Failure("ppo rate too low", {RATE: 1e-9}, "did not rise"),
    Failure("ppo held too tight", {"optimize.kl": {"kind": "fixed", "coefficient": 20.0}}, "did not rise"),
    Failure(
        "ppo not held",
        {"optimize.kl": {"kind": "off"}, RATE: 0.005, "optimize.steps": 80},
        ("stay sensible", "become alike"),
    ),
    Failure("answers cut", {"optimize.sampling": {"max_new_tokens": 10}}, "hit the limit of tokens"),
    Failure("longer is better", rewarded(words, **{"optimize.reward_clip": None}), "became longer"),
    Failure("shorter is better", rewarded(few_words, **{"optimize.reward_clip": None}), "became shorter"),
    Failure("reward says nothing", rewarded(nothing), "get the same reward"),
    Failure("reward at its clip", rewarded(sorry, **{"optimize.steps": 100}), "at its clip"),
    Failure("one phrase pays", rewarded(sorry, **{"optimize.steps": 100}), "answers become alike"),
    Failure("reward gamed", rewarded(few_words, **EVALUATED, **{"optimize.reward_clip": None}), "was gamed"),
    Failure("value model broken", {"optimize.value_optimizer.learning_rate": 3.0}, ("of the returns", "was ended")),
    Failure("steps too large", {"optimize.epochs": 8, "optimize.kl_limit": 0.0005, RATE: 0.005}, "KL limit cut in"),
    Failure("control runs off", {RATE: 0.01, "optimize.kl.target": 0.5, "optimize.kl.horizon": 100}, "still"),
    Failure("sampler is another", {}, "sampler and learner differ", within=another_sampler),
)


def main() -> None:
    """Run what is not there yet, and say what was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="*", default=[], help="names of failures, or start")
    parser.add_argument("--out", type=Path, default=RUNS / "doctor.json")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for seed in arguments.seeds:
        for failure in FAILURES:
            if not arguments.only or failure.name in arguments.only:
                said = warnings_of(failure, seed)
                rows.append({"failure": failure.name, "seed": seed, "seen": failure.is_named(said)})
                rows[-1]["said"] = said
                print(json.dumps(rows[-1]), flush=True)
        if not arguments.only or "start" in arguments.only:
            rows.append({"healthy": "start", "seed": seed, "said": warned(start_of(seed))})
            print(json.dumps(rows[-1]), flush=True)
    write_json(arguments.out, rows)
    seen, alarms = [r["seen"] for r in rows if "failure" in r], [bool(r["said"]) for r in rows if "healthy" in r]
    for title, found in (("failures named", seen), ("starts with an alarm", alarms)):
        if found:
            print(f"{title}: {sum(found)} of {len(found)}, {wilson(sum(found), len(found))}")


def warnings_of(failure: Failure, seed: int) -> list[str]:
    """Run it, and give the warnings of its logs."""
    name = f"doctor-{seed}-{failure.name.replace(' ', '-').replace('+', '')}"
    start = start_of(seed)
    folder = RUNS / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(start, folder)
    shutil.rmtree(folder / "round-1")
    shutil.copyfile(start.with_suffix(".db"), folder.with_suffix(".db"))
    for old in (folder / "logs").glob("*"):  # what the start logged is not this run's
        shutil.rmtree(old)
    with failure.within(), contextlib.suppress(NonFiniteError):
        run(failure.settings, name, seed, until=failure.until)
    said = warned(folder)
    shutil.rmtree(folder)
    (RUNS / f"{name}.db").unlink(missing_ok=True)
    return said


def start_of(seed: int) -> Path:
    """The run of a seed that all others begin with; its policy takes three steps and is of no interest."""
    start = RUNS / f"doctor-{seed}-start"
    if not (start / "round-1").is_dir():
        run(NO_POLICY, start.name, seed, until="policy")
    return start


def warned(folder: Path) -> list[str]:
    """The warnings of a run's logs."""
    return [str(finding) for finding in examine_logs(folder) if finding.level == "warning"]


def run(settings: dict[str, Any], name: str, seed: int, *, until: str) -> None:
    """A run of its own, to the end or to the fine-tuned policy."""
    own = {"name": name, "seed": seed, "store.url": f"sqlite:///{(RUNS / name).resolve()}.db"}
    chosen = {**SMALL, **own, **settings}
    config = open_project(CONFIG, (), tuple(f"{key}={json.dumps(value)}" for key, value in chosen.items())).config
    folder = RUNS / name
    with Runner(folder, seed=seed, logs=LogOptions(quiet=True, tensorboard=False)) as runner:
        write_settings(folder, config)
        try:
            start = prepare(runner, config)
            if until == "policy":
                with runner.within("round", 1):
                    run_round(runner, config, start, [])
        finally:
            write_rounds(folder, runner.steps)


if __name__ == "__main__":
    main()
