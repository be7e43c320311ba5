"""Silence for transformers' and peft's own progress bars and warnings about things that are meant."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

from transformers.utils import logging as transformers_logging

_MEANT = (
    r"fan_in_fan_out is set to False",  # peft finds out by itself that GPT-2 stores matrices transposed
    r"Setting `save_embedding_layers` to `True`",  # a padding token was added
    r".*is_gradient_checkpointing",  # asked by peft on the way
    r"Could not find a config file in",  # the base is in memory only
    r"Model has `tie_word_embeddings=True`",  # an adapter that trained one of the two embeddings: they come apart
    r"You are trying to modify a model with PEFT for a second time",  # one adapter is fixed, the other is trained
    r"Input and output embeddings are no longer tied",  # and are saved apart
)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No progress bars of loading and saving inside this block, and no warning that would not help anyone."""
    had_bars, verbosity = transformers_logging.is_progress_bar_enabled(), transformers_logging.get_verbosity()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            for message in _MEANT:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if had_bars:
            transformers_logging.enable_progress_bar()
