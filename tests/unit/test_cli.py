"""The command line: what it prints, which exit code it ends with, and that errors are one line without a traceback."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

import assent
from assent.cli import main
from assent.models.tiny import save_tiny
from assent.pipeline.commands.project import make_project
from assent.pipeline.places import open_project

COMMANDS = ("run", "init", "import", "chat", "report", "lineage", "export", "doctor", "data inspect", "version")
PEOPLE = "collect={raters: {kind: people}, overlap_share: 0}"


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Assent = Callable[..., Ended]


@pytest.fixture
def run_assent(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Assent:
    def run(*arguments: str) -> Ended:
        monkeypatch.setattr("sys.argv", ["assent", *arguments])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    return run


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_project(tmp_path / "p")
    monkeypatch.chdir(tmp_path / "p")
    return tmp_path / "p"


def refusal(ended: Ended, *, code: int = 2) -> str:
    assert ended.code == code
    assert "Traceback" not in ended.err
    [line] = [line for line in ended.err.splitlines() if line.startswith("assent: ")]
    return line


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_and_its_options(run_assent: Assent, command: str) -> None:
    ended = run_assent(*command.split(), "--help")
    assert ended.code == 0 and "Usage: assent" in ended.out
    for line in ended.out.splitlines():
        if line.startswith("│ ") and line.strip("│ *").startswith("--"):
            assert len(line.strip("│ *").split(maxsplit=2)) == 3, f"{command}: an option without help: {line}"


def test_without_a_command_the_help_is_shown(run_assent: Assent) -> None:
    assert "assent init my-project" in run_assent().out


def test_version(run_assent: Assent) -> None:
    assert run_assent("version").out == f"{assent.__version__}\n"


# -- exit code 2: what a person gave


def test_an_unknown_key_is_one_line_with_the_nearest_name(run_assent: Assent, project: Path) -> None:
    line = refusal(run_assent("run", "--set", "optimize.stepz=3"))
    assert "unknown key" in line and "did you mean 'steps'?" in line
    assert not (project / "runs").exists()


def test_a_missing_yaml_is_one_line(run_assent: Assent, project: Path) -> None:
    assert "there is no file nothing.yaml" in refusal(run_assent("run", "nothing.yaml"))


def test_an_overlay_comes_before_set_and_after_the_yaml(run_assent: Assent, project: Path) -> None:
    Path("over.yaml").write_text("name: over\nrounds: 2\n")
    said = run_assent("run", "--plan", "--with", "over.yaml", "--set", "name=last").out
    assert "results go to runs/last" in said and "round 2 optimize" in said


def test_init_refuses_a_full_folder(run_assent: Assent, project: Path) -> None:
    assert "not empty" in refusal(run_assent("init", "."))


def test_bad_sampling_is_named_by_its_key(run_assent: Assent, project: Path) -> None:
    line = refusal(run_assent("chat", "runs/first", "--temperature", "-1"))
    assert "temperature" in line and "-1.0" in line


def test_names_that_lead_nowhere(run_assent: Assent, project: Path) -> None:
    assert "there are no runs here" in refusal(run_assent("lineage", "runs/x"))
    assert "there are no runs here" in refusal(run_assent("export", "runs/x/round-1", "--to", "out"))
    assert refusal(run_assent("report"))
    assert not (project / "out").exists()


def test_doctor_ends_with_2_where_a_run_would_fail(run_assent: Assent, project: Path) -> None:
    assert run_assent("doctor").code == 0
    ended = run_assent("doctor", "--set", "optimize.sampling.top_p=0.5")
    assert ended.code == 2 and "1 error: `assent run` would fail" in ended.out


def test_a_bad_row_stops_a_run_before_anything_is_made_and_skip_bad_goes_past_it(
    run_assent: Assent, project: Path
) -> None:
    with Path("data/ratings.jsonl").open("a") as file:
        file.write("{broken\n")
    assert "data/ratings.jsonl:25: not valid JSON" in refusal(run_assent("run", "--quiet"))
    assert not list(Path("runs/artifacts").glob("policy-*"))
    assert "would run" in run_assent("run", "--plan", "--skip-bad").out


def test_importing_and_inspecting(run_assent: Assent, project: Path) -> None:
    assert "24 judgments added" in run_assent("import", "data/ratings.jsonl").out
    assert "0 judgments added, 24 known" in run_assent("import", "data/ratings.jsonl").out
    assert "24 comparisons" in run_assent("data", "inspect", "data/ratings.jsonl").out
    assert "no such file" in refusal(run_assent("import", "nothing.jsonl"))


# -- exit codes 3 and 1


def test_waiting_for_people_ends_with_3_and_says_how_many(run_assent: Assent, project: Path) -> None:
    toy = ("--quiet", "--set", "sample.prompts=3", "--set", "sample.sampling.top_p=0.7")
    line = refusal(run_assent("run", *toy, "--set", PEOPLE), code=3)
    assert "0 of 3 judgments are in" in line
    assert [one["kind"] for one in json.loads(Path("runs/first/round-1/round.json").read_text())["made"]] == ["samples"]


def test_a_reward_function_that_raises_is_the_users_error(
    run_assent: Assent, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("my_reward.py").write_text("def score(prompts, completions):\n    raise ValueError('no idea')\n")
    monkeypatch.syspath_prepend(str(project))
    toy = ("--quiet", "--set", "base.pretrain.epochs=0.5", "--set", "sft.epochs=0.5", "--set", "optimize.steps=3")
    reward = "optimize.rewards=[{kind: python, target: 'my_reward:score'}]"
    line = refusal(run_assent("run", *toy, "--set", reward), code=2)
    assert "my_reward:score raised ValueError: no idea" in line


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(
    run_assent: Assent, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*given: object, **more: object) -> list[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr("assent.pipeline.plan.plan_project", interrupted)
    assert refusal(run_assent("run", "--plan"), code=130) == "assent: stopped; run the same command again to go on"


# -- the whole way


def test_from_init_to_export(run_assent: Assent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "next: cd mine" in run_assent("init", "mine").out
    monkeypatch.chdir(tmp_path / "mine")
    assert "0 of 10 stages are done" in run_assent("run", "--plan").out
    assert not Path("runs").exists()

    ended = run_assent("run", "--quiet")
    assert ended.code == 0
    assert "round 1: the new policy is preferred to its start in " in ended.out
    assert "report: runs/first/report.html" in ended.out and Path("runs/first/report.html").exists()
    result = Path("runs/first/result.json").read_bytes()

    assert "10 of 10 stages are done" in run_assent("run", "--plan").out
    again = run_assent("run", "--quiet")
    assert again.out == ended.out and Path("runs/first/result.json").read_bytes() == result
    # The settings in the run folder are those of the run, and lead to the same artifacts.
    written = run_assent("run", "runs/first/run.yaml", "--plan")
    assert "10 of 10 stages are done" in written.out
    values = yaml.safe_load(Path("runs/first/run.yaml").read_text())
    assert values["store"]["url"] == "sqlite:///../../feedback.db"

    assert "data/ratings.jsonl" in run_assent("lineage", "runs/first").out
    assert json.loads(run_assent("lineage", "runs/first/round-1/reward", "--json").out)["root"]
    assert run_assent("export", "runs/first/round-1", "--to", "out").code == 0
    assert (Path("out") / "model.safetensors").exists()
    assert "10 of 10" in run_assent("run", "--plan").out
    monkeypatch.setattr("sys.stdin", io.StringIO("hello\nwhen do you open?\n"))
    talk = run_assent("chat", "out", "--against", "runs/first/round-0", "--max-new-tokens", "4")
    assert talk.code == 0 and talk.out.count("runs/first/round-0") == 3


def test_a_changed_setting_makes_only_what_depends_on_it(run_assent: Assent, project: Path) -> None:
    planned = run_assent("run", "--plan").out.splitlines()
    changed = run_assent("run", "--plan", "--set", "optimize.steps=7").out.splitlines()
    other = [one.split()[-1] != two.split()[-1] for one, two in zip(planned, changed, strict=True)]
    stages = [line for line, is_other in zip(changed, other, strict=True) if is_other]
    assert [line.split("  ")[0] for line in stages] == ["round 1 optimize", "round 1 evaluate"]


def test_a_project_may_be_run_from_another_folder(
    run_assent: Assent, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.parent)
    assert run_assent("doctor", "p/assent.yaml").code == 0
    assert open_project(Path("p/assent.yaml")).config.store.url == "sqlite:///p/feedback.db"


TEMPLATE = (
    "{% for m in messages %}[{{ m.role }}] {{ m.content }}{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}\n"
    "{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)


@pytest.mark.slow
@pytest.mark.parametrize("lora", ["null", "{rank: 4}"])
def test_an_own_model_with_its_own_template_and_a_trl_file(run_assent: Assent, project: Path, lora: str) -> None:
    own = save_tiny(project / "own", "qwen3")
    (own / "chat_template.jinja").write_text(TEMPLATE)
    rows = [json.loads(line) for line in Path("data/ratings.jsonl").read_text().splitlines()]
    pairs = [{"prompt": r["prompt"], "chosen": r["answers"]["a"], "rejected": r["answers"]["c"]} for r in rows]
    Path("data/trl.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    settings = ("base={kind: pretrained, path: own}", f"model.lora={lora}", "sft.epochs=1", "optimize.steps=3")
    sets = [part for one in (*settings, "data.comparisons=[{path: data/trl.jsonl}]") for part in ("--set", one)]
    assert "the model's own chat template" in run_assent("doctor", *sets).out
    assert run_assent("run", "--quiet", *sets).code == 0
    for kind, auto in (("policy", AutoModelForCausalLM), ("reward", AutoModelForSequenceClassification)):
        assert run_assent("export", f"runs/first/round-1/{kind}", "--to", f"out/{kind}").code == 0
        auto.from_pretrained(f"out/{kind}")
    assert AutoTokenizer.from_pretrained("out/policy").chat_template == TEMPLATE
    adapter = run_assent("export", "runs/first", "--adapter", "--to", "out/adapter")
    assert adapter.code == (2 if lora == "null" else 0)


def test_switches_are_shown_as_switches_and_take_no_value(run_assent: Assent, project: Path) -> None:
    assert run_assent("--version").out.strip() == assent.__version__
    for command in (("run",), ("export",), ("feedback", "erase"), ("rate",), ()):
        shown = run_assent(*command, "--help").out
        assert "--help" in shown and "bool" not in shown
    assert "--plan is a switch and takes no value; leave 'true' out" in refusal(run_assent("run", "--plan", "true"))


def test_a_folder_stands_for_its_yaml(
    run_assent: Assent, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "data prompts" in run_assent("run", "p", "--plan").out
    monkeypatch.chdir(tmp_path)  # the command went into the project
    assert "there is no assent.yaml here; `assent init FOLDER`" in refusal(run_assent("run"))
    assert f"{tmp_path} is a folder without an assent.yaml" in refusal(run_assent("run", str(tmp_path)))


def test_errors_of_set_and_with_name_them_and_the_key_as_written(run_assent: Assent, project: Path) -> None:
    said = refusal(run_assent("run", "--plan", "--set", "optimize.kl.coeficient=0.1"))
    assert said.startswith("assent: --set optimize.kl.coeficient=0.1: unknown key 'optimize.kl.coeficient'; did you")
    Path("more.yaml").write_text("base: {vocab_sise: 300}\n")
    said = refusal(run_assent("run", "--plan", "--with", "more.yaml"))
    assert said.startswith("assent: more.yaml: unknown key 'base.vocab_sise'; did you mean 'vocab_size'?")
    assert run_assent("run", "--plan", "--set", "data.comparisons[0].limit=5").code == 0
