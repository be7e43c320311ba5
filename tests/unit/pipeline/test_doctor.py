"""The doctor names what would go wrong, by key, with a fix, before anything is trained, and changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from transformers import AutoModelForCausalLM, BertConfig, BertForMaskedLM, BertGenerationConfig, MambaConfig

from assent.cli import main
from assent.core import hub
from assent.core.findings import Finding
from assent.models.byte_pairs import train_tokenizer
from assent.models.config import ScratchConfig
from assent.models.scratch import new_model
from assent.models.shape import of_scratch
from assent.models.tiny import save_tiny, tiny_tokenizer
from assent.pipeline.commands.project import make_project
from assent.pipeline.doctor.examine import examine
from assent.pipeline.doctor.opened import summary


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_project(tmp_path / "p")
    monkeypatch.chdir(tmp_path / "p")
    return tmp_path / "p"


def found(*settings: str, level: str = "error") -> dict[str, Finding]:
    """Findings of a level by key."""
    return {f.key: f for f in examine(Path("assent.yaml"), (), settings) if f.level == level}


def only(*settings: str, level: str = "error") -> Finding:
    [finding] = found(*settings, level=level).values()
    assert "\n" not in str(finding) and finding.fix
    return finding


def write(path: Path, *rows: Any) -> str:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return str(path)


def base(folder: Path) -> str:
    return f"base={{kind: pretrained, path: '{folder}'}}"


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_the_starter_has_no_error_and_the_doctor_leaves_it_as_it_was(project: Path) -> None:
    (project / "feedback.db").unlink()
    before = {p: p.read_bytes() for p in project.rglob("*") if p.is_file()}
    findings = examine(Path("assent.yaml"))
    assert not [f for f in findings if f.is_error]
    assert summary(findings).startswith("ready for `assent run`")
    assert {p: p.read_bytes() for p in project.rglob("*") if p.is_file()} == before
    assert all(f.fix for f in findings if f.level in ("warning", "error"))


def test_an_unknown_key_is_answered_with_the_nearest(project: Path) -> None:
    finding = only("optimze.steps=3")
    assert finding.key == "config" and "did you mean 'optimize'?" in finding.fix


def test_the_first_bad_row_is_named_with_file_and_line(project: Path) -> None:
    rows = [{"prompt": "a?", "completion": "yes"}, {"prompt": "b?", "completion": " "}]
    write(project / "data" / "bad.jsonl", *rows)
    finding = only("data.demonstrations=[{path: data/bad.jsonl}]")
    assert finding.key == "data.demonstrations[0]" and "bad.jsonl:2: 'completion' is empty" in finding.message


def test_a_missing_file_is_named_with_the_nearest(project: Path) -> None:
    assert "did you mean 'ratings.jsonl'?" in only("data.comparisons=[{path: data/rating.jsonl}]").fix


def test_skipped_rows_are_a_warning(project: Path) -> None:
    good = (project / "data" / "ratings.jsonl").read_text().splitlines()
    write(project / "data" / "some.jsonl", *good, "{not json")
    warnings = found("data.comparisons=[{path: data/some.jsonl, skip_bad: true}]", level="warning")
    assert "1 rows cannot be used" in warnings["data.comparisons[0]"].message


@pytest.mark.parametrize(
    ("setting", "key", "word"),
    [
        ("optimize.sampling.temperature=0", "optimize.sampling.temperature", "greedy rollouts"),
        ("optimize.sampling.top_p=0.9", "optimize.sampling.top_p", "biases the ratio"),
        ("optimize.kl.coefficient=0", "optimize.kl.coefficient", "optimize.kl.kind=off"),
        ("optimize.critic_warmup=6", "optimize.critic_warmup", "the policy never moves"),
        (
            "optimize.rewards=[{kind: python, target: 'no_such_module:f'}]",
            "optimize.rewards[0].target",
            "no_such_module",
        ),
        ("optimize={kind: grpo, rewards: [{kind: model, path: ./none}]}", "optimize.rewards[0].path", "no such folder"),
        ("optimize={kind: rloo, rewards: [{kind: model, path: a/b/c}]}", "optimize.rewards[0].path", "no such folder"),
        (
            "optimize={kind: reinforce++, rewards: [{kind: python, target: 'no_such_module:f'}]}",
            "optimize.rewards[0].target",
            "no_such_module",
        ),
        ("collect={raters: {kind: reward_model, path: ./none}}", "collect.raters.path", "no such folder"),
        ("model.template=none.jinja", "model.template", "no such file"),
        ("collect={raters: {kind: simulated}}", "collect.raters.kind", "(data.kind=lab) and of no others"),
        ("collect={raters: {kind: simulated}}", "collect.raters.kind", "autorater, constitution, people"),
        ("collect={raters: {kind: function, target: 'json:lods'}}", "collect.raters.target", "json:lods"),
        ("store.url=mysql://here/db", "store.url", "only sqlite"),
        ("data.eval_share=0.001", "data.eval_share", "evaluation split"),
    ],
)
def test_settings_that_cannot_work_are_errors(project: Path, setting: str, key: str, word: str) -> None:
    finding = only(setting)
    assert finding.key == key and word in str(finding)


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("optimize.kl.kind='off'", "optimize.kl.kind"),
        ("optimize.ema=0.99", "optimize.ema"),
        ("model.dtype=bfloat16", "model.dtype"),
        ("compute.threads=4096", "compute.threads"),
        ("optimize.prompts_per_step=64", "optimize.prompts_per_step"),
        ("optimize.sampling.max_new_tokens=4", "optimize.sampling.max_new_tokens"),
    ],
)
def test_settings_that_are_doubtful_are_warnings(project: Path, setting: str, key: str) -> None:
    assert key in found(setting, level="warning")
    assert key not in found(level="warning")


def test_a_name_of_the_hub_is_doubtful_and_wrong_where_the_hub_does_not_answer(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge, place = "optimize={kind: grpo, rewards: [{kind: model, path: org/judge}]}", "optimize.rewards[0].path"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)  # what a hub that is away is asked would be tried for long
    monkeypatch.setattr(hub, "unreachable", lambda: None)
    assert "taken for a hub id" in found(judge, level="warning")[place].message
    away = "the hub could not be reached within 5 s (no answer)"
    monkeypatch.setattr(hub, "unreachable", lambda: away)
    assert found(judge)[place].message.endswith(f"{away}: the name was not checked")
    base_away = only("base={kind: pretrained, path: org/no-such-base}")
    assert base_away.key == "base.path" and away in base_away.message
    data = "data.comparisons=[{hub: org/pairs}]"
    assert away in found(data, level="warning")["data.comparisons[0]"].message


def test_a_store_that_is_something_else_is_an_error(project: Path) -> None:
    (project / "feedback.db").write_text("not a database at all, but a text of some length" * 50)
    assert only().key == "store.url"


def test_a_usable_model_folder_has_its_template_described(project: Path) -> None:
    folder = save_tiny(project / "model", "qwen2")
    findings = {f.key: f for f in examine(Path("assent.yaml"), (), (base(folder),))}
    assert "Qwen2ForCausalLM" in findings["base.path"].message and "context 256" in findings["base.path"].message
    assert findings["sampling"].level == findings["scoring"].level == "ok"
    assert "Assent's plain chat template" in findings["model.template"].message
    assert not [f for f in findings.values() if f.is_error]


def test_an_evaluation_that_draws_otherwise_than_the_base_says_is_noted_with_the_key_to_set(project: Path) -> None:
    folder = save_tiny(project / "model", "qwen2")
    edit(folder / "generation_config.json", do_sample=True, temperature=0.7, top_p=0.8, repetition_penalty=1.0)
    said = found(base(folder), level="note")["evaluate.sampling"]
    assert said.message == (
        "both policies answer with temperature 1, top_p 1; generation_config.json of the base says"
        " temperature 0.7, top_p 0.8"
    )
    assert said.fix.startswith("set evaluate.sampling: {temperature: 0.7, top_p: 0.8} ")
    followed = "evaluate.sampling={temperature: 0.7, top_p: 0.8}"
    assert "evaluate.sampling" not in found(base(folder), followed, level="note")
    assert "evaluate.sampling" not in found(base(folder), "evaluate=null", level="note")


def test_a_model_that_is_not_causal_is_an_error(project: Path) -> None:
    bert = BertForMaskedLM(BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8))
    bert.save_pretrained(project / "bert")
    tiny_tokenizer().save_pretrained(project / "bert")
    assert "not a causal language model" in only(base(project / "bert")).message


def test_eos_that_is_pad_needs_no_word_and_no_eos_is_an_error(project: Path) -> None:
    folder = save_tiny(project / "model", "llama")
    settings = folder / "tokenizer_config.json"
    eos = json.loads(settings.read_text())["eos_token"]
    edit(settings, pad_token=eos)
    assert found(base(folder), level="error") == {}
    edit(settings, eos_token=None, pad_token="<|pad|>")
    assert "no EOS token" in only(base(folder)).message


def test_a_template_that_fails_is_an_error_of_the_template(project: Path) -> None:
    (project / "broken.jinja").write_text("{{ raise_exception('I cannot') }}")
    assert only("model.template=broken.jinja").key == "model.template"


def test_prompts_that_fill_the_context_are_an_error(project: Path) -> None:
    rows = [{"prompt": f"{n} " + "long " * 300, "completion": "Yes."} for n in range(40)]
    write(project / "data" / "long.jsonl", *rows)
    findings = found("data.demonstrations=[{path: data/long.jsonl}]", "data.eval_share=0.5", "sft.eval_share=0.5")
    assert findings["data.prompts"].is_error
    assert "40 of 40 leave less than the" in findings["data.prompts"].message
    assert "none can be made to fit" in findings["sft.too_long"].message


def test_a_conversation_without_anything_to_learn_is_an_error(project: Path) -> None:
    good = [
        {"messages": [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": "Yes."}]}
        for n in range(20)
    ]
    masked = {"messages": [{"role": "assistant", "content": "Hello."}, {"role": "user", "content": "And?"}]}
    write(project / "data" / "masked.jsonl", *good, masked)
    [finding] = [
        f for f in found("data.demonstrations=[{path: data/masked.jsonl}]").values() if "assistant" in f.message
    ]
    assert finding.key.startswith("data.demonstrations")


def test_the_lab_is_looked_at_by_a_sample(project: Path) -> None:
    settings = ("data={kind: lab}", "collect={raters: {kind: simulated}}", "base.shape.context=192")
    assert not found(*settings)


def test_the_size_of_a_new_model_is_what_transformers_counts() -> None:
    shape = ScratchConfig(hidden=48, layers=3, heads=4, kv_heads=2, ffn=96, context=64)
    tokenizer = train_tokenizer(["a few words"], vocab_size=300)
    counted = sum(p.numel() for p in new_model(tokenizer, shape, seed=0).parameters())
    assert of_scratch(shape, len(tokenizer)).parameters == counted


def save_of(folder: Path, config: Any) -> str:
    tokenizer = tiny_tokenizer()
    config.vocab_size, config.pad_token_id = len(tokenizer), tokenizer.pad_token_id
    AutoModelForCausalLM.from_config(config).save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return base(folder)


def test_the_base_is_sampled_and_scored_before_the_doctor_says_ready(project: Path) -> None:
    # Mamba keeps a state of its own, and transformers has no sequence classifier of it.
    setting = save_of(project / "m", MambaConfig(hidden_size=32, num_hidden_layers=2, state_size=8))
    findings = examine(Path("assent.yaml"), (), (setting,))
    by_level = {(f.key, f.level): f.message for f in findings}
    assert "samples slowly" in by_level["sampling", "note"]
    assert "log-probabilities are those of training" in by_level["sampling", "ok"]
    assert "a reward model can be made of it (MambaForCausalLM" in by_level["scoring", "ok"]
    assert summary(findings).startswith("ready")


def test_a_base_that_sees_later_tokens_is_an_error(project: Path) -> None:
    config = BertGenerationConfig(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4)
    assert "sees later tokens" in only(save_of(project / "m", config)).message


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("second", 0, "ready for `assent run`"),
        ("two words", 2, "letters, digits, dots, hyphens and underscores"),
        ("artifacts", 2, "'artifacts' is a folder that all runs share"),
    ],
)
def test_the_doctor_looks_at_the_run_under_the_name_that_it_will_have(
    name: str,
    code: int,
    said: str,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.argv", ["assent", "doctor", "--name", name])
    ended = 0
    try:
        main()
    except SystemExit as end:
        ended = int(end.code or 0)
    shown = capsys.readouterr()
    assert (ended, said in shown.out + shown.err) == (code, True), shown.out
