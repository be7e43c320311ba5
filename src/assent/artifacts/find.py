"""Finding what a person means by "runs/x/round-2", "runs/artifacts/policy-3f…", a model folder or a hub id."""

from __future__ import annotations

import re
from pathlib import Path

from assent.artifacts.layout import ARTIFACTS, RUN_SETTINGS, RUNS
from assent.artifacts.project import RESULT, RunFolder, all_runs, is_run, neighbours
from assent.artifacts.round import ROUND, STAGES, named, names_of, read_round
from assent.artifacts.store import MANIFEST, Artifact, ArtifactStore, InvalidArtifactError, read_manifest
from assent.artifacts.versions import newest_version, rounds_in
from assent.core.config import read_yaml
from assent.core.errors import UserError

MODELS = {stage.kind: stage.model for stage in STAGES if stage.model}
"""Kind of artifact -> the folder in it that holds its model."""
_MODEL_FILES = ("config.json", "adapter_config.json")
_KEPT = re.compile(r"step-\d+")
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


def find_artifact(name: str) -> Artifact:
    """The artifact that a path means, verified.

    A run folder means its newest promoted policy (`passed_over` says where that is not the newest), a round's folder
    the policy of the round, `round-2/reward` its reward model (a stage or a kind of artifact); the folder of an
    artifact may be shortened. Raises UserError saying what there is.
    """
    path = Path(name)
    if (path / MANIFEST).is_file():
        return _verified(path)
    if (path / ROUND).is_file():
        return _of_round(path, "policy", name)
    if (path.parent / ROUND).is_file():
        return _of_round(path.parent, path.name, name)
    if is_run(path):
        return _newest_policy(path)
    if path.parent.name == ARTIFACTS and path.parent.is_dir():
        return _verified(store_at(path.parent).named(path.name).folder)
    round_folder, part = (path, "policy") if _number(path) >= 0 else (path.parent, path.name)
    there = _before(round_folder, part) or f"; {_what_there_is(path)}"
    raise UserError(f"{name} is no artifact, round or run{there}")


def model_of(artifact: Artifact) -> Path:
    """The model folder of an artifact. Raises UserError where its kind holds none."""
    if artifact.kind not in MODELS:
        raise UserError(
            f"{artifact.name} holds {artifact.kind}, not a model; name a {' or '.join(MODELS)} artifact, or a round"
        )
    return artifact.file(MODELS[artifact.kind])


def model_folder(name: str) -> Path | str:
    """The model that a name means: that of an artifact, round or run, a plain model folder, or a hub id.

    Raises UserError where it is none of these.
    """
    path = Path(name)
    if any((path / one).is_file() for one in _MODEL_FILES) and not (path / MANIFEST).is_file():
        return path
    if any(path.glob("*.gguf")) or (path.suffix == ".gguf" and path.is_file()):
        return path
    if (kept := kept_model(name)) is not None:
        return kept[1]
    begins_here = Path(path.parts[0]).exists() if path.parts else True
    if not begins_here and path.parts[0] != str(RUNS) and _HUB_ID.fullmatch(name):
        return name
    return model_of(find_artifact(name))


def kept_model(name: str) -> tuple[Artifact, Path] | None:
    """What "runs/x/round-1/step-100" means: an artifact, and the model in it that was kept on the way of training.

    None for a name that ends otherwise. Raises UserError where nothing was kept after that step.
    """
    path = Path(name)
    if not _KEPT.fullmatch(path.name) or not path.parent.is_dir():  # somebody's model on the hub may be called so
        return None
    artifact = find_artifact(str(path.parent))
    if not (artifact.folder / path.name).is_dir():
        there = ", ".join(f"step-{n}" for n in artifact.notes.get("kept") or ()) or "none; ask for them with `keep`"
        raise UserError(f"{name}: no model was kept after that step of {artifact.name}; kept: {there}")
    return artifact, artifact.folder / path.name


def store_at(folder: Path) -> ArtifactStore:
    """The artifacts in `folder` and what they were made from wherever that lies, to look at only."""

    def silent(text: str) -> None:
        """Invalid neighbours are no business of who asked for another artifact."""

    return ArtifactStore(folder, say=silent, read_only=True, also=neighbours(folder))


def _of_round(folder: Path, part: str, name: str) -> Artifact:
    made = read_round(folder)
    meant = named(made, part)
    if meant is None:
        there = ", ".join(f"{folder}/{one}" for one in names_of(made)) or "nothing yet"
        raise UserError(f"{name}: the round has made no {part}; there is: {there}{_before(folder, part)}")
    return _verified(_place(folder.parent, meant.artifact))


def _before(folder: Path, part: str) -> str:
    """What to name instead of a part of a round that the run has not made again since it changed; else nothing."""
    version = newest_version(folder.parent)
    if version is None or named(rounds_in(version).get(_number(folder), ()), part) is None:
        return ""
    name = version / folder.name if part == "policy" else version / folder.name / part
    return f"; the run has changed and has not come to it again: what it was before is {name}"


def _number(folder: Path) -> int:
    number = folder.name.removeprefix("round-")
    return int(number) if number.isdigit() else -1


def passed_over(name: str) -> str | None:
    """In a line, why the name of a run means an older policy than one may think; else None.

    Newer rounds did not pass their gate, or the run has changed and is not finished.
    """
    run = Path(name)
    if (run / MANIFEST).is_file() or (run / ROUND).is_file() or not is_run(run):
        return None
    version, newest = newest_version(run), list[str]()
    if version is not None and not (run / RESULT).is_file():
        return f"{name} has changed and is not finished; what it made before is {version}"
    for folder in reversed(_with_policies(run)):
        if _is_promoted(folder):
            return f"{name}: {', '.join(newest)} did not pass its gate; this is {folder.name}" if newest else None
        newest.append(folder.name)
    return None


def _with_policies(run: Path) -> list[Path]:
    return [folder for folder in RunFolder(run).rounds if named(read_round(folder), "policy") is not None]


def _is_promoted(folder: Path) -> bool:
    """Whether a round's policy passed its gate, or had to pass none; one whose gate was not asked yet did not."""
    gate = named(read_round(folder), "gate")
    if gate is None:
        settings = folder.parent / RUN_SETTINGS
        return folder.name == "round-0" or not settings.is_file() or not read_yaml(settings).get("gate")
    try:
        return read_manifest(_place(folder.parent, gate.artifact)).notes.get("verdict") == "pass"
    except InvalidArtifactError:
        return False


def _newest_policy(run: Path) -> Artifact:
    for folder in reversed(_with_policies(run)):
        if _is_promoted(folder):
            return _of_round(folder, "policy", str(run))
    version = newest_version(run)
    before = "" if version is None else f"; what it made before it changed is {version}"
    raise UserError(f"{run} has no policy yet; finish it with `assent run`{before}")


def _place(run: Path, artifact: str) -> Path:
    """The folder of an artifact of a run: shared with others, or its own; where it is gone, where it would be."""
    return RunFolder(run).store().place(artifact)


def _verified(folder: Path) -> Artifact:
    try:
        return Artifact.at(folder)
    except InvalidArtifactError as problem:
        raise UserError(f"{folder} is not valid: {problem}; `assent run` makes it again") from None


def _what_there_is(path: Path) -> str:
    """What a person could have meant, from the nearest folder that is there."""
    run = next((one for one in (path, *path.parents) if is_run(one)), None)
    if run is not None:
        names = [str(folder) for folder in RunFolder(run).rounds]
        names = names or [str(artifact.folder) for artifact in RunFolder(run).artifacts()]
        return f"there is: {', '.join(names) or 'nothing yet'}"
    runs = [str(one.path) for one in all_runs(RUNS)]
    return f"runs here: {', '.join(runs)}" if runs else "there are no runs here; make one with `assent run`"
