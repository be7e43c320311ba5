"""Loading a tokenizer that training can rely on: fast, with an end token, and padding that ends nothing.

Nothing in Assent infers a mask from token ids, so any padding token would do here. Others do infer it: plain
transformers reads a reward at the last token that is not padding, and trainers mask padding in labels. So where padding
is also the end of a text or of a turn, or is missing, another token is taken, and it is said once.
"""

from __future__ import annotations

import functools
import logging
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerFast

from assent.core import hub
from assent.core.errors import ModelError
from assent.models import gguf
from assent.models.quiet import quiet

PAD = "<|pad|>"
"""The padding token that is added where none can be chosen."""

_log = logging.getLogger(__name__)


def load_tokenizer(
    path: str | Path,
    *,
    pad_token: str | None = None,
    trust_remote_code: bool = False,
    revision: str | None = None,
    template: str | None = None,
) -> PreTrainedTokenizerFast:
    """Load the tokenizer of a model folder or hub id. Raises ModelError saying what is wrong and what to do.

    `template` is the chat template that will be used with it, Jinja text or a file; None: its own.
    """
    hub.prepare(path)
    source, more = gguf.source_of(path)
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(
                source, use_fast=True, trust_remote_code=trust_remote_code, revision=revision, **more
            )
    except hub.faults(ValueError, KeyError, TypeError, ImportError) as error:
        fix = "put tokenizer.json and tokenizer_config.json into the folder"
        if not Path(path).exists():
            away = hub.unreachable()
            fix = "it is no folder here, so it was looked for on the hub: check the name"
            fix = f"it is no folder here, and {away}: the name was not checked" if away else fix
        raise ModelError(f"{path}: the tokenizer cannot be loaded ({_first_line(error)}); {fix}") from error
    if not tokenizer.is_fast:
        raise ModelError(
            f"{path}: {type(tokenizer).__name__} is not a fast tokenizer; convert it once with transformers and save"
            " its tokenizer.json into the folder"
        )
    if (file := gguf.GGUF.at(path)) is not None:
        for said in file.told(tokenizer):
            _say_once(f"{file.file}: {said}")
    if tokenizer.eos_token_id is None:
        raise ModelError(
            f"{path}: the tokenizer has no EOS token, so no answer could end; set eos_token in tokenizer_config.json"
        )
    _set_pad_token(tokenizer, pad_token, written=_template_text(tokenizer, template), where=str(path))
    return tokenizer


def _set_pad_token(tokenizer: PreTrainedTokenizerFast, wanted: str | None, *, written: str, where: str) -> None:
    """`written` is the text of the chat template: a token that it writes may end a turn."""
    if wanted is not None and wanted in (tokenizer.eos_token, tokenizer.bos_token):
        raise ModelError(
            f"{where}: model.pad_token is {wanted!r}, which also begins or ends texts; set model.pad_token to another"
            f" token, or leave it out: one is taken"
        )
    own = tokenizer.pad_token
    if wanted is None and own is not None and tokenizer.pad_token_id != tokenizer.eos_token_id and own not in written:
        return
    chosen = wanted or _unused_special(tokenizer, written) or PAD
    is_new = chosen not in tokenizer.get_vocab()
    tokenizer.add_special_tokens({"pad_token": chosen})
    if wanted is None:
        why = "it has none" if own is None else f"its own, {own!r}, also ends texts or turns"
        how = "a new token" if is_new else "a token of its own that nothing else uses"
        _say_once(f"{where}: padding is {chosen!r}, {how}, since {why}; no result depends on it")


def _template_text(tokenizer: PreTrainedTokenizerFast, template: str | None) -> str:
    """The chat template; empty where there is none, or where its file cannot be read, which rendering says."""
    if template is None:
        own = tokenizer.chat_template
        return "".join(own.values()) if isinstance(own, dict) else own or ""
    if "{" in template:
        return template
    try:
        return Path(template).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


@functools.cache
def _say_once(text: str) -> None:
    _log.warning(text)


def _unused_special(tokenizer: PreTrainedTokenizerFast, written: str) -> str | None:
    """A special token made for padding, for unknown bytes or for nothing yet, and not written by the chat template."""
    taken = {tokenizer.eos_token, tokenizer.bos_token}
    special = [str(t) for _, t in sorted(tokenizer.added_tokens_decoder.items()) if t.special and str(t) not in taken]
    special = [t for t in special if t not in written]
    by_purpose = (
        [t for t in special if "pad" in t.lower()],
        [t for t in special if t == tokenizer.unk_token],
        [t for t in special if "reserved" in t.lower() or "unused" in t.lower()],
    )
    return next((tokens[0] for tokens in by_purpose if tokens), None)


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0] or type(error).__name__
