"""Keys hang on content: the same model and data under other paths are the same, and so is what was made before that."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from assent.artifacts.identity import Identity
from assent.cli import main
from assent.core.hashing import hash_json
from assent.models.tiny import save_tiny
from assent.pipeline.places import go_to_project
from assent.pipeline.plan import plan_project
from assent.pipeline.run import run_project

FILES = """
name: planned
base: {kind: scratch}
data: {kind: files, corpus: [{path: texts.txt}], comparisons: [{path: pairs.jsonl}]}
"""
QUESTIONS = [f"What is {n} plus {m}?" for n in range(5) for m in range(6)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a finished run: DPO on pairs of a tiny base, with a template of its own in a file."""
    folder = tmp_path_factory.mktemp("made") / "project"
    save_tiny(folder / "base", "llama")
    rows = ({"prompt": q, "chosen": "Much.", "rejected": "Nothing."} for q in QUESTIONS)
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    template = "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}"
    (folder / "plain.jinja").write_text(template + "{% if add_generation_prompt %}assistant: {% endif %}")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write()
        as_before(patch)
        list(run_project(Path("assent.yaml"), quiet=True))
    return folder


def as_before(patch: pytest.MonkeyPatch) -> None:
    """Keys as they were while paths were part of them."""

    def key(self: Identity) -> str:
        inputs = {name: keys if isinstance(keys, str) else list(keys) for name, keys in self.inputs.items()}
        return hash_json([self.stage, self.version, self.config, self.seed, inputs, dict(self.extra)])

    patch.setattr(Identity, "key", property(key))


def write(base: str = "base", pairs: str = "pairs.jsonl", template: str = "plain.jinja") -> None:
    values = {
        "name": "toy",
        "base": {"kind": "pretrained", "path": base},
        "model": {"template": template},
        "data": {"kind": "files", "comparisons": [{"path": pairs}]},
        "reward": None,
        "evaluate": None,
        "optimize": {"kind": "dpo", "batch_size": 8},
        "compute": {"threads": 1, "device": "cpu"},
        "log": {"tensorboard": False},
    }
    Path("assent.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project to stand in."""

    shutil.copytree(made, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def planned() -> tuple[list[str], list[str]]:
    """States and artifacts of the stages."""
    lines = [line for line in plan_project(Path("assent.yaml"))[:-1] if not line.startswith(" ")]
    rows = [[part.strip() for part in line.split("  ") if part.strip()] for line in lines]
    return [state for _, state, _ in rows], [name for _, _, name in rows]


def test_a_chain_that_was_made_while_paths_were_part_of_keys_is_found(project: Path) -> None:
    states, names = planned()
    assert states == ["done"] * 5
    list(run_project(Path("assent.yaml"), quiet=True))
    assert sorted(names) == sorted(one.name for one in Path("runs/artifacts").iterdir())


def test_work_that_was_begun_then_goes_on(project: Path) -> None:
    [policy] = Path("runs/artifacts").glob("policy-" + planned()[1][-1].split("-")[1])
    policy.rename(Path("runs/work") / policy.name)
    assert planned()[0] == ["done"] * 4 + ["would resume"]


def test_the_same_content_under_other_paths_has_the_same_keys(project: Path) -> None:
    Path("runs/artifacts").rename("aside")
    _, before = planned()
    Path("models").mkdir()
    Path("base").rename("models/mine")
    Path("pairs.jsonl").rename("models/others.jsonl")
    Path("plain.jinja").rename("models/t.jinja")
    write(str(project / "models" / "mine"), "models/others.jsonl", "./models/t.jinja")
    states, after = planned()
    assert after == before
    assert states == ["would run"] * 5


@pytest.mark.parametrize(
    ("changed", "anew"), [("pairs.jsonl", 4), ("base/generation_config.json", 5), ("plain.jinja", 5)]
)
def test_other_content_under_the_same_path_has_other_keys(project: Path, changed: str, anew: int) -> None:
    path = Path(changed)
    path.write_text(path.read_text(encoding="utf-8") + "\n" + (path.read_text() if "pairs" in changed else ""))
    assert planned()[0].count("would run") == anew


@pytest.mark.parametrize(
    ("text", "last"),
    [
        (FILES + "optimize: {kind: dpo}\n", "evaluation-177464988543"),
        (FILES + "optimize: {kind: grpo}\n", "evaluation-b153d7820c0e"),
    ],
)
def test_the_former_keys_are_still_what_they_were(
    text: str, last: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("texts.txt").write_text("Bread.\n\nWine.\n", encoding="utf-8")
    Path("pairs.jsonl").write_text('{"prompt": "Why?", "chosen": "So.", "rejected": "No."}\n', encoding="utf-8")
    Path("assent.yaml").write_text(text, encoding="utf-8")
    as_before(monkeypatch)
    assert last in "\n".join(plan_project(Path("assent.yaml")))


def test_a_project_is_run_in_its_own_folder_from_wherever_one_stands(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.parent)
    monkeypatch.setattr("sys.argv", ["assent", "run", "project/assent.yaml", "--plan"])
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr()
    assert end.value.code == 0 and "5 of 5 stages are done" in said.out
    assert "working in project; paths and commands below are as seen from there" in said.err
    assert not (project.parent / "runs").exists()


def test_a_run_that_was_begun_below_the_current_folder_goes_on_there(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.parent)
    Path("project/runs").rename("runs")
    assert go_to_project(Path("project/assent.yaml")) == (Path("project/assent.yaml"), ())
    assert Path.cwd() == project.parent
    (project / "other.yaml").write_text("", encoding="utf-8")
    assert go_to_project(Path("project/other.yaml")) == (Path("project/other.yaml"), ())


def test_a_plan_says_why(project: Path) -> None:
    settings = ("optimize.beta=0.3",)
    *_, last, why, _ = plan_project(Path("assent.yaml"), (), settings)
    assert "would run" in last and why.strip() == "optimize.beta: 0.1 → 0.3"
    rows = Path("pairs.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    Path("pairs.jsonl").write_text("".join(rows[:-1]), encoding="utf-8")
    said = [line.strip() for line in plan_project(Path("assent.yaml")) if line.startswith(" ")]
    changed = "data.comparisons[0].path pairs.jsonl: content changed"
    assert said == [
        changed,
        f"{changed}; because data prompts runs anew",
        "because data comparisons and data prompts run anew",
        "because round 1 collect runs anew",
    ]


def test_a_run_says_why_as_it_comes_to_a_stage(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    list(run_project(Path("assent.yaml"), (), ("optimize.epochs=2",)))
    told = capsys.readouterr()
    assert (told.out + told.err).count("round 1 optimize: optimize.epochs: 1 → 2") == 1
