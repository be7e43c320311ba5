"""GGUF files as models: which file a path means, its tokenizer held to the file, and its weights dequantized once.

GGUF is the one-file format of llama.cpp: weights in quantized blocks, and metadata with the vocabulary and the chat
template. transformers reads it; what it does not carry over is put right here or said.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assent.core.errors import ModelError
from assent.models.gguf_header import PLAIN, Header, read_header

if TYPE_CHECKING:  # a plan asks what a path is, and loads nothing
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

SUFFIX = ".gguf"
_EXTRA = "it is a GGUF file, which wants the package gguf; pip install 'assent[gguf]'"
_SPECIAL = {"eos": "eos_token_id", "bos": "bos_token_id", "unk": "unknown_token_id", "pad": "padding_token_id"}
"""transformers' name of a special token, and GGUF's of its number."""
_GPT2_SPLIT = frozenset({"default", "gpt-2", "gpt2", "phi-2", "jina-es", "jina-de", "mpt", "olmo", "jais", "trillion"})
"""Rules of splitting a text before merging that are GPT-2's, which the loader takes where it knows no other."""
_DIGITS_APART = frozenset({"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"})
"""Rules that part every digit first and are GPT-2's otherwise; transformers' loader does not know them."""
PROBES = (
    "Hello, world!",
    "  two  spaces,\n\nlines\tand tabs ",
    "déjà vu, 日本語, Ünïcödé 🙂",
    "In 2024 it cost 1234567890.5 (x**2 != y[3]);",
)
"""Texts that a tokenizer should give back as they were."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GGUF:
    """One GGUF file."""

    file: Path

    @classmethod
    def at(cls, path: str | Path) -> GGUF | None:
        """The file that a path means: itself, or the only one in a folder without safetensors; None where it is none.

        Raises ModelError where a folder has several, and where the package that reads them is missing.
        """
        where = Path(path)
        if where.is_file() and where.suffix == SUFFIX:
            return cls(where)._readable()
        if not where.is_dir() or any(where.glob("*.safetensors")):
            return None
        found = sorted(where.glob(f"*{SUFFIX}"))
        if len(found) > 1:
            names = ", ".join(one.name for one in found)
            raise ModelError(f"{path}: holds {len(found)} GGUF files ({names}); name one of them, as {found[0]}")
        return cls(found[0])._readable() if found else None

    def _readable(self) -> GGUF:
        if importlib.util.find_spec("gguf") is None:
            raise ModelError(f"{self.file}: {_EXTRA}")
        return self

    @property
    def folder(self) -> str:
        """The folder that transformers is told."""
        return str(self.file.parent)

    @property
    def header(self) -> Header:
        """What the file says before its weights. Raises ModelError where it cannot be read."""
        return read_header(self.file)

    @property
    def own_type(self) -> str | None:
        """The type of its weights where they are plain numbers: that of most of them; None where they are quantized."""
        counts = self.header.numbers
        if set(counts) - set(PLAIN):
            return None
        return PLAIN[max(counts, key=lambda kind: counts[kind])] if counts else "float32"

    @property
    def types(self) -> str:
        """The types of its weights and how many tensors have each, in words."""
        from gguf import GGMLQuantizationType

        counts = Counter(tensor.type for tensor in self.header.tensors.values()).most_common()
        return ", ".join(f"{count} {GGMLQuantizationType(kind).name}" for kind, count in counts)

    def told(self, tokenizer: PreTrainedTokenizerFast) -> list[str]:
        """Put right what the loader dropped of the tokenizer, and say in words what was done or cannot be had.

        Raises ModelError where the tokenizer numbers tokens otherwise than the file, so that no word would be right.
        """
        says, metadata = [], self.header.metadata
        _hold_vocabulary(self.file, tokenizer, metadata.get("tokenizer.ggml.tokens") or [])
        for name, key in _SPECIAL.items():
            number = metadata.get(f"tokenizer.ggml.{key}")
            if number is not None and getattr(tokenizer, f"{name}_token_id") != number:
                token = tokenizer.convert_ids_to_tokens(int(number))
                tokenizer.add_special_tokens({f"{name}_token": token})
                says.append(f"its {name} token is {token!r}, as the file says")
        says += _split_as(tokenizer, str(metadata.get("tokenizer.ggml.pre") or ""), metadata)
        template = metadata.get("tokenizer.chat_template")
        if template and not tokenizer.chat_template:
            tokenizer.chat_template = str(template)
            says.append("the chat template is that of the file's metadata")
        if not tokenizer.chat_template:
            says.append("it has no chat template: a plain one is used; name the model's own in model.template")
        changed = [text for text in PROBES if _round_trip(tokenizer, text) != text]
        if changed:
            says.append(
                f"{len(changed)} of {len(PROBES)} texts do not come back from the tokenizer as they were, such as"
                f" {changed[0]!r} as {_round_trip(tokenizer, changed[0])!r}"
            )
        return says


def source_of(path: str | Path) -> tuple[str, dict[str, Any]]:
    """What `from_pretrained` of configurations and tokenizers is called with: a name, and the file in it for GGUF."""
    found = GGUF.at(path)
    if found is None:
        return str(path), {}
    _ = found.header  # what cannot be read is said here, in one line
    return found.folder, {"gguf_file": found.file.name}


def dequantizing(path: str | Path) -> tuple[str, dict[str, Any]]:
    """The same for weights: those of a GGUF file are unpacked into plain ones, those of others are safetensors."""
    from transformers import GgufConfig

    source, more = source_of(path)
    if not more:
        return source, {"use_safetensors": True}
    return source, more | {"quantization_config": GgufConfig(dequantize=True)}


@contextlib.contextmanager
def without_bar(more: Mapping[str, Any]) -> Iterator[None]:
    """No progress bar of unpacking, which has no switch."""
    with contextlib.redirect_stderr(io.StringIO()) if "gguf_file" in more else contextlib.nullcontext():
        yield


def plain(hf: PreTrainedModel) -> None:
    """Forget that the weights were in blocks: they are plain now, and are saved so."""
    for one in {id(part): part for part in (hf.config, hf.config.get_text_config())}.values():
        if hasattr(one, "quantization_config"):
            del one.quantization_config
    if hasattr(hf, "hf_quantizer"):
        del hf.hf_quantizer
    for name in ("is_quantized", "quantization_method"):
        vars(hf).pop(name, None)


def _hold_vocabulary(file: Path, tokenizer: PreTrainedTokenizerFast, tokens: list[str]) -> None:
    known = tokenizer.get_vocab()
    wrong = [(number, token) for number, token in enumerate(tokens) if known.get(token) != number]
    if not tokens or wrong:
        said = "lists no tokens" if not tokens else f"{len(wrong)} of {len(tokens)} tokens differ"
        first = f", such as number {wrong[0][0]}, {wrong[0][1]!r}" if wrong else ""
        raise ModelError(
            f"{file}: the tokenizer made of it is not the file's ({said}{first}); put the model's own"
            " tokenizer.json and tokenizer_config.json beside it"
        )


def _split_as(tokenizer: PreTrainedTokenizerFast, rule: str, metadata: dict[str, Any]) -> list[str]:
    """Split texts by the file's rule before merging, where the loader does not; what is not known is said."""
    from tokenizers import pre_tokenizers
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    if metadata.get("tokenizer.ggml.model") != "gpt2" or rule in GGUF_PRE_TOKENIZER_SPLITS or rule in _GPT2_SPLIT:
        return []
    if rule in _DIGITS_APART:
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
        return [f"digits are parted, as its rule {rule!r} says"]
    named = f"its rule {rule!r}" if rule else "no rule"
    return [
        f"{named} of splitting texts is known, so GPT-2's is taken, and some words may be cut otherwise than the model"
        " learned them; the model's own tokenizer.json beside the file would say"
    ]


def _round_trip(tokenizer: PreTrainedTokenizerFast, text: str) -> str:
    numbers = tokenizer(text, add_special_tokens=False)["input_ids"]
    return str(tokenizer.decode(numbers, clean_up_tokenization_spaces=False))
