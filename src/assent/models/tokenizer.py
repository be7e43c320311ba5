"""Loading a tokenizer that training can rely on: fast, with an end token, and padding that is nothing else.

If padding were the end token, plain transformers would read a reward one token too early and mask the very token that
ends an answer; so EOS = PAD is refused, and a missing padding token is chosen or added.
"""

from __future__ import annotations

import logging
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerFast

from assent.core.errors import ModelError
from assent.models.quiet import quiet

PAD = "<|pad|>"
"""The padding token that is added where none can be chosen."""

_log = logging.getLogger(__name__)


def load_tokenizer(
    path: str | Path, *, pad_token: str | None, trust_remote_code: bool = False, revision: str | None = None
) -> PreTrainedTokenizerFast:
    """Load the tokenizer of a model folder or hub id. Raises ModelError saying what is wrong and what to do."""
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(
                str(path), use_fast=True, trust_remote_code=trust_remote_code, revision=revision
            )
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        raise ModelError(
            f"{path}: the tokenizer cannot be loaded ({_first_line(error)}); put tokenizer.json and"
            " tokenizer_config.json into the folder"
        ) from error
    if not tokenizer.is_fast:
        raise ModelError(
            f"{path}: {type(tokenizer).__name__} is not a fast tokenizer; convert it once with transformers and save"
            " its tokenizer.json into the folder"
        )
    if tokenizer.eos_token_id is None:
        raise ModelError(
            f"{path}: the tokenizer has no EOS token, so no answer could end; set eos_token in tokenizer_config.json"
        )
    _set_pad_token(tokenizer, pad_token, where=str(path))
    return tokenizer


def _set_pad_token(tokenizer: PreTrainedTokenizerFast, wanted: str | None, *, where: str) -> None:
    if wanted is not None and wanted in (tokenizer.eos_token, tokenizer.bos_token):
        raise ModelError(
            f"{where}: model.pad_token is {wanted!r}, which also begins or ends texts; set model.pad_token to another"
            f" token, for example {PAD!r}"
        )
    if wanted is None and tokenizer.pad_token_id is not None:
        if tokenizer.pad_token_id == tokenizer.eos_token_id:
            raise ModelError(
                f"{where}: EOS and PAD are the same token {tokenizer.eos_token!r}, so the end of an answer would be"
                f" taken for padding; set model.pad_token to another token, for example {PAD!r}"
            )
        return
    chosen = wanted or _unused_special(tokenizer) or PAD
    is_new = chosen not in tokenizer.get_vocab()
    tokenizer.add_special_tokens({"pad_token": chosen})
    _log.info("%s: padding token %r %s", where, chosen, "added" if is_new else "chosen among the tokenizer's own")


def _unused_special(tokenizer: PreTrainedTokenizerFast) -> str | None:
    """A special token made for padding, for unknown bytes, or for nothing yet."""
    taken = {tokenizer.eos_token, tokenizer.bos_token}
    special = [str(t) for _, t in sorted(tokenizer.added_tokens_decoder.items()) if t.special and str(t) not in taken]
    by_purpose = (
        [t for t in special if "pad" in t.lower()],
        [t for t in special if t == tokenizer.unk_token],
        [t for t in special if "reserved" in t.lower() or "unused" in t.lower()],
    )
    return next((tokens[0] for tokens in by_purpose if tokens), None)


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0] or type(error).__name__
