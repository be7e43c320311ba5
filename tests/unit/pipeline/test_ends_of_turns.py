"""Where an answer ends is the same in sampling, in what is saved, and in plain transformers that generates from it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from assent.core.types import Message
from assent.generation.config import Sampling
from assent.models.byte_pairs import BOS, EOS, PAD, train_tokenizer
from assent.models.config import ModelConfig
from assent.models.scalar import ScalarModel
from assent.models.tokenizer import load_tokenizer
from assent.pipeline.backends import Backends
from assent.pipeline.config import ComputeConfig

BACKENDS = Backends(ModelConfig(), ComputeConfig(device="cpu", threads=1))


def turns(begin: str, end: str, *, answer: str = "assistant") -> str:
    """A template that writes `begin` with the role before each turn and `end` after it."""
    opened = begin.replace("ROLE", f"' + ('{answer}' if m.role == 'assistant' else m.role) + '")
    return (
        "{% for m in messages %}{{ '" + opened + "' + m.content + '" + end + "' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '" + begin.replace("ROLE", answer) + "' }}{% endif %}"
    )


CHATML = turns("<|im_start|>ROLE\\n", "<|im_end|>\\n")
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}"
    "{% else %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}"
)


@dataclass(frozen=True)
class Family:
    """A tokenizer and generation config shaped like those of a known family; `ends` are all that end an answer."""

    special: tuple[str, ...]
    eos: str
    pad: str | None
    listed: tuple[str, ...]
    template: str
    ends: frozenset[str]


FAMILIES = {
    "chatml on a base": Family(
        ("<|end|>", "<|im_start|>", "<|im_end|>", "<|pad|>"),
        "<|end|>", "<|pad|>", ("<|end|>",), CHATML, frozenset({"<|im_end|>", "<|end|>"}),
    ),
    "chatml whose padding is a listed end": Family(
        ("<|end|>", "<|im_start|>", "<|im_end|>"),
        "<|im_end|>", "<|end|>", ("<|im_end|>", "<|end|>"), CHATML, frozenset({"<|im_end|>", "<|end|>"}),
    ),
    "padding is the end of a turn": Family(
        ("<|end|>", "<|im_start|>", "<|im_end|>"),
        "<|im_end|>", "<|im_end|>", ("<|im_end|>",), CHATML, frozenset({"<|im_end|>"}),
    ),
    "no padding, three ends": Family(
        ("<|begin|>", "<|end|>", "<|header|>", "<|eot|>", "<|eom|>", "<|reserved_0|>"),
        "<|eot|>", None, ("<|end|>", "<|eom|>", "<|eot|>"),
        turns("<|header|>ROLE\\n\\n", "<|eot|>"), frozenset({"<|eot|>", "<|eom|>", "<|end|>"}),
    ),
    "end of turn that no config names": Family(
        ("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"),
        "<eos>", "<pad>", ("<eos>",),
        turns("<start_of_turn>ROLE\\n", "<end_of_turn>\\n", answer="model"), frozenset({"<eos>", "<end_of_turn>"}),
    ),
    "brackets and the end of text": Family(
        ("<unk>", "<s>", "</s>"), "</s>", None, ("</s>",), MISTRAL, frozenset({"</s>"})
    ),
    "end of text pads, turns end otherwise": Family(
        ("<|eot|>", "<|user|>", "<|assistant|>", "<|stop|>"),
        "<|eot|>", "<|eot|>", ("<|eot|>", "<|user|>", "<|stop|>"),
        turns("<|ROLE|>\\n", "<|stop|>\\n"), frozenset({"<|eot|>", "<|user|>", "<|stop|>"}),
    ),
}  # fmt: skip


def save(family: Family, folder: Path) -> Path:
    """A random model of a family, whose generation config says what `listed` says."""
    core = train_tokenizer(["Where is order 7? It is on its way."], vocab_size=300, special_tokens=family.special)
    settings = {"eos_token": family.eos, "pad_token": family.pad, "chat_template": family.template}
    bos = next((token for token in family.special if token in ("<s>", "<bos>", "<|begin|>")), None)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core.backend_tokenizer, bos_token=bos, **settings)
    tokenizer.add_special_tokens({"additional_special_tokens": list(family.special)})
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), eos_token_id=tokenizer.eos_token_id, **shape))
    model.generation_config = GenerationConfig(
        eos_token_id=[tokenizer.convert_tokens_to_ids(token) for token in family.listed], pad_token_id=None
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    # The names that train_tokenizer gives padding and ends are none of this family's.
    assert not {BOS, EOS, PAD} & set(tokenizer.all_special_tokens) - {family.pad, family.eos}
    return folder


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES[request.param]


def test_sampling_stops_at_every_end_and_goes_on_after_none(family: Family, tmp_path: Path) -> None:
    policy = BACKENDS.policy(save(family, tmp_path), trainable=False)
    assert set(policy.tokenizer.convert_ids_to_tokens(policy.eos_ids)) == family.ends
    prompt = BACKENDS.renderer(policy).prompt((Message(role="user", content="Hi"),))
    sampling = Sampling(max_new_tokens=100)
    answers = BACKENDS.engine(policy).generate([prompt], num_samples=48, sampling=sampling, seed=0)[0]
    assert {int(a.tokens[-1]) for a in answers if a.finished} <= set(policy.eos_ids)
    assert not [a for a in answers if set(a.tokens[:-1].tolist()) & set(policy.eos_ids)]


def test_plain_transformers_stops_there_in_what_is_saved(family: Family, tmp_path: Path) -> None:
    policy = BACKENDS.policy(save(family, tmp_path / "start"), trainable=False)
    policy.save(tmp_path / "saved", merged=True)
    model, tokenizer = (auto.from_pretrained(tmp_path / "saved") for auto in (AutoModelForCausalLM, AutoTokenizer))
    listed = model.generation_config.eos_token_id
    ends = {listed} if isinstance(listed, int) else set(listed)
    assert set(tokenizer.convert_ids_to_tokens(list(ends))) == family.ends
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        rows = model.generate(**asked, max_new_tokens=100, do_sample=True, top_k=0, num_return_sequences=48)
    answers = [row[asked["input_ids"].shape[1] :].tolist() for row in rows]
    firsts = [next((n for n, token in enumerate(answer) if token in ends), None) for answer in answers]
    assert any(first is not None for first in firsts)
    for answer, first in zip(answers, firsts, strict=True):
        assert first is None or set(answer[first + 1 :]) <= {tokenizer.pad_token_id}


def test_tokenizer_and_configs_agree_on_padding_and_the_end(family: Family, tmp_path: Path) -> None:
    policy = BACKENDS.policy(save(family, tmp_path / "start"), trainable=False)
    policy.save(tmp_path / "saved", merged=True)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "saved")
    config, generation = (
        json.loads((tmp_path / "saved" / name).read_text()) for name in ("config.json", "generation_config.json")
    )
    assert config["pad_token_id"] == generation["pad_token_id"] == tokenizer.pad_token_id
    assert config["eos_token_id"] == tokenizer.eos_token_id
    assert tokenizer.pad_token_id not in (tokenizer.eos_token_id, BACKENDS.renderer(policy).end_id)


def test_every_file_of_a_saved_model_may_be_read_by_whom_new_files_may_be(tmp_path: Path) -> None:
    policy = BACKENDS.policy(save(FAMILIES["chatml on a base"], tmp_path / "start"), trainable=False)
    policy.save(tmp_path / "saved", merged=True)
    (tmp_path / "plain").write_text("x")
    assert {file.stat().st_mode for file in (tmp_path / "saved").iterdir()} == {(tmp_path / "plain").stat().st_mode}


def test_a_reward_model_whose_padding_was_the_end_is_read_at_its_end_by_plain_transformers(tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    from assent.core.group import Group
    from assent.models.groups import pack

    start = save(FAMILIES["padding is the end of a turn"], tmp_path / "start")
    reward = ScalarModel.from_policy(start, config=ModelConfig(), seed=0)
    reward.save(tmp_path / "reward")
    ids = reward.tokenizer("Where is order 7?<|im_end|>", return_tensors="pt").input_ids
    [batch] = pack([Group(ids[0, :2].numpy(), (ids[0, 2:].numpy(),))], budget=99)
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "reward")
    torch.testing.assert_close(plain(ids).logits[0], reward.at_last(batch), rtol=1e-4, atol=1e-5)


def test_no_word_is_needed_where_padding_is_the_end_and_one_note_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    start = save(FAMILIES["padding is the end of a turn"], tmp_path)
    for _ in range(2):
        assert load_tokenizer(start).pad_token == PAD
    [note] = [record.getMessage() for record in caplog.records if "padding is" in record.getMessage()]
    assert "'<|im_end|>'" in note and "\n" not in note


def test_padding_moves_no_number(tmp_path: Path) -> None:
    start = save(FAMILIES["no padding, three ends"], tmp_path)
    prompts = [(Message(role="user", content=text),) for text in ("Hi", "Where is my order?")]
    drawn = []
    for pad in ("<|reserved_0|>", "<|header|>", "<|new|>"):
        backends = Backends(ModelConfig(pad_token=pad, attention="padded"), BACKENDS.compute)
        policy = backends.policy(start, trainable=False)
        ids = [backends.renderer(policy).prompt(one) for one in prompts]
        answers = backends.engine(policy).generate(ids, num_samples=2, sampling=Sampling(max_new_tokens=9), seed=1)
        drawn.append([answer.tokens.tolist() for row in answers for answer in row])
    # The new token takes a little of the probability, so only its two siblings are bound to draw the same.
    assert drawn[0] == drawn[1]
