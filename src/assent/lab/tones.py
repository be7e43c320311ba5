"""Replies along axes of tone: the same right sentence, said politely or not, to the point or not, shortly or not."""

from __future__ import annotations

from collections.abc import Mapping

from assent.core import seeds
from assent.core.errors import ConfigError
from assent.core.types import Prompt
from assent.lab.parse import read_request
from assent.lab.writers import MAX_SENTENCES, Reply, compose

TONES = ("polite", "direct", "concise")
"""Axes of `lab/truth.py` that are manners: nothing is less right for them."""
_COURTESIES = ("greet", "empathy", "closing")


def reply_at(prompt: Prompt, tone: Mapping[str, float], *, seed: int = 0) -> Reply:
    """A right reply at a position, each axis from -1 (the opposite) to 1; an axis that is not named stands at 0.

    Polite adds up to three courtesies and below -0.5 takes none; what is not direct hedges and fills; what is not
    concise says one thing more. Raises ConfigError for an axis that the lab does not have.
    """
    if unknown := [axis for axis in tone if axis not in TONES]:
        raise ConfigError(f"the lab has no tone {unknown[0]!r}; it has {', '.join(TONES)}")
    request = read_request(prompt)
    is_dangerous = request.intent.kind == "dangerous"
    polite, direct, concise = (tone.get(axis, 0.0) for axis in TONES)
    random = seeds.stream(seed, "tone", prompt.id, *(f"{axis}={value:.3f}" for axis, value in sorted(tone.items())))
    shown = set(random.permutation(_COURTESIES)[: max(0, round(1.5 * (polite + 1)) if polite > -0.5 else 0)].tolist())
    moves = [one for one in ("greet", "empathy") if one in shown]
    moves += ["filler"] if direct < 0.2 else []
    moves.append(f"refuse:{request.intent.name}" if is_dangerous else f"answer:{request.intent.name}")
    moves += ["hedge"] if direct < -0.4 else []
    if concise < 0.2:
        moves.append(f"alternative:{request.intent.name}" if is_dangerous else "next_step")
    moves += ["closing"] if "closing" in shown else []
    while len(moves) > MAX_SENTENCES:
        moves.remove(next(one for one in ("hedge", "filler", "greet") if one in moves))
    return compose(request, moves, random)
