"""`assent gate`: whether a policy may take the place of another, from what was found of both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from assent.artifacts.find import find_artifact, model_folder, store_at
from assent.artifacts.identity import hash_whole
from assent.artifacts.store import Artifact
from assent.core.errors import DataError, UserError
from assent.evaluation.gate.config import read_gate
from assent.evaluation.gate.decide import EXIT_CODES, Verdict, in_words
from assent.evaluation.gate.dossier import PAGE, ask
from assent.evaluation.gate.dossier import replay as decide_again
from assent.evaluation.gate.evidence import LAB, Compared, Evidence
from assent.evaluation.outcomes import FOUND, Found
from assent.pipeline.commands.evaluate import EVALUATIONS, folder_of
from assent.pipeline.gating import evidence_of

DOSSIERS = Path("gate")


@dataclass(frozen=True)
class Subject:
    """One of the two policies, and where it was examined outside a run."""

    name: str
    artifact: Artifact | None
    """None for a model folder, a hub id, or a folder of `assent evaluate`."""
    found: dict[str, Found]
    """What `assent evaluate` found of it, by title."""

    @classmethod
    def named(cls, name: str, evaluations: Path) -> Subject:
        """What a name means. Raises UserError where it is nothing, DataError where its weights changed since."""
        if examined := _examined(Path(name)):
            return cls(name, None, examined)
        found = _examined(folder_of(evaluations, name))
        folder = model_folder(name)
        if any(one.weights for one in found.values()) and isinstance(folder, Path):
            weights = hash_whole(folder)
            for title, one in found.items():
                if one.weights not in ("", weights):
                    where = folder_of(evaluations, name) / title
                    raise DataError("was measured of other weights; examine the model again", path=where)
        return cls(name, find_artifact(name) if _is_artifact(folder) else None, found)


def gate(
    name: str, *, against: str | None, file: str | None, evaluations: Path = EVALUATIONS, to: Path | None = None
) -> Iterator[str | Verdict]:
    """Hold a policy against another, write the dossier, and yield what the gate says; the last is the verdict.

    Without `against` it is what the policy's round started from. Raises UserError where nothing was found of both.
    """
    new = Subject.named(name, evaluations)
    old = Subject.named(against, evaluations) if against is not None else _start_of(new, evaluations)
    evidence = _evidence(new, old)
    config = read_gate(file or ("lab" if LAB in evidence.suites else "default"))
    folder = to or folder_of(DOSSIERS, name if against is None else f"{name}-against-{against}")
    decision = ask(folder, config, evidence)
    yield from in_words(decision)
    yield f"dossier: {folder / PAGE}"
    yield decision.verdict


def replay(folder: Path) -> Iterator[str | Verdict]:
    """Decide again from a dossier alone; the last line is the verdict."""
    decision = decide_again(folder)
    yield from in_words(decision)
    yield f"{folder} gives the same verdict again"
    yield decision.verdict


def exit_code(verdict: str) -> int:
    """Of the command."""
    return {str(name): code for name, code in EXIT_CODES.items()}[verdict]


def _start_of(new: Subject, evaluations: Path) -> Subject:
    """What the policy was trained from."""
    start = None
    if new.artifact is not None:
        start = store_at(new.artifact.folder.parent).find(new.artifact.manifest.parents.get("start", ""))
    if start is None:
        raise UserError(f"{new.name}: what it shall be held against is not known; say it with --against")
    return Subject(start.name, start, _examined(folder_of(evaluations, str(start.folder))))


def _evidence(new: Subject, old: Subject) -> Evidence:
    """All that was found of both: by a run, and by `assent evaluate`, which counts where both did the same suite."""
    evidence = Evidence(new.name, old.name, {})
    if new.artifact is not None and old.artifact is not None:
        evidence = replace(_of_runs(new.artifact, old.artifact), after=new.name, before=old.name)
    beside = {title: Compared(found, old.found.get(title)) for title, found in new.found.items()}
    if not evidence.suites and not beside:
        raise UserError(
            f"nothing was found of {new.name}; evaluate both in a run, or examine both with `assent evaluate {old.name}"
            f" {new.name}`"
        )
    weights = {one.subject: one.weights for some in (new, old) for one in some.found.values() if one.weights}
    facts = {**evidence.facts, **({"weights": weights} if weights else {})}
    suites = {**evidence.suites, **beside}
    return replace(evidence, suites=suites, facts=facts)


def _of_runs(new: Artifact, old: Artifact) -> Evidence:
    """What their runs found of both: the newest blind comparison of the two, and the newest of every suite."""
    stores = [store_at(one.folder.parent) for one in (new, old)]
    everything = [store.all() for store in stores]
    compared = [
        one
        for one in everything[0]
        if one.manifest.stage == "evaluate"
        and (one.manifest.parents.get("policy"), one.manifest.parents.get("baseline")) == (new.key, old.key)
    ]
    evaluation = None if not compared else stores[0].find(compared[-1].key)
    after, before = (
        [known for one in _measured(policy, some) if (known := store.find(one.key)) is not None]
        for policy, store, some in zip((new, old), stores, everything, strict=True)
    )
    reward = stores[0].find(new.manifest.parents.get("reward", ""))
    return evidence_of(new, old, evaluation, reward, after, before)


def _measured(policy: Artifact, everything: Sequence[Artifact]) -> list[Artifact]:
    """Measurements of a policy and of the reward model it was trained with, oldest first: later ones count."""
    keys = {"policy": policy.key, "reward": policy.manifest.parents.get("reward")}
    return [
        one
        for one in everything
        if one.kind == "measurement"
        and any(key and one.manifest.parents.get(name) == key for name, key in keys.items())
    ]


def _is_artifact(folder: Path | str) -> bool:
    return isinstance(folder, Path) and folder.parent.parent.name == "artifacts"


def _examined(folder: Path) -> dict[str, Found]:
    """What `assent evaluate` wrote into a model's folder."""
    found = [Found.read(path.parent) for path in sorted(folder.glob(f"*/{FOUND}"))]
    return {one.suite: one for one in found}
