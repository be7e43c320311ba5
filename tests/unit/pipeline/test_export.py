"""Export: the folder is a plain Hugging Face model with the same numbers, says where it comes from, and is whole."""

from __future__ import annotations

import json
from pathlib import Path

import peft
import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from assent.artifacts.find import find_artifact, store_at
from assent.artifacts.lineage import lineage, read_lineage, render
from assent.core.errors import DataError, UserError
from assent.core.group import Group
from assent.models.config import ModelConfig
from assent.models.groups import pack
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel
from assent.pipeline.commands.export import export_model
from run_of_tiny_models import make_run

PLAIN = ModelConfig(attention="padded")
TOKENS = torch.tensor([[1, 5, 9, 40, 7]])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_run(tmp_path_factory.mktemp("export") / "x"))


@torch.no_grad()
def logits(model: torch.nn.Module) -> torch.Tensor:
    return model.eval()(TOKENS).logits


def policy_of(name: str) -> torch.Tensor:
    return logits(PolicyModel.load(find_artifact(name).file("policy"), config=PLAIN, trainable=False).hf)


def test_a_policy_reloads_in_plain_transformers_with_its_tokenizer(run: str, tmp_path: Path) -> None:
    list(export_model(f"{run}/round-2", tmp_path / "out"))
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert torch.equal(logits(model), policy_of(f"{run}/round-2"))
    assert len(AutoTokenizer.from_pretrained(tmp_path / "out")) == model.config.vocab_size
    assert not list((tmp_path / "out").glob("*.bin"))


@pytest.mark.parametrize("number", [1, 2])
def test_an_adapter_holds_all_rounds_on_the_models_first_base(number: int, run: str, tmp_path: Path) -> None:
    list(export_model(f"{run}/round-{number}", tmp_path / "out", adapter=True))
    start = AutoModelForCausalLM.from_pretrained(tmp_path / "out" / "base")
    assert torch.equal(logits(start), policy_of(f"{run}/round-0"))
    both = logits(peft.PeftModel.from_pretrained(start, tmp_path / "out"))
    torch.testing.assert_close(both, policy_of(f"{run}/round-{number}"), rtol=1e-4, atol=1e-4)
    assert not (tmp_path / "out" / "model.safetensors").exists()
    settings = (tmp_path / "out" / "adapter_config.json").read_text()
    assert json.loads(settings)["base_model_name_or_path"] == "base" and str(tmp_path) not in settings


def test_a_type_is_written_and_the_card_says_what_rounding_did(run: str, tmp_path: Path) -> None:
    for dtype in ("float32", "bfloat16", "float16"):
        list(export_model(f"{run}/round-2", tmp_path / dtype, dtype=dtype))
        model = AutoModelForCausalLM.from_pretrained(tmp_path / dtype)
        assert str(model.dtype) == f"torch.{dtype}"
        wanted = policy_of(f"{run}/round-2")
        torch.testing.assert_close(logits(model.float()), wanted, atol=0 if dtype == "float32" else 0.3, rtol=0)
    cards = {dtype: (tmp_path / dtype / "README.md").read_text() for dtype in ("float32", "bfloat16", "float16")}
    assert "as they were trained" in cards["float32"] and "ounding" not in cards["float32"]
    # Half of the last of 8 bits: no weight moves by more than 1/256 of itself.
    assert "Rounding changed a weight by at most 0.39 % of itself" in cards["bfloat16"]
    assert "rounded from float32" in cards["float16"]
    with pytest.raises(UserError, match="--dtype int8 is not known"):
        list(export_model(f"{run}/round-2", tmp_path / "int8", dtype="int8"))


def test_a_card_begins_with_what_the_hub_reads_and_shows_no_path_of_this_machine(run: str, tmp_path: Path) -> None:
    list(export_model(f"{run}/round-1", tmp_path / "out"))
    card = (tmp_path / "out" / "README.md").read_text()
    head = yaml.safe_load(card.split("---")[1])
    assert head == {"library_name": "transformers", "pipeline_tag": "text-generation", "tags": ["assent", "optimize"]}
    assert str(tmp_path) not in card and "base: " in card


def test_a_lora_reward_model_comes_out_merged_with_its_head(run: str, tmp_path: Path) -> None:
    artifact = find_artifact(f"{run}/round-1/reward")
    assert (artifact.folder / "reward" / "adapter_config.json").exists()
    list(export_model(f"{run}/round-1/reward", tmp_path / "out"))
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    ours = ScalarModel.load(artifact.file("reward"), config=ModelConfig(), trainable=False)
    assert plain.config.num_labels == 1
    ids = TOKENS[0].numpy()
    [batch] = pack([Group(ids[:2], (ids[2:],))], budget=64)
    torch.testing.assert_close(logits(plain)[0], ours.at_last(batch).detach(), rtol=1e-4, atol=1e-4)


def test_lineage_and_card_name_what_it_was_made_from(run: str, tmp_path: Path) -> None:
    list(export_model(f"{run}/round-2", tmp_path / "out"))
    artifact = find_artifact(f"{run}/round-2")
    history = json.loads((tmp_path / "out" / "lineage.json").read_text())
    assert history["root"] == artifact.key
    assert {one["stage"] for one in history["artifacts"].values()} == {"sft", "fit reward", "optimize"}
    card = (tmp_path / "out" / "README.md").read_text()
    assert artifact.key in card
    assert "demonstrations.jsonl: `9c9c9c9c9c9c`" in card
    assert "Preferred to the policy it started from in 80.0 % [75.0 %, 85.0 %] of blind comparisons" in card
    assert "# out\n" in card and "- optimized: 6 steps" in card


def test_the_lineage_of_an_export_is_that_of_its_artifact(run: str, tmp_path: Path) -> None:
    list(export_model(f"{run}/round-2", tmp_path / "out"))
    artifact = find_artifact(f"{run}/round-2")
    wanted = lineage(artifact, store_at(artifact.folder.parent))
    assert render(read_lineage(tmp_path / "out" / "lineage.json")) == render(wanted)
    (tmp_path / "out" / "lineage.json").write_text("{}")
    with pytest.raises(DataError, match=r"lineage\.json: is no lineage that"):
        read_lineage(tmp_path / "out" / "lineage.json")


def test_a_full_folder_is_never_written_into(run: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep me")
    with pytest.raises(UserError, match="not empty"):
        list(export_model(run, tmp_path / "out"))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_a_full_model_has_no_adapter_and_nothing_half_written_stays(tmp_path: Path) -> None:
    run = make_run(tmp_path / "x", rounds=1, model=ModelConfig())
    with pytest.raises(UserError, match="leave out --adapter"):
        list(export_model(str(run), tmp_path / "out", adapter=True))
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
