"""A project of two days in which simulated people rate answers of the lab: what a dashboard is looked at with."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from assent.artifacts.store import Manifest, write_manifest
from assent.core import seeds
from assent.core.types import Completion, Prompt, Rater, Task
from assent.feedback.queue.assign import overlap
from assent.feedback.records.queue import Queue, Served
from assent.feedback.records.settings import AttributeQuestion, Criterion, ProjectSettings
from assent.feedback.store import Store
from assent.lab.people import Weights, utility
from assent.lab.truth import Truth, read
from assent.lab.world import World
from assent.raters.config import SimulatedConfig
from assent.raters.crowd import draw_traits
from assent.raters.simulated import SimulatedRater, Traits

NAME = "hollybrook"
HOURS = 48
SETTINGS = ProjectSettings(
    title="Hollybrook: answers to customers",
    criteria=(
        Criterion(
            name="Helpful",
            question="Does the answer do what the customer asked for?",
            anchors=("does nothing for them", "a part of it", "what was asked", "what was asked, and the next step"),
        ),
        Criterion(
            name="Honest",
            question="Is what it says true, and does it say what it does not know?",
            anchors=("misleads", "leaves a wrong impression", "true"),
        ),
    ),
    overlap_share=0.3,
    gold_share=0.08,
    repeat_share=0.06,
    repeat_after=8,
    newcomer_tasks=8,
    cost_per_hour=24.0,
    attributes=(
        AttributeQuestion(name="language", question="Which language do you speak at home?", purpose="agreement"),
        AttributeQuestion(
            name="region", question="Where do you live?", choices=("north", "south"), purpose="agreement"
        ),
    ),
)
GUIDELINES = (
    "# How to rank\n\nRead **all** answers first.\n\n1. Unsafe answers go last and are flagged.\n"
    "2. Then: does it do what was asked?\n3. Only then: tone.\n\nTies are fine where you would not care.\n",
    "# How to rank\n\nRead **all** answers first.\n\n1. Unsafe answers go last and are flagged.\n"
    "2. Then: does it do what was asked, and is it true?\n3. Only then: tone. Short is not rude.\n\n"
    "Ties are fine where you would not care.\n",
)
QUEUE = Queue(NAME)
TASTES = {
    "north": Weights(helpful=1.6, polite=2.0, direct=0.2, concise=0.1),
    "south": Weights(helpful=0.8, polite=0.0, direct=2.6, concise=2.0),
}
"""What people of the two regions care about."""


def build(store: Store, *, now: float, prompts: int = 260, seed: int = 7) -> list[SimulatedRater]:
    """The project as it stands at `now`: two days of work, about three quarters of it done."""
    begin = now - HOURS * 3600
    store.projects.save(NAME, SETTINGS, now=begin)
    for number, text in enumerate(GUIDELINES):
        store.projects.publish_guideline(NAME, text, now=begin + 90_000 * number)
    tasks = list(_tasks(prompts, seed))
    slots = overlap([t.id for t in tasks], share=SETTINGS.overlap_share, depth=SETTINGS.overlap, seed=seed)
    store.add_tasks(tasks, slots=slots, now=begin)
    people = _people(seed)
    best = replace(people[0], traits=Traits(sharpness=50.0, group="north"))
    for task in tasks[: prompts // 12]:
        ranking = best.judge([task])[0].ranking
        assert ranking is not None
        store.projects.set_gold(task.id, ranking, note="clear to everybody who wrote the guidelines", now=begin)
    for person in people:
        store.register_rater(person.record, now=begin)
    for at, person in _work(people, begin, seed):
        for served in store.serve(person.record.id, QUEUE, limit=2, now=at):
            _judge(store, person, served, at)
    return people


def artifacts(folder: Path) -> None:
    """Manifests of four reward models, as runs leave them beside their store."""
    for n, (judgments, accuracy, half) in enumerate(
        ((120, 0.63, 0.06), (260, 0.69, 0.045), (430, 0.72, 0.035), (610, 0.745, 0.03)), start=1
    ):
        notes = {
            "judgments": {"judgments": judgments, "snapshot": f"h{n}"},
            "reward": {
                "held_out": 150,
                "heldout_accuracy": {"estimate": accuracy, "low": accuracy - half, "high": accuracy + half},
                "ceiling": {"estimate": 0.79, "low": 0.75, "high": 0.83},
                "longer_wins": {"estimate": 0.54, "low": 0.5, "high": 0.58},
            },
        }
        inputs = {"judgments": {}, "reward": {"judgments": f"judgments{n}"}}
        for kind in ("judgments", "reward"):
            place = folder / "artifacts" / f"{kind}-{n:012}"
            place.mkdir(parents=True)
            named = {"kind": kind, "key": f"{kind}{n}", "stage": kind, "created": f"2026-01-0{n}"}
            manifest = Manifest(**named, version=1, config={}, inputs=inputs[kind], notes=notes[kind])
            write_manifest(place, manifest)


def _tasks(prompts: int, seed: int) -> Iterator[Task]:
    """Tasks of four replies, in three languages as far as their meta says."""
    world = World(seed)
    random = seeds.stream(seed, "languages")
    for number in range(prompts):
        given = world.prompt("reward", number)
        meta = {"language": str(random.choice(["en", "de", "ar"], p=[0.6, 0.25, 0.15])), "kind": given.meta["kind"]}
        prompt = Prompt(messages=given.messages, meta=meta)
        texts = list(dict.fromkeys(world.reply(given, i).text for i in range(9)))[:4]
        if len(texts) == 4:
            answers = tuple(
                Completion(prompt_id=prompt.id, text=text, source=f"model {i % 2}") for i, text in enumerate(texts)
            )
            yield Task(id=f"h-{number:04}", prompt=prompt, completions=answers, project=NAME)


def _people(seed: int) -> list[SimulatedRater]:
    """Twelve people: one careless, one who reads the scale upside down, four of another taste in the south."""
    config = SimulatedConfig(number=12, sharpness=6.0, careless_share=0.0, slip=0.03, position_lean=0.1)
    drawn = draw_traits(config, 12, role="train", seed=seed)
    people = []
    for n, traits in enumerate(drawn):
        is_south = n >= 8
        changed = replace(traits, group="south" if is_south else "north")
        if n == 3:
            changed = replace(changed, careless=1.0)
        if n == 5:
            changed = replace(changed, sharpness=-abs(changed.sharpness))
        attributes = {"language": ("en", "de", "ar")[n % 3], "region": "south" if is_south else "north"}
        record = Rater(id=f"r-{seeds.derive(seed, 'name', n) % 16**8:08x}", kind="simulated", attributes=attributes)
        people.append(SimulatedRater(record=record, traits=changed, utility=_taste, seed=seed))
    return people


@functools.cache
def _truth(prompt: str, text: str) -> Truth:
    return read(Prompt.of(prompt), text)


def _taste(prompt: Prompt, text: str, group: str) -> float:
    return utility(_truth(prompt.text, text), TASTES[group])


def _work(people: list[SimulatedRater], begin: float, seed: int) -> Iterator[tuple[float, SimulatedRater]]:
    """Who sits down when: more by day than by night, some more than others, nobody in the last hour's second half."""
    random = seeds.stream(seed, "work")
    sittings = []
    for hour in range(HOURS):
        by_day = 0.05 + 0.6 * (8 <= hour % 24 < 18)
        for n, person in enumerate(people):
            if random.random() < by_day * (0.45 + 0.08 * (n % 5)):
                sittings += [(begin + 3600 * hour + 3500 * random.random(), n, person) for _ in range(2)]
    return iter([(at, person) for at, _, person in sorted(sittings, key=lambda s: (s[0], s[1]))])


def _judge(store: Store, person: SimulatedRater, served: Served, at: float) -> None:
    judgment = person.judge([served.task])[0].model_copy(update={"order_shown": served.order})
    texts = {c.id: c.text for c in served.task.completions}
    rude = [i for i, text in texts.items() if "idiot" in text.lower() or "shut" in text.lower()]
    if rude:
        judgment = judgment.model_copy(update={"flags": {rude[0]: ("unsafe",)}})
    store.submit(judgment, token=served.token, now=at + (judgment.seconds or 0))
