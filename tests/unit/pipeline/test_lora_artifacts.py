"""Artifacts of LoRA hold what was trained alone, and open to the bits of the whole model that they stand for."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import typer
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, GraniteConfig

from assent.artifacts.find import find_artifact
from assent.artifacts.jsonl import write_records
from assent.artifacts.stage import LogOptions, Runner
from assent.artifacts.store import Artifact, ArtifactStore, FileEntry, Manifest, write_manifest
from assent.cli import app
from assent.core.errors import ModelError
from assent.models.adapter_start import FILE
from assent.models.config import LoraConfig, ModelConfig
from assent.models.context import read_context
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel
from assent.models.tiny import FAMILIES, save_tiny, tiny_tokenizer
from assent.pipeline.backends import save_other_head, save_policy, save_reward
from assent.pipeline.commands.evaluate import is_reward
from assent.pipeline.commands.export import export_model
from assent.pipeline.commands.origin import origin_of
from assent.pipeline.config import ComputeConfig, PretrainedBase
from assent.pipeline.stages.declared import run_base
from assent.pipeline.stages.settings import BaseStage

Model = PolicyModel | ScalarModel
WHOLE = ModelConfig(attention="padded")
LORA = ModelConfig(attention="padded", lora=LoraConfig(rank=2, alpha=8))


class Line:
    """A base and what is trained on it, one on the other, in a store of artifacts."""

    def __init__(self, root: Path, family: str = "llama", dtype: str = "float32") -> None:
        self.root, self.store = root, ArtifactStore(root, say=print)
        self.config = LORA.model_copy(update={"dtype": dtype})
        self.whole: dict[str, Path] = {}
        """What the same models weigh when they are merged and saved, as older versions did, by name."""
        if family in FAMILIES:
            save_tiny(root.parent / "tiny", family)
        else:
            headless(root.parent / "tiny")
        policy = PolicyModel.load(root.parent / "tiny", config=WHOLE, trainable=False)
        self.base = self._commit("policy", "base", lambda output: policy.save(output / "policy"))
        self.first = self.policy(self.base, "first", 0.01)
        self.reward = self.scores(self.first, "reward", 0.02)
        self.second = self.policy(self.first, "second", -0.02)
        self.third = self.policy(self.second, "third", 0.03)
        self.later = self.scores(self.third, "later", 0.01)

    def policy(self, start: Artifact, name: str, by: float) -> Artifact:
        model = PolicyModel.load(self._start(start), config=self.config, trainable=True)
        return self._made(model, start, name, by)

    def scores(self, start: Artifact, name: str, by: float) -> Artifact:
        model = ScalarModel.from_policy(self._start(start), config=self.config, seed=3)
        model.score_mean, model.score_std, model.trained_length = 0.25, 2.0, 40
        return self._made(model, start, name, by)

    def _start(self, start: Artifact) -> Path:
        return self.whole.get(start.manifest.stage, start.file("policy"))

    def _made(self, model: Model, start: Artifact, name: str, by: float) -> Artifact:
        for n, parameter in enumerate(model.parameters().values()):
            parameter.data.add_(by * (1 + n % 3))
        self.whole[name] = self.root.parent / "whole" / name
        model.save(self.whole[name], merged=True)
        if isinstance(model, ScalarModel):
            return self._commit("reward", name, lambda output: save_reward(model, output, start=start), start)
        return self._commit("policy", name, lambda output: save_policy(model, output, start=start), start)

    def _commit(self, kind: str, name: str, write: Callable[[Path], None], start: Artifact | None = None) -> Artifact:
        output = self.root.parent / "work" / name
        output.mkdir(parents=True)
        write(output)
        key, inputs = (name + "0" * 64)[:64], {} if start is None else {"start": start.key}
        manifest = Manifest(kind=kind, key=key, stage=name, version=1, config={}, inputs=inputs)
        return self.store.commit(output, manifest)


def headless(folder: Path) -> None:
    """A model that transformers has no form with a score head of."""
    tokenizer = tiny_tokenizer()
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    ids = {"vocab_size": len(tokenizer), "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    model = AutoModelForCausalLM.from_config(GraniteConfig(**sizes, **ids, max_position_embeddings=128))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def opened(folder: Path, *, dtype: str = "float32") -> Model:
    kind = ScalarModel if folder.name in ("reward", "later") else PolicyModel
    return kind.load(folder, config=WHOLE.model_copy(update={"dtype": dtype}), trainable=False)


def assert_same_bits(ours: Model, wanted: Model) -> None:
    own, theirs = ours.hf.state_dict(), wanted.hf.state_dict()
    assert own.keys() == theirs.keys()
    assert [name for name, weight in own.items() if not torch.equal(weight, theirs[name])] == []
    assert ours.hf.config.to_dict() == theirs_without_place(wanted, ours)


def theirs_without_place(wanted: Model, ours: Model) -> dict[str, object]:
    return wanted.hf.config.to_dict() | {"_name_or_path": ours.hf.config.to_dict().get("_name_or_path")}


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    return Line(tmp_path_factory.mktemp("line") / "artifacts")


@pytest.mark.parametrize(
    ("family", "dtype", "read_as"),
    [("llama", "float32", "float32"), ("gpt2", "bfloat16", "float32"), ("granite", "float32", "bfloat16")],
)
def test_adapters_on_adapters_open_as_the_whole_models_of_before(
    family: str, dtype: str, read_as: str, tmp_path: Path
) -> None:
    made = Line(tmp_path / "artifacts", family, dtype)
    assert len(list(made.root.rglob("model.safetensors"))) == 1, "the base alone"
    for one in (made.first, made.reward, made.second, made.third, made.later):
        whole = made.whole[one.manifest.stage]
        assert_same_bits(opened(one.file(one.kind), dtype=read_as), opened(whole, dtype=read_as))
    assert read_context(made.third.file("policy")) == read_context(made.base.file("policy"))
    with pytest.raises(ModelError, match="not a causal language model|holds a reward model"):
        PolicyModel.load(made.later.file("reward"), config=WHOLE, trainable=False)


def test_export_and_the_way_back_to_the_base_are_those_of_whole_models(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(export_model(str(line.third.folder), tmp_path / "out"))
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "out").state_dict()
    wanted = opened(line.whole["third"]).hf.state_dict()
    assert all(torch.equal(weight, wanted[name]) for name, weight in plain.items())
    origin = origin_of(find_artifact(str(line.third.folder)))
    assert origin.artifact.folder == line.base.folder and len(origin.adapters) == 3
    list(export_model(str(line.third.folder), tmp_path / "adapter", adapter=True))
    assert not (tmp_path / "adapter" / FILE).exists(), "it lies on another base now"
    monkeypatch.chdir(tmp_path / "adapter")  # plain transformers looks for the base from where one stands
    loose = AutoModelForCausalLM.from_pretrained(tmp_path / "adapter", attn_implementation="eager").eval()
    whole = AutoModelForCausalLM.from_pretrained(tmp_path / "out", attn_implementation="eager").eval()
    tokens = torch.tensor([[5, 17, 200, 31]])
    torch.testing.assert_close(loose(tokens).logits, whole(tokens).logits, atol=1e-3, rtol=1e-3)
    assert is_reward(line.later.file("reward")) and not is_reward(line.third.file("policy"))
    assert not is_reward(tmp_path / "adapter") and not is_reward(tmp_path / "out")


def test_the_note_beside_an_adapter_names_commands_that_the_command_line_takes(line: Line, tmp_path: Path) -> None:
    note = (line.third.file("policy") / "README.md").read_text(encoding="utf-8")
    (command, _), (with_adapter, flags) = (parsed(one.split()[1:]) for one in re.findall(r"`assent ([^`]*)`", note))
    assert command == with_adapter == {"artifact": "PATH", "to": Path("FOLDER")} and flags["adapter"]
    assert str(tmp_path) not in note


def parsed(arguments: list[str]) -> tuple[dict[str, object], dict[str, object]]:
    """What `assent export` reads from these words: its artifact and folder, and all the rest."""
    read = typer.main.get_command(app).commands["export"].make_context("export", arguments).params  # type: ignore[attr-defined]
    return {name: read.pop(name) for name in ("artifact", "to")}, read


def test_the_adapter_of_a_model_that_was_kept_on_the_way_is_its_own_on_those_before_it(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    third = shutil.copytree(line.root, tmp_path / "artifacts") / line.third.name
    kept = shutil.copytree(third / "policy", third / "step-1") / "adapter_model.safetensors"
    begun = {name: weight.zero_() if "lora_B" in name else weight for name, weight in load_file(kept).items()}
    save_file(begun, kept, metadata={"format": "pt"})  # before its first step an adapter adds nothing
    list(export_model(str(third / "step-1"), tmp_path / "adapter", adapter=True))
    monkeypatch.chdir(tmp_path / "adapter")
    loose = AutoModelForCausalLM.from_pretrained(tmp_path / "adapter", attn_implementation="eager").eval()
    whole = opened(line.whole["second"]).hf.eval()
    tokens = torch.tensor([[5, 17, 200, 31]])
    torch.testing.assert_close(loose(tokens).logits, whole(tokens).logits, atol=1e-3, rtol=1e-3)
    assert "step 1" in (tmp_path / "adapter" / "README.md").read_text(encoding="utf-8")


def test_a_project_may_be_moved_and_artifacts_may_lie_in_a_store_of_an_older_run(line: Line, tmp_path: Path) -> None:
    moved = shutil.copytree(line.root, tmp_path / "elsewhere" / "runs" / "artifacts")
    assert_same_bits(opened(moved / line.third.name / "policy"), opened(line.whole["third"]))
    older = tmp_path / "elsewhere" / "runs" / "x" / "artifacts"
    older.mkdir(parents=True)
    for one in (line.base, line.second):
        (moved / one.name).rename(older / one.name)
    assert_same_bits(opened(moved / line.third.name / "policy"), opened(line.whole["third"]))


def test_a_start_that_is_gone_or_another_is_said_with_what_to_do(line: Line, tmp_path: Path) -> None:
    moved = shutil.copytree(line.root, tmp_path / "artifacts")
    third = moved / line.third.name / "policy"
    weights = FileEntry(size=1, sha256="0" * 64)
    changed = line.second.manifest.files | {"policy/adapter_model.safetensors": weights}
    write_manifest(moved / line.second.name, line.second.manifest.model_copy(update={"files": changed}))
    with pytest.raises(ModelError, match=rf"other weights than .*; remove .*{line.third.name}: `assent run` makes it"):
        opened(third)
    first = moved / line.first.name / "policy" / "adapter_model.safetensors"
    whole = first.read_bytes()
    write_manifest(moved / line.second.name, line.second.manifest)
    first.write_bytes(whole[:-4] + b"oops")
    with pytest.raises(ModelError, match=r"first.*adapter_model.safetensors has changed since it was written"):
        opened(third)
    shutil.rmtree(moved / line.second.name)
    with pytest.raises(ModelError, match=f"lies on {line.second.name}, which is gone; `assent run` makes it again"):
        opened(third)


def test_what_older_versions_made_stays_readable(line: Line, tmp_path: Path) -> None:
    """A whole model, and its adapter beside it, whose start may have become an adapter since."""
    moved = shutil.copytree(line.root, tmp_path / "artifacts")
    old = moved / line.third.name
    adapter = (old / "policy").rename(old / "adapter")
    (adapter / FILE).unlink()
    shutil.copytree(line.whole["third"], old / "policy")
    assert_same_bits(opened(old / "policy"), opened(line.whole["third"]))
    store = ArtifactStore(moved, say=print)
    manifest = line.third.manifest
    shutil.move(old, tmp_path / "output")
    (tmp_path / "output" / "manifest.json").unlink()
    again = store.commit(tmp_path / "output", manifest)
    assert [one.parent.name for one in origin_of(again).adapters] == [
        one.name for one in (line.first, line.second, again)
    ]
    assert_same_bits(opened(adapter), opened(line.whole["third"]))


def test_another_head_on_the_same_body_is_the_same_adapter(line: Line, tmp_path: Path) -> None:
    model = ScalarModel.load(line.reward.file("reward"), config=WHOLE, trainable=False)
    model.head = model.head + 1.0
    model.score_mean += 0.5
    model.save(tmp_path / "reward", merged=True)
    other = line._commit("reward", "head", lambda output: save_other_head(model, output, parent=line.reward))
    assert not (other.file("reward") / "model.safetensors").exists()
    assert_same_bits(opened(other.file("reward")), opened(tmp_path / "reward"))


def test_a_base_stays_in_the_type_it_was_loaded_in(tmp_path: Path) -> None:
    save_tiny(tmp_path / "tiny", "llama")
    AutoModelForCausalLM.from_pretrained(tmp_path / "tiny").to(torch.bfloat16).save_pretrained(tmp_path / "tiny")
    settings = BaseStage(
        base=PretrainedBase(path=str(tmp_path / "tiny")),
        model=ModelConfig(pad_token="<|new|>"),
        compute=ComputeConfig(),
    )
    with Runner(tmp_path / "run", seed=0, logs=LogOptions(quiet=True, tensorboard=False)) as run:
        folder = run(run_base, settings).folder
    with safe_open(folder / "policy" / "model.safetensors", framework="pt") as tensors:
        assert {tensors.get_slice(name).get_dtype() for name in tensors.keys()} == {"BF16"}  # noqa: SIM118
    ours = PolicyModel.load(folder / "policy", config=WHOLE, trainable=False)
    wanted = PolicyModel.load(tmp_path / "tiny", config=ModelConfig(pad_token="<|new|>"), trainable=False)
    rows = wanted.tokenizer.pad_token_id
    for name, weight in wanted.hf.state_dict().items():
        kept = slice(0, rows) if "embed_tokens" in name or "lm_head" in name else slice(None)
        assert torch.equal(ours.hf.state_dict()[name][kept], weight[kept]), name


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640)])
def test_weights_are_as_readable_as_other_files_and_words_of_people_stay_private(
    mask: int, mode: int, tmp_path: Path
) -> None:
    output = tmp_path / "output"
    with umask(mask):
        save_tiny(output / "policy", "llama")
        for one in (output / "policy").iterdir():
            one.chmod(0o600 if one.suffix == ".safetensors" else mode)
        write_records(output / "said.jsonl", [], is_private=True)
        write_records(output / "made.jsonl", [])
        manifest = Manifest(kind="policy", key="a" * 64, stage="x", version=1, config={})
        made = ArtifactStore(tmp_path / "artifacts", say=print).commit(output, manifest)
        policy = PolicyModel.load(made.file("policy"), config=LORA, trainable=True)
        save_policy(policy, tmp_path / "next", start=made)
    files = [*made.folder.rglob("*"), *(tmp_path / "next").rglob("*")]
    modes = {one.name: one.stat().st_mode & 0o777 for one in files if one.is_file()}
    assert modes.pop("said.jsonl") == 0o600
    assert "adapter_model.safetensors" in modes and set(modes.values()) == {mode}
