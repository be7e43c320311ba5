"""What `assent doctor` says about a base that exists: it is opened and tried, or its tokenizer is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from assent.core import hub
from assent.core.findings import Finding, error, note, ok
from assent.data.render import Renderer
from assent.models.context import read_context
from assent.models.lora import WORDS, adapter_base, attach
from assent.models.policy import PolicyModel
from assent.models.suggested import suggested_sampling
from assent.models.tokenizer import load_tokenizer
from assent.pipeline.config import PretrainedBase, RunConfig
from assent.pipeline.doctor.reader import OpenedBase, Reader, millions
from assent.pipeline.doctor.trial import try_sampling, try_scoring


def open_pretrained(config: RunConfig, base: PretrainedBase) -> OpenedBase:
    """Open a folder whole, of a hub model the tokenizer only. Raises ModelError where it cannot be opened."""
    return _open_folder(config, base.path) if Path(base.path).exists() else _open_hub(config, base)


def _open_folder(config: RunConfig, path: str) -> OpenedBase:
    policy = PolicyModel.load(path, config=config.model.model_copy(update={"lora": None}), trainable=False)
    wide = 4 if policy.own_type == "float32" else 2
    reader = Reader(
        Renderer(policy.tokenizer, template=config.model.template, date=config.model.date),
        policy.max_length,
        policy.num_parameters,
        wide * policy.num_parameters,
    )
    said = f"{type(policy.core).__name__}, {millions(reader.parameters)} parameters, context {reader.context}"
    findings = [ok("base.path", said), *_about_template(reader.renderer), *_about_sampling(config, path)]
    if (below := adapter_base(path)) is not None:
        findings.append(ok("base.path", f"an adapter on {below.path}; the run starts from both, merged"))
    if policy.mode == "padded":
        findings.append(note("model.attention", f"padded rows, which are slower: {policy.mode_reason}"))
        if config.method.shares_trunk:
            said = f"is shared_trunk, but the states of padded rows are read by no value head: {policy.mode_reason}"
            findings.append(error("optimize.value", said, "set it to own_model"))
    if policy.max_length < (getattr(policy.core.config.get_text_config(), "max_position_embeddings", None) or 0):
        said = f"rows end at the original context of {policy.max_length} tokens: LongRoPE is not used beyond it"
        findings.append(note("base.path", said))
    findings += try_sampling(policy)
    if config.model.lora is not None:
        hf = attach(policy.hf, config.model.lora, task=WORDS)
        trained = sum(weight.numel() for weight in hf.parameters() if weight.requires_grad)
        reader = replace(reader, adapters=trained)
        findings.append(ok("model.lora", f"adapters of {millions(trained)} parameters"))
        del hf
    del policy  # two large models need not be in memory together
    findings += try_scoring(config, path)
    return OpenedBase(reader, findings)


def _open_hub(config: RunConfig, base: PretrainedBase) -> OpenedBase:
    if away := hub.problem_of(base.path, revision=base.revision):
        return OpenedBase(None, [error("base.path", away, "check the network, or name a folder")])
    tokenizer = load_tokenizer(
        base.path,
        pad_token=config.model.pad_token,
        template=config.model.template,
        trust_remote_code=config.model.trust_remote_code,
        revision=base.revision,
    )
    renderer = Renderer(tokenizer, template=config.model.template, date=config.model.date)
    limit = read_context(base.path, trust_remote_code=config.model.trust_remote_code, revision=base.revision)
    said = f"{base.path} has a usable tokenizer; its weights are looked at when the run starts"
    about = [*_about_template(renderer), *_about_sampling(config, base.path, base.revision)]
    return OpenedBase(Reader(renderer, limit, 0), [note("base.path", said), *about])


def _about_template(renderer: Renderer) -> list[Finding]:
    if renderer.template == renderer.tokenizer.chat_template:
        return [ok("model.template", renderer.describe())]
    return [note("model.template", renderer.describe(), "make sure it is the one the model was trained with, if any")]


def _about_sampling(config: RunConfig, path: str, revision: str | None = None) -> Iterator[Finding]:
    """An evaluation whose answers are drawn otherwise than the makers of the base would have it."""
    if config.evaluate is None:
        return
    own = config.evaluate.sampling
    other = {
        name: one for name, one in suggested_sampling(path, revision=revision).items() if one != getattr(own, name)
    }
    if other:
        theirs = ", ".join(f"{name} {value:g}" for name, value in other.items())
        ours = ", ".join(f"{name} {'null' if (one := getattr(own, name)) is None else f'{one:g}'}" for name in other)
        said = f"both policies answer with {ours}; generation_config.json of the base says {theirs}"
        keys = ", ".join(f"{name}: {value:g}" for name, value in other.items())
        yield note("evaluate.sampling", said, f"set evaluate.sampling: {{{keys}}} to compare them as users would")
