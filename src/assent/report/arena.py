"""The card of the arena: every policy of a run by every blind comparison in it, on one scale."""

from __future__ import annotations

from assent.feedback.arena import met_in_runs, table
from assent.report.cards import Card, card
from assent.report.figures import Row, intervals
from assent.report.run_folder import Run

FEWEST = 3
"""Two policies are compared by the win rate; from three on one scale says more."""
_DRAWS = 400


def arena(run: Run) -> Card | None:
    """None where fewer than three policies met, or verdicts were not kept yet."""
    met = met_in_runs(run.artifacts)
    if len({name for one in met for name in (one.first, one.second)}) < FEWEST:
        return None
    found = table(met, draws=_DRAWS)
    names = {artifact.name: run.labels.get(artifact.key, artifact.name) for artifact in run.artifacts}
    rows = [Row(names.get(place.model, place.model), place.share) for place in found.places]
    note = (
        f"Bradley-Terry over {found.battles:,} verdicts on {found.prompts:,} prompts: the share of comparisons that a"
        " policy would win against the average of these. Intervals over prompts."
    )
    return card("Arena", note, intervals(rows, "Policies by all blind comparisons", reference=0.5), size="wide")
