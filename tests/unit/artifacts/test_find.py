"""Finding models and artifacts by the names people type."""

from __future__ import annotations

from pathlib import Path

import pytest

from assent.artifacts.find import find_artifact, model_folder, model_of
from assent.core.errors import UserError
from assent.models.config import ModelConfig
from assent.models.tiny import save_tiny
from run_of_tiny_models import make_run


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("find")
    make_run(folder / "runs" / "x", model=ModelConfig())
    return folder


@pytest.fixture(autouse=True)
def _here(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)


def refusal(name: str) -> str:
    with pytest.raises(UserError) as caught:
        model_folder(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_run_is_its_newest_policy_and_round_0_its_start() -> None:
    newest, first, start = (find_artifact(name) for name in ("runs/x", "runs/x/round-1", "runs/x/round-0"))
    assert newest.key == find_artifact("runs/x/round-2").key != first.key
    assert newest.manifest.stage == first.manifest.stage == "optimize" and start.manifest.stage == "sft"
    assert find_artifact("runs/x/round-1/policy").key == first.key


def test_the_parts_of_a_round_and_artifacts_have_names() -> None:
    reward = find_artifact("runs/x/round-1/reward")
    assert reward.kind == "reward"
    assert find_artifact(f"runs/x/artifacts/{reward.name}").key == reward.key
    assert find_artifact(f"runs/x/artifacts/{reward.name[:12]}").key == reward.key
    assert model_of(reward) == reward.folder / "reward"


def test_a_plain_model_folder_and_a_hub_id_are_models(tmp_path: Path) -> None:
    plain = save_tiny(tmp_path / "plain", "llama")
    assert model_folder(str(plain)) == plain
    assert model_folder("Qwen/Qwen3-0.6B") == "Qwen/Qwen3-0.6B"
    assert model_folder("gpt2") == "gpt2"


def test_a_misspelt_run_is_not_taken_for_a_hub_id() -> None:
    # runs/y has the form of a hub id, and asking the hub for it would end in an error about the network.
    assert "runs here: runs/x" in refusal("runs/y")


def test_what_is_not_there_is_answered_with_what_is() -> None:
    assert "runs/x/round-2" in refusal("runs/x/round-7")
    assert "runs/x/round-1/reward" in refusal("runs/x/round-1/samples")
    assert "fits several" in refusal("runs/x/artifacts/policy")
    assert "holds evaluation, not a model" in refusal("runs/x/round-1/evaluation")


def test_a_changed_artifact_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs" / "broken", rounds=1, model=ModelConfig())
    weights = find_artifact(str(run)).folder / "policy" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"oops")
    assert "has changed since it was written" in refusal(str(run))
