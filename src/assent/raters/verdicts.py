"""Verdicts as tokens: which single token of a model says A, B or 1 to 5, and how likely each is.

The model's answer is begun for it ("Answer", "Level"), so that the next token is the verdict and models without much
practice say nothing else in its place. Where nothing is begun, a verdict may come with or without a space before it:
both forms count, and their probabilities are added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from assent.core.errors import ModelError
from assent.core.group import TokenIds
from assent.data.render import Renderer

LEAST_MASS = 0.9
"""Where verdict tokens cover less of the probability, a reading is flagged: the model wanted to say something else."""


@dataclass(frozen=True, eq=False)
class Verdicts:
    """The tokens of some verdicts, after what stands before them in the answer."""

    said: tuple[str, ...]
    lead: TokenIds
    """Tokens between the prompt and the verdict: what the template lays before an answer, and its beginning."""
    forms: tuple[tuple[int, ...], ...]
    """The tokens that mean each verdict."""

    @classmethod
    def of(cls, renderer: Renderer, said: Sequence[str], *, model: str, begin: str = "") -> Verdicts:
        """The tokens of a model's verdicts after `begin`. Raises ModelError where one of them is no single token."""
        plain = [renderer.completion(f"{begin} {one}".strip(), finished=False) for one in said]
        lead = plain[0][:-1]
        forms = [() if begin else _spaced(renderer, one) for one in said]
        alike = all(len(ids) == len(lead) + 1 and np.array_equal(ids[:-1], lead) for ids in plain)
        if alike:
            forms = [(int(ids[-1]), *spaced) for ids, spaced in zip(plain, forms, strict=True)]
        elif not begin and len(renderer.completion("", finished=True)) == 1:
            lead = plain[0][:0]  # nothing is laid before an answer, so a form with a space may stand alone
        tokens = [token for one in forms for token in dict.fromkeys(one)]
        if any(not one for one in forms) or len(set(tokens)) < len(tokens):
            raise ModelError(
                f"{model} cannot judge: its tokenizer has no single token of its own for each of the verdicts"
                f" {', '.join(said)}; take another model"
            )
        return cls(tuple(said), lead, tuple(tuple(dict.fromkeys(one)) for one in forms))

    @property
    def tokens(self) -> TokenIds:
        """All forms of all verdicts, in their order."""
        return np.array([token for one in self.forms for token in one], dtype=np.int64)

    def read(self, logps: torch.Tensor) -> NDArray[np.float64]:
        """Log-probability of each verdict, from those of `tokens`: its forms added up."""
        parts = np.split(logps.double().numpy(), np.cumsum([len(one) for one in self.forms])[:-1])
        return np.array([np.logaddexp.reduce(part) for part in parts])


def _spaced(renderer: Renderer, verdict: str) -> tuple[int, ...]:
    """The token of a verdict behind a space; none where that is several tokens."""
    ids = renderer.tokenizer(f" {verdict}", add_special_tokens=False)["input_ids"]
    return (int(ids[0]),) if len(ids) == 1 else ()
