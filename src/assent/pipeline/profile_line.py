"""Where a profile stands: in its tree, in a run whose policy and reward it starts from, beside a store of votes."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from assent.artifacts.find import find_artifact, store_at
from assent.artifacts.layout import RUN_SETTINGS
from assent.artifacts.project import PROFILES, run_of, write_steps
from assent.artifacts.stage import LogOptions, Runner
from assent.artifacts.store import Artifact
from assent.core.errors import ConfigError, UserError
from assent.feedback.config import SQLITE, StoreConfig
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.models.config import LoraConfig, ModelConfig
from assent.pipeline.config import RunConfig
from assent.pipeline.places import open_project
from assent.pipeline.stages.settings import OptimizeStage
from assent.profiles.config import Profile
from assent.profiles.tree import FOLDER, Tree, read_tree
from assent.raters.config import PeopleConfig, RatersConfig, SimulatedConfig
from assent.training.config import OptimizeConfig
from assent.training.method import Need

LORA = LoraConfig(rank=8, alpha=16.0)
"""The adapter of a profile where the run itself was not trained with one."""
LESSONS: frozenset[Need] = frozenset({"prompts", "reward", "judgments"})
"""What a profile has for a method to learn from."""
LORA_RATE = 10
"""So many times the learning rate of whole weights."""


@dataclass(frozen=True)
class Place:
    """Where profiles are, which run they belong to, and where votes are."""

    folder: Path = FOLDER
    store: str | None = None
    """URL or file; None: that of the run."""
    projects: tuple[str, ...] = ()
    """Of the store; none: all."""
    settings: tuple[str, ...] = ()
    """KEY=VALUE over the settings of the run."""

    def store_of(self, config: RunConfig | None) -> StoreConfig:
        """The store. Raises UserError where there is none."""
        if self.store is not None:
            url = self.store if "://" in self.store else StoreConfig(url=SQLITE + self.store).located(Path())
            found = StoreConfig(url=url)
        else:
            found = StoreConfig() if config is None else config.store
        if not found.exists:
            raise UserError(f"there is no store at {found.shown}; name it with --store")
        return found

    def projects_of(self, store: StoreConfig) -> tuple[str, ...]:
        """The projects whose votes count: those named, or all with votes to learn from.

        Raises UserError for one that is not there.
        """
        with Store.open(store.url) as opened:
            there = sorted(project.name for project in opened.projects.all())
            judged = [one for one in there if opened.counts(Queue(one, "reward")).have]
        if unknown := [one for one in self.projects if one not in there]:
            raise UserError(f"the store has no project {unknown[0]!r}; it has: {', '.join(there) or 'none'}")
        return tuple(self.projects or judged)


@dataclass(frozen=True)
class Line:
    """A profile in its tree and in the run that it belongs to: what it starts from."""

    tree: Tree
    profile: Profile
    run_folder: Path
    config: RunConfig
    policy: Artifact
    """The parent's."""
    reward: Artifact
    """The parent's."""
    learned: Artifact | None
    """Judgments that the run's own reward model was trained on."""
    prompts: Artifact

    @classmethod
    def of(cls, place: Place, name: str, start: str | None, *, today: datetime.date) -> Line:
        """Of a profile that starts from the policy `start` of a run (None: that of its own, or its parent's, last fit).

        Raises UserError where there is no run, no reward model, or a profile of the line is expired.
        """
        tree = read_tree(place.folder)
        profile = tree.get(name)
        if profile.parent is None:
            raise ConfigError(f"{tree.path(name)}: the root is everybody, and its policy is the run's own; fit a child")
        for one in tree.descent(name):
            if one.expires is not None and one.expires < today:
                raise ConfigError(f"{tree.path(one.id)}: expired on {one.expires}; set a later `expires`")
        parents = [one for one in reversed(tree.descent(name)[:-1]) if one.policy is not None]
        known = [one.policy for one in parents] + ([profile.policy] if profile.policy else [])
        named = start or (str(known[0]) if known else None)
        if named is None:
            raise UserError(f"{name}: say which policy it starts from: assent profile fit {name} --run runs/x/round-2")
        begun = find_artifact(named)
        base = _base_of(begun)
        run_folder = run_of(base)
        reward = _reward_of(base)
        config = open_project(run_folder / RUN_SETTINGS, (), place.settings).config
        store = store_at(begun.folder.parent)
        fitted = [one for one in parents if one.reward is not None]
        return cls(
            tree,
            profile,
            run_folder,
            config,
            find_artifact(str(parents[0].policy)) if parents else base,
            find_artifact(str(fitted[0].reward)) if fitted else reward,
            store.find(reward.manifest.parents.get("judgments", "")),
            _prompts_of(base),
        )

    @property
    def name(self) -> str:
        """Of the profile."""
        return self.profile.id

    @contextlib.contextmanager
    def runner(self) -> Iterator[Runner]:
        """Runs stages in the run's folder, each once."""
        logs = LogOptions(tensorboard=False)
        folder, home = self.run_folder, self.run_folder.parent
        with Runner(folder, seed=self.config.seed, logs=logs, home=home) as run, run.within("profile", self.name):
            run.noted = partial(write_steps, folder / PROFILES / self.name)
            yield run

    def raters(self) -> RatersConfig:
        """Who compares: people of the audience, or, in the lab, simulated people of its group."""
        raters = None if self.config.collect is None else self.config.collect.raters
        groups = self.tree.audience(self.name).get("group")
        if isinstance(raters, SimulatedConfig) and groups:
            return raters.model_copy(update={"groups": dict.fromkeys(groups, 1.0)})
        return PeopleConfig()


def optimizing(config: RunConfig) -> OptimizeStage:
    """How the adapter is trained: as the run's policies are, under LoRA.

    Of a run that trained whole weights the learning rate is taken ten times, as everywhere under LoRA. Raises
    ConfigError for a method that needs what a profile does not have.
    """
    optimize: OptimizeConfig | None = config.optimize
    if optimize is None:
        raise ConfigError("optimize is null, and a profile's adapter is trained by a method: --set optimize.kind=rloo")
    if lacking := sorted(optimize.needs - LESSONS):
        said = (
            f"optimize.kind is {optimize.kind}, which needs {', '.join(lacking)} of a run here, and a profile has none"
        )
        raise ConfigError(f"{said}: --set optimize.kind=rloo")
    model = config.model
    if model.lora is None:
        model = model.model_copy(update={"lora": LORA})
        faster = optimize.optimizer.model_copy(update={"learning_rate": LORA_RATE * optimize.optimizer.learning_rate})
        optimize = optimize.model_copy(update={"optimizer": faster})
    return OptimizeStage(optimize=optimize, model=model, compute=config.compute)


def loading(config: RunConfig) -> ModelConfig:
    """How models are loaded that are not trained."""
    return config.model.model_copy(update={"lora": None})


def _base_of(policy: Artifact) -> Artifact:
    """The run's own policy that a profile's descends from; itself where it is none of a profile's."""
    store = store_at(policy.folder.parent)
    while (reward := store.find(policy.manifest.parents.get("reward", ""))) is not None:
        if reward.manifest.stage != "profile reward":
            break
        start = store.find(policy.manifest.parents["start"])
        if start is None:
            raise UserError(f"{policy.name}: the policy that it started from is gone; run the project again")
        policy = start
    return policy


def _reward_of(policy: Artifact) -> Artifact:
    store = store_at(policy.folder.parent)
    found = store.find(policy.manifest.parents.get("reward", ""))
    if found is None:
        raise UserError(
            f"{policy.name} was not trained with a reward model, so there is none to add an offset to; name a round of"
            " a run that has one: --run runs/x/round-1"
        )
    return found


def _prompts_of(policy: Artifact) -> Artifact:
    store = store_at(policy.folder.parent)
    found = store.find(policy.manifest.parents.get("prompts", ""))
    if found is None:
        raise UserError(f"{policy.name}: the prompts that it was trained on are gone; run the project again")
    return found
