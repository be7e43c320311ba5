"""Runs without a reward model, an evaluation, or both: they end with a policy and say what is missing."""

from __future__ import annotations

import json
import statistics
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml

from assent.artifacts.find import find_artifact, model_folder
from assent.core.errors import ConfigError, DataError, UserError
from assent.core.types import Message
from assent.evaluation.report import EvaluationReport, read_samples
from assent.generation.config import Sampling
from assent.models.config import ModelConfig
from assent.models.tiny import save_tiny
from assent.pipeline.backends import Backends
from assent.pipeline.commands.export import export_model
from assent.pipeline.config import ComputeConfig, RunConfig
from assent.pipeline.doctor.examine import examine
from assent.pipeline.plan import plan_project
from assent.pipeline.run import run_project
from assent.report.run import report_of

SUBJECTS = ("bread", "wine", "Lisbon", "tomatoes", "notaries", "eggs", "operas", "trees", "dogs", "shirts")
QUESTIONS = [f"What should {who} know about {what}?" for what in SUBJECTS for who in ("I", "children", "a cook")]
ASKED = (Message(role="user", content=QUESTIONS[0]),)
BOTH = ("reward=null", "evaluate=null")
FUNCTION = [{"kind": "python", "target": "few_words:score"}]
SAMPLED = {"steps": 1, "prompts_per_step": 4, "samples_per_prompt": 2, "sampling": {"max_new_tokens": 4}}
LAB = """
name: planned
rounds: 2
base: {kind: scratch}
data: {kind: lab, corpus: 10, demonstrations: 10, prompts: 10}
collect: {raters: {kind: simulated}}
"""
FILES = """
name: planned
base: {kind: scratch}
data: {kind: files, corpus: [{path: texts.txt}], comparisons: [{path: pairs.jsonl}]}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """DPO on pairs of a tiny base."""
    monkeypatch.chdir(tmp_path)
    save_tiny(tmp_path / "base", "llama")
    monkeypatch.syspath_prepend(tmp_path)
    score = "def score(prompts, completions):\n    return [-float(len(text)) for text in completions]\n"
    Path("few_words.py").write_text(score, encoding="utf-8")
    rows = ({"prompt": q, "chosen": "Much.", "rejected": "Nothing."} for q in QUESTIONS)
    Path("pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    write(optimize={"kind": "dpo", "batch_size": 8, "optimizer": {"learning_rate": 0.01}})
    return tmp_path


def write(**settings: Any) -> None:
    values = {
        "name": "toy",
        "base": {"kind": "pretrained", "path": "base"},
        "data": {"kind": "files", "comparisons": [{"path": "pairs.jsonl"}]},
        "evaluate": {"prompts": 2, "sampling": {"max_new_tokens": 4}},
        "compute": {"threads": 1, "device": "cpu"},
        "log": {"tensorboard": False},
    }
    Path("assent.yaml").write_text(yaml.safe_dump({**values, **settings}), encoding="utf-8")


def run(*settings: str) -> list[str]:
    return list(run_project(Path("assent.yaml"), (), settings, quiet=True))


def stages(*settings: str) -> list[str]:
    lines = [line for line in plan_project(Path("assent.yaml"), (), settings)[:-1] if not line.startswith(" ")]
    return [line.split("  ")[0] for line in lines]


def result() -> dict[str, Any]:
    return dict(json.loads(Path("runs/toy/result.json").read_text(encoding="utf-8")))


def adapter_base(folder: str) -> str:
    settings = json.loads((Path(folder) / "adapter_config.json").read_text(encoding="utf-8"))
    return str(settings["base_model_name_or_path"])


def notes(*settings: str) -> dict[str, str]:
    found = examine(Path("assent.yaml"), (), settings)
    assert not [one for one in found if one.is_error], found
    told = [one for one in found if one.level in ("note", "warning")]
    return {key: "\n".join(one.message for one in told if one.key == key) for key in {one.key for one in told}}


def test_dpo_without_reward_model_and_evaluation_ends_with_a_usable_policy(project: Path) -> None:
    said = run(*BOTH, "rounds=2")
    assert [line.split(":")[0] for line in said] == ["round 1", "round 2"]
    assert all("nothing was evaluated, and whether the new policy is better is not known" in line for line in said)
    values = result()
    assert [list(one["artifacts"]) for one in values["rounds"]] == [["collect", "optimize"]] * 2
    assert [(one["policy"], one["reward"]) for one in values["rounds"]] == [(None, None)] * 2
    assert values["final"] is None
    report_of(Path("runs/toy"))
    page = Path("runs/toy/report.html").read_text(encoding="utf-8")
    assert "Nothing was evaluated, so whether the new policy is better than its start is not known." in page
    assert 'id="optimization"' in page and 'class="lineage"' in page and 'id="comparison"' not in page
    list(export_model("runs/toy", Path("out")))
    card = Path("out/README.md").read_text(encoding="utf-8")
    assert "It was not evaluated.\n" in card and "None" not in card
    folder = model_folder("runs/toy/round-2")
    backends = Backends(ModelConfig(), ComputeConfig(device="cpu"))
    writer = backends.writer(backends.policy(folder, trainable=False), name="toy")
    first, second = find_artifact("runs/toy/round-1"), find_artifact("runs/toy/round-2")
    assert second.manifest.parents["start"] == first.key
    assert writer.write([ASKED], num_samples=1, sampling=Sampling(max_new_tokens=3), seed=0)


def test_an_evaluation_that_is_asked_for_later_trains_nothing_again(project: Path) -> None:
    run(*BOTH)
    policy = find_artifact("runs/toy").name
    [first, *more] = run("reward=null")
    assert first == "round 1: nobody compared the new policy with its start"
    assert any("KL" in line for line in more) and not any("no independent judge" in line for line in more)
    assert find_artifact("runs/toy").name == policy
    [values] = result()["rounds"]
    assert values["policy"]["win_rate"] is None and values["policy"]["judge"] is None
    assert values["policy"]["weights_moved"] > 0
    report_of(Path("runs/toy"))
    page = Path("runs/toy/report.html").read_text(encoding="utf-8")
    assert "Nobody compared the answers blind, so there is no win rate." in page
    list(export_model("runs/toy", Path("out")))
    assert "Nobody compared it with the policy that it started from." in Path("out/README.md").read_text(
        encoding="utf-8"
    )


def test_a_judge_of_the_evaluation_alone_trains_nothing_and_tells_its_scores(project: Path) -> None:
    run("evaluate=null")
    policy = find_artifact("runs/toy").name
    scores = "def score(prompts, completions):\n    return [float(sum(map(ord, text)) % 97) for text in completions]\n"
    Path("letters.py").write_text(scores, encoding="utf-8")
    judge = "evaluate.raters={kind: function, target: 'letters:score'}"
    said = run(judge, "evaluate.prompts=3")
    assert find_artifact("runs/toy").name == policy, "whoever judges, the policy is the same"
    assert not any("no independent judge" in line for line in said)
    assert "round 1 reward" not in stages(judge), "no reward model is wanted as a judge"
    found = EvaluationReport.read(find_artifact("runs/toy/round-1/evaluation").folder)
    assert str(found.judge) == "function" and found.win_rate is not None and found.win_rate.prompts == 3
    rows = read_samples(find_artifact("runs/toy/round-1/evaluation").folder)
    before, after = ([float(sum(map(ord, row[side])) % 97) for row in rows] for side in ("before", "after"))
    assert found.judge_scores is not None
    moved = (sum(after) - sum(before)) / 3 / statistics.stdev(before)
    assert found.judge_scores.change.estimate == pytest.approx(moved)
    assert "collect" not in notes(judge), "an independent judge is named"


@pytest.mark.parametrize("kind", ["ppo", "grpo"])
def test_a_method_on_the_scores_of_a_function_needs_no_reward_model(project: Path, kind: str) -> None:
    more = {"critic_warmup": 0} if kind == "ppo" else {}
    write(optimize={"kind": kind, "rewards": FUNCTION, **SAMPLED, **more})
    assert stages(*BOTH) == ["data prompts", "data comparisons", "base", "round 1 optimize"]
    [said] = run(*BOTH)
    assert said.startswith("round 1: evaluate is null")
    assert find_artifact("runs/toy").manifest.parents.keys() == {"start", "prompts"}
    assert result()["rounds"][0]["judgments"] is None
    report_of(Path("runs/toy"))


@pytest.mark.parametrize("kind", ["ppo", "grpo", "rloo", "reinforce++"])
def test_a_method_that_learns_from_a_reward_model_is_refused_by_its_name(project: Path, kind: str) -> None:
    write(optimize={"kind": kind, **SAMPLED})
    config = RunConfig.parse(yaml.safe_load(Path("assent.yaml").read_text(encoding="utf-8")))
    with pytest.raises(ConfigError, match=f"reward is null, but {config.optimize.title.replace('+', '.')} learns from"):
        run("reward=null")
    assert not Path("runs").exists()


def test_only_what_somebody_reads_is_made(project: Path) -> None:
    whole = ["data prompts", "data comparisons", "base", "round 1 collect", "round 1 reward"]
    whole += ["round 1 optimize", "round 1 evaluate"]
    assert stages() == whole
    assert stages("reward=null") == [one for one in whole if "reward" not in one]
    # Without an evaluation nobody needs a judge, so DPO fits no reward model.
    assert stages("evaluate=null") == stages(*BOTH) == [*whole[:4], "round 1 optimize"]
    write(optimize={"kind": "ppo", "critic_warmup": 0, **SAMPLED})
    assert stages("evaluate=null") == whole[:6]


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (("optimize.sampling.top_p=0.9",), "optimize.sampling.top_p is 0.9"),
        (("optimize.best=heldout_reward",), "optimize.best chooses by heldout_reward, and no prompts are held out"),
        (("collect={raters: {kind: simulated}}",), "collect.raters.kind: simulated people know the truth"),
        (("evaluate.raters={kind: simulated}",), "evaluate.raters.kind: simulated people know the truth"),
        (("suites_judge={kind: simulated}",), "suites_judge.kind: simulated people know the truth"),
    ],
)
def test_settings_that_cannot_work_end_plan_and_run_before_the_first_stage(
    project: Path, settings: tuple[str, ...], line: str
) -> None:
    write(optimize={"kind": "ppo", "critic_warmup": 0, **SAMPLED})
    for start in (stages, run):
        with pytest.raises(ConfigError) as caught:
            start(*settings)
        assert str(caught.value).startswith(line)
    assert not list(Path("runs").glob("artifacts/*"))


def test_quantized_weights_without_their_package_end_the_run_before_the_first_stage(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    with pytest.raises(ConfigError, match="model.quantize needs bitsandbytes, which is not installed"):
        run("model.lora={rank: 2}", "model.quantize=nf4")
    assert not list(Path("runs").glob("artifacts/*"))


def test_a_plan_names_a_data_file_that_is_not_there_as_the_run_does(project: Path) -> None:
    for start in (stages, run):
        with pytest.raises(DataError, match=r"^pears\.jsonl: no such file or folder; did you mean 'pairs.jsonl'\?$"):
            start("data.comparisons.0.path=pears.jsonl")


def test_an_adapter_on_a_folder_says_that_only_this_machine_has_it(project: Path) -> None:
    run("model.lora={rank: 2}", *BOTH)
    lines = list(export_model("runs/toy", Path("out"), adapter=True))
    assert lines[1].startswith("warning: the adapter names its base base, a folder of this machine that nobody finds")
    assert adapter_base("out") == "base"
    assert len(list(export_model("runs/toy", Path("named"), adapter=True, base="org/tiny"))) == 1
    assert adapter_base("named") == "org/tiny"
    assert "base_model: org/tiny" in Path("named/README.md").read_text(encoding="utf-8")
    with pytest.raises(UserError, match="--base org/tiny is the name of what an adapter lies on; add --adapter"):
        list(export_model("runs/toy", Path("more"), base="org/tiny"))


def test_the_doctor_says_what_will_not_be_known(project: Path) -> None:
    said = notes(*BOTH)
    assert said["evaluate"].startswith("is null: nothing is evaluated") and "collect" not in said
    assert "without a judge: no win rate" in notes("reward=null")["collect"]
    write(optimize={"kind": "grpo", "rewards": FUNCTION, **SAMPLED})
    assert "nothing learns from these 30 rankings" in notes(*BOTH)["data.comparisons"]
    asked = "collect={raters: {kind: function, target: 'few_words:score'}}"
    assert "rankings that nothing learns from" in notes(*BOTH, asked)["collect"]


def test_without_an_evaluation_no_prompts_need_be_held_out(project: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.eval_share is 0: give data\.eval_prompts"):
        run("data.eval_share=0")
    run(*BOTH, "data.eval_share=0")
    assert find_artifact("runs/toy/round-1/collect").notes["comparisons"] == len(QUESTIONS)


def test_the_lab_needs_no_raters_where_nothing_learns_from_rankings() -> None:
    values = yaml.safe_load(LAB) | {"collect": None}
    with pytest.raises(ConfigError, match="collect is missing"):
        RunConfig.parse(values)
    RunConfig.parse(values | {"reward": None, "optimize": {"kind": "grpo", "rewards": FUNCTION}})


@pytest.mark.parametrize(
    ("text", "last"),
    [
        (LAB + "optimize: {kind: ppo}\n", "evaluation-70b40fbdeaf2"),
        (LAB + "optimize: {kind: ppo, lam: 0.95}\n", "evaluation-37e0852e6d94"),  # the default of before
        (LAB + "optimize: {kind: dpo}\n", "evaluation-ded63534e667"),
        (FILES + "optimize: {kind: dpo}\n", "evaluation-80b5a5418508"),
        (FILES + "optimize: {kind: grpo}\n", "evaluation-56ede7f6799c"),
    ],
)
def test_keys_of_runs_with_every_stage_are_what_they_were(
    text: str, last: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last key holds all others. Change it here only where a stage's version was raised on purpose."""
    monkeypatch.chdir(tmp_path)
    Path("texts.txt").write_text("Bread.\n\nWine.\n", encoding="utf-8")
    Path("pairs.jsonl").write_text('{"prompt": "Why?", "chosen": "So.", "rejected": "No."}\n', encoding="utf-8")
    Path("assent.yaml").write_text(text, encoding="utf-8")
    said = [line for line in plan_project(Path("assent.yaml")) if not line.startswith(" ")]
    assert said[-2].split()[-1] == last


def test_a_run_with_adapters_passes_on_no_warning_of_its_libraries(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(optimize={"kind": "ppo", "critic_warmup": 0, **SAMPLED}, model={"lora": {"rank": 2}})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        run()
    assert [str(one.message) for one in caught] == []
    assert "Warning" not in capfd.readouterr().err
