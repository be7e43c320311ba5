"""Do profiles find planted cultures, and refuse shams? `python benchmarks/profiles.py --seeds 0 1 2` on the lab.

Two cultures are planted: people of the groups `plain` and `warm` (`lab/people.py`) rank answers, half of them written
along axes of tone. For each seed and group `assent profile fit` and `publish` run as a team would call them: the
offset is fitted, put to its trial, an adapter is trained (`--method`), and people of the group who gave no label
compare it with its parent, and with the adapter of the other culture. Shams: membership is shuffled over raters, and
the offset's trial is the same. RUN is the folder of a finished run of `configs/demo.yaml`; it is written into, so give
a copy.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from assent.artifacts.find import find_artifact
from assent.artifacts.jsonl import read_records
from assent.artifacts.project import RunFolder
from assent.core import seeds
from assent.core.hashing import short
from assent.core.types import Completion, Prompt
from assent.evaluation.report import EvaluationReport
from assent.feedback.config import StoreConfig
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.generation.config import Sampling
from assent.lab.tones import TONES, reply_at
from assent.models.config import ModelConfig
from assent.pipeline.backends import Backends, machine
from assent.pipeline.commands.profile import compared, fit, new, publish
from assent.pipeline.config import ComputeConfig
from assent.pipeline.profile_line import Line, Place
from assent.pipeline.ranked import Reading
from assent.pipeline.stages.profile_reward import ProfileRewardStage, poll_of, read_trial, seen_prompts, votes_in
from assent.pipeline.stages.sample import make_task
from assent.profiles.spread import positions
from assent.profiles.trial import try_offset
from assent.raters.collect import collect
from assent.raters.config import SimulatedConfig
from assent.raters.crowd import crowd
from assent.raters.simulated import lab_utility

TODAY = datetime.date(2026, 1, 1)
CULTURES = ("plain", "warm")
RLOO = {
    "kind": "rloo",
    "prompts_per_step": 24,
    "samples_per_prompt": 4,
    "sampling": {"temperature": 1.0, "max_new_tokens": 64},
    "kl": {"kind": "adaptive", "coefficient": 0.06, "target": 2.0, "horizon": 2000},
    "optimizer": {"learning_rate": 0.0006, "schedule": "linear", "floor": 0.1, "warmup": 0.05},
}
DPO = {"kind": "dpo", "epochs": 2, "batch_size": 16, "optimizer": {"learning_rate": 0.0003}}
"""How adapters are trained: on the profile's reward, or on the audience's own rankings. The rest is the default."""
FLOOR = [{"measure": "lab.harmless", "margin": 0.05}, {"measure": "lab.honest", "margin": 0.08}]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="runs/demo in a copy of its project")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--start", default="round-2", help="the round whose policy profiles start from")
    parser.add_argument("--prompts", type=int, default=960)
    parser.add_argument("--raters", type=int, default=60)
    parser.add_argument("--each", type=int, default=2, help="raters that rank each prompt")
    parser.add_argument("--candidates", choices=["spread", "sampled"], default="spread")
    parser.add_argument("--method", choices=["rloo", "dpo"], default="rloo")
    parser.add_argument("--steps", type=int, default=20, help="of RLOO")
    parser.add_argument("--set", dest="settings", nargs="*", default=[], help="of the run, as `assent run --set`")
    parser.add_argument("--compared", type=int, default=150, help="prompts of the comparison")
    parser.add_argument("--shams", type=int, default=20)
    parser.add_argument("--no-adapters", action="store_true", help="offsets and shams alone")
    parser.add_argument("--out", type=Path, default=Path("runs/profiles.json"))
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for seed in arguments.seeds:
        rows += seed_of(arguments, seed)
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def seed_of(arguments: argparse.Namespace, seed: int) -> list[dict[str, Any]]:
    """Both cultures and the shams of one seed."""
    method = DPO if arguments.method == "dpo" else RLOO | {"steps": arguments.steps}
    settings = (
        f"optimize={json.dumps(method)}",
        f"evaluate.prompts={arguments.compared}",
        "compute.threads=1",
        *arguments.settings,
    )
    place = place_of(arguments.run, seed, *settings)
    shutil.rmtree(place.folder.parent, ignore_errors=True)
    place.folder.parent.mkdir(parents=True)
    start = str(arguments.run / arguments.start)
    gather(arguments, StoreConfig(url=str(place.store)), start, seed)
    rows = []
    for culture in CULTURES:
        for _ in new(place, culture, parent=None, audience={"group": culture}):
            pass
        root = place.folder / "everyone.yaml"
        root.write_text(f"id: everyone\nsafety: {json.dumps(FLOOR)}\n", encoding="utf-8")
        began = time.time()
        found = offset_of(place, culture, start, seed) if arguments.no_adapters else whole(place, culture, start)
        rows.append({"seed": seed, "culture": culture, "seconds": time.time() - began, **found})
        print(json.dumps(rows[-1]), flush=True)
    if not arguments.no_adapters:
        rows.append({"seed": seed, "crossed": crossed(place, start)})
        print(json.dumps(rows[-1]), flush=True)
    rows.append({"seed": seed, "shams": shams(place, start, arguments.shams, seed)})
    print(json.dumps(rows[-1]), flush=True)
    return rows


def place_of(run: Path, seed: int, *settings: str) -> Place:
    """Where the profiles and the votes of a seed are."""
    work = run / "profiles" / f"seed-{seed}"
    return Place(work / "profiles", f"sqlite:///{work / 'votes.db'}", (), (f"seed={seed}", *settings))


def gather(arguments: argparse.Namespace, store: StoreConfig, start: str, seed: int) -> None:
    """Answers of the fine-tuned policy to prompts that no reward model has seen, ranked by a crowd of two cultures."""
    asked = find_artifact(start).manifest.parents["prompts"]
    folder = RunFolder(arguments.run).store().place(f"data-{short(asked)}")
    prompts = read_records(folder / "prompts.jsonl", Prompt)[-arguments.prompts :]  # rounds take theirs from the front
    write = sampled if arguments.candidates == "sampled" else spread
    tasks = [
        make_task(prompt, row, key=f"profiles {seed}")
        for prompt, row in zip(prompts, write(arguments, prompts, seed), strict=True)
    ]
    tasks = [task.model_copy(update={"project": "cultures"}) for task in tasks if len(task.completions) > 1]
    raters = SimulatedConfig(number=arguments.raters, sharpness=3.0, groups=dict.fromkeys(CULTURES, 1.0))
    panel = crowd(raters, lab_utility(), role="train", seed=seed)
    with Store.open(store.url) as opened:
        opened.add_tasks(tasks, slots=arguments.each, now=time.time())
        collect(opened, panel, Queue("cultures", "reward"), clock=time.time)


def sampled(arguments: argparse.Namespace, prompts: list[Prompt], seed: int) -> list[list[Completion]]:
    """Two answers of the fine-tuned policy and two of the one that profiles start from, to each prompt."""
    return [a + b for a, b in zip(*written(arguments, prompts, 2, seed), strict=True)]


def spread(arguments: argparse.Namespace, prompts: list[Prompt], seed: int) -> list[list[Completion]]:
    """Two right answers to each prompt, each elsewhere on the lab's axes of tone, beside one of each policy.

    Right answers alone would say nothing of faults, and the adapter would be free to make them.
    """
    found = []
    for prompt, *own in zip(prompts, *written(arguments, prompts, 1, seed), strict=True):
        places = positions(TONES, 2, seed=seed, name=prompt.id)
        said = [(reply_at(prompt, place, seed=seed).text, place) for place in places]
        toned = [Completion(prompt_id=prompt.id, text=t, source="tones", meta={"tone": p}) for t, p in said]
        found.append([*toned, *own[0], *own[1]])
    return found


def written(arguments: argparse.Namespace, prompts: list[Prompt], each: int, seed: int) -> list[list[list[Completion]]]:
    """`each` answers of both policies to every prompt."""
    compute, found = ComputeConfig(threads=1), []
    with machine(compute):
        for name in ("round-0", arguments.start):
            policy = find_artifact(str(arguments.run / name)).folder / "policy"
            rows = (
                Backends(ModelConfig(), compute)
                .writer_named(str(policy))
                .write(
                    prompts,
                    num_samples=each,
                    sampling=Sampling(temperature=1.0, max_new_tokens=64),
                    seed=seeds.derive(seed, "profiles", name),
                )
            )
            found.append(
                [
                    [one.completion(prompt, source=name) for one in row]
                    for prompt, row in zip(prompts, rows, strict=True)
                ]
            )
    return found


def whole(place: Place, culture: str, start: str) -> dict[str, Any]:
    """Fit and publish, as a team would."""
    said = [*fit(place, culture, start=start, today=TODAY)]
    line = Line.of(place, culture, start, today=TODAY)
    assert line.profile.reward is not None
    trial = read_trial(find_artifact(line.profile.reward))
    row = {"trial": trial.model_dump(mode="json"), "said": said}
    if line.profile.policy is None:
        return {**row, "verdict": "not published"}
    *words, verdict = publish(place, culture, start=start, today=TODAY)
    from assent.pipeline.passport import Passport

    passport = Passport.read(place.folder, culture)
    assert passport is not None and passport.wins is not None
    floor = None if passport.floor_held is None else passport.floor_held.verdict
    wins = passport.wins.headline.model_dump()
    return {**row, "wins": wins, "floor": floor, "verdict": verdict, "words": words}


def crossed(place: Place, start: str) -> dict[str, Any]:
    """How often each culture's people who gave no label prefer their own adapter to that of the other culture."""
    lines = [Line.of(place, culture, start, today=TODAY) for culture in CULTURES]
    adapters = [None if one.profile.policy is None else find_artifact(one.profile.policy) for one in lines]
    found = {}
    for number, line in enumerate(lines):
        own, other = adapters[number], adapters[1 - number]
        if own is not None and other is not None:
            report = EvaluationReport.read(compared(line, place.store_of(line.config), own, other).folder)
            assert report.win_rate is not None
            found[line.name] = report.win_rate.headline.model_dump()
    return found


def offset_of(place: Place, culture: str, start: str, seed: int) -> dict[str, Any]:
    """The trial alone."""
    poll, seen = poll_and_seen(place, culture, start)
    _, trial = try_offset(poll, level="shared", seen=seen, seed=seed)
    return {"trial": trial.model_dump(mode="json")}


def shams(place: Place, start: str, number: int, seed: int) -> list[dict[str, Any]]:
    """Trials of audiences that are drawn: as many raters as the first culture has, whoever they are."""
    poll, seen = poll_and_seen(place, CULTURES[0], start)
    found = []
    for sham in range(number):
        members = seeds.stream(seed, "profiles", "sham", sham).permutation(poll.members)
        _, trial = try_offset(replace(poll, members=members), level="shared", seen=seen, seed=sham)
        gain = None if trial.gain is None else trial.gain.model_dump()
        found.append({"passes": trial.passes, "p": trial.p, "gain": gain})
    return found


def poll_and_seen(place: Place, culture: str, start: str) -> Any:
    """The votes on the states of the parent's reward model."""
    line = Line.of(place, culture, start, today=TODAY)
    store = place.store_of(line.config)
    comparisons, raters = votes_in(store, place.projects_of(store))
    backends = Backends(ModelConfig(), ComputeConfig(threads=1))
    model = backends.reward_model(line.reward.file("reward"), trainable=False)
    reading = Reading(backends.renderer(model), model.trained_length, "drop", None, 4096)
    config = ProfileRewardStage(
        audience=line.tree.audience(culture), parents={}, level="shared", model=ModelConfig(), compute=ComputeConfig()
    )
    with machine(ComputeConfig(threads=1)):
        poll, _ = poll_of(model, reading, comparisons, raters, config)
    held_out = None if line.config.reward is None else line.config.reward.eval_share
    return poll, seen_prompts(line.learned, held_out)


if __name__ == "__main__":
    main()
