"""The card of an exported model: what the hub reads of it, how it was made, how it did, and what is not known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import yaml

from assent.artifacts.find import model_of, store_at
from assent.artifacts.lineage import lineage, members, origins
from assent.artifacts.store import Artifact
from assent.evaluation.doubts import doubts
from assent.evaluation.report import EvaluationReport
from assent.models import score_head
from assent.models.cast import Cast
from assent.pipeline.commands.origin import Origin
from assent.stats.estimate import Estimate
from assent.training.config import methods

CARD = "README.md"
"""The card's name: the one that the hub shows."""
_LEFT_OUT = (
    "positions_per_token", "head_rows_per_scored", "sampling_positions_per_token", "sampling_live_row_share",
    "steps", "prompts", "demonstrations", "comparisons",
)  # fmt: skip
"""Facts that the sentences say, and what computing cost."""
_RATERS = {
    "people": "people",
    "simulated": "simulated raters, not people",
    "reward_model": "a reward model, not people",
    "autorater": "a language model as judge, not people",
    "constitution": "a language model by a constitution, not people",
    "function": "a function, not people",
}


@dataclass(frozen=True)
class Exported:
    """What a card is about."""

    artifact: Artifact
    origin: Origin
    name: str
    """What people call it: the name of its folder, or OWNER/NAME on the hub."""
    adapter: bool = False
    rounding: Cast | None = None
    kept: Path | None = None
    """The folder of a model that was kept from the way, which nobody evaluated."""


def card(about: Exported) -> str:
    """What a model is, what it was made from and how it did, as Markdown; nothing that its manifests do not say."""
    artifact = about.artifact
    template = resources.files("assent.pipeline").joinpath("model_card.md.jinja").read_text(encoding="utf-8")
    root = lineage(artifact, store_at(artifact.folder.parent))
    made = members(root)
    evaluation = _evaluation_of(artifact) if about.kept is None else None
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, autoescape=False)
    return environment.from_string(template).render(
        head=yaml.safe_dump(_head(about, made), sort_keys=False, allow_unicode=True),
        about=about,
        artifact=artifact,
        manifest=artifact.manifest,
        adapter=about.adapter,
        kept=None if about.kept is None else about.kept.name.removeprefix("step-"),
        origin=about.origin,
        rounding=about.rounding,
        scored=artifact.kind == "reward" and score_head.is_in(model_of(artifact)),
        steps=list(_steps(about.origin, made)),
        facts={name: value for name, value in artifact.notes.items() if _is_plain(value) and name not in _LEFT_OUT},
        estimates={name: found for name, value in artifact.notes.items() if (found := Estimate.of(value)) is not None},
        judge=None if evaluation is None else evaluation.judge,
        wins=None if evaluation is None or evaluation.win_rate is None else evaluation.win_rate.headline,
        compared={} if evaluation is None else _compared(evaluation),
        limits=_limits(artifact, evaluation, made),
        origins=[one for one in origins(root) if one.digest and one.name != "reading"],
    )


def _head(about: Exported, made: list[Artifact]) -> dict[str, Any]:
    """The front matter, which the hub searches by."""
    artifact, origin = about.artifact, about.origin
    config = artifact.manifest.config
    is_reward = artifact.kind == "reward"
    method = config.get("optimize", {}).get("kind", artifact.manifest.stage) if isinstance(config, Mapping) else ""
    head: dict[str, Any] = {
        "library_name": "peft" if about.adapter else "transformers",
        "pipeline_tag": "text-classification" if is_reward else "text-generation",
    }
    if origin.is_on_hub:
        head["base_model"] = origin.name
    if found := sorted(set(_hub_data(made))):
        head["datasets"] = found
    if (license := _license(origin)) is not None:
        head["license"] = license
    head["tags"] = ["assent", "reward-model" if is_reward else method, *(["lora"] if about.adapter else [])]
    return head


def _hub_data(made: list[Artifact]) -> Iterator[str]:
    """Data sets of the hub among all sources."""
    for one in made:
        data = one.manifest.config.get("data") if isinstance(one.manifest.config, Mapping) else None
        for sources in data.values() if isinstance(data, Mapping) else ():
            for source in sources if isinstance(sources, list) else ():
                if isinstance(source, Mapping) and source.get("hub"):
                    yield str(source["hub"])


def _license(origin: Origin) -> str | None:
    """What the card of the base says, where the base lies in a folder with one; a copy of its weights has the same."""
    if origin.name is None:
        return None
    try:
        head = (Path(origin.name) / CARD).read_text(encoding="utf-8").split("---")[1]
        found = yaml.safe_load(head)
    except (OSError, ValueError, IndexError, yaml.YAMLError):
        return None
    license = found.get("license") if isinstance(found, dict) else None
    return license if isinstance(license, str) else None


def _steps(origin: Origin, made: list[Artifact]) -> Iterator[str]:
    """How it was made, oldest first, in sentences."""
    collected = [one for one in made if one.kind == "judgments"]
    for one in made:
        notes, config = one.notes, one.manifest.config if isinstance(one.manifest.config, Mapping) else {}
        match one.manifest.stage:
            case "base" if origin.name is None and "texts" in notes:
                yield f"trained from nothing on {notes['texts']} texts ({notes.get('parameters')} parameters)"
            case "sft" if "demonstrations" in notes:
                yield f"supervised fine-tuning on {notes['demonstrations']} demonstrations"
            case "collect" if one is collected[-1] and "judgments" in notes:
                yield f"learned from {said_of_judgments(notes)}, {_whose(config)}"
            case "fit reward" if "comparisons" in notes:
                yield f"reward model fitted on {notes['comparisons']} comparisons"
            case "optimize" if "steps" in notes:
                method = methods().get(str(config.get("optimize", {}).get("kind")))
                yield f"{'optimized' if method is None else method.title}: {notes['steps']} steps"


def said_of_judgments(notes: Mapping[str, Any]) -> str:
    """How many judgments, of how many comparisons, by how many raters."""
    found = f"{notes['judgments']} judgments of {notes.get('comparisons', '?')} comparisons"
    return f"{found} by {notes['raters']} raters" if "raters" in notes else found


def _whose(config: Mapping[str, Any]) -> str:
    collect = config.get("collect")
    raters = collect.get("raters") if isinstance(collect, Mapping) else None
    kind = raters.get("kind") if isinstance(raters, Mapping) else None
    return f"given by {_RATERS.get(str(kind), str(kind))}" if kind else "that came with the data"


def _limits(artifact: Artifact, evaluation: EvaluationReport | None, made: list[Artifact]) -> list[str]:
    """What speaks against the figures, and what was not measured."""
    reward = next((one for one in reversed(made) if one.kind == "reward"), None)
    notes = {} if reward is None else reward.notes
    found = (
        []
        if evaluation is None
        else [
            *doubts(
                evaluation,
                accuracy=Estimate.of(notes.get("heldout_accuracy")),
                longer_wins=Estimate.of(notes.get("longer_wins")),
            )
        ]
    )
    if evaluation is None and artifact.kind == "policy":
        found.append("Nobody compared it with its start, so whether it is better is not known.")
    return [
        *found,
        *rounded_bases(made),
        "The figures hold for the prompts and raters of that run. Whether it is safe or right elsewhere was not"
        " measured.",
    ]


def rounded_bases(made: Iterable[Artifact]) -> list[str]:
    """What is to be said of adapters that were trained over a quantized base; nothing where there is none."""
    configs = [one.manifest.config for one in made]
    models = [config.get("model") for config in configs if isinstance(config, Mapping)]
    kinds = {str(model["quantize"]) for model in models if isinstance(model, Mapping) and model.get("quantize")}
    return [
        f"Its adapters were trained over a base that was rounded to {kind} (QLoRA). Here they lie on the unquantized"
        " base, as in every evaluation of that run."
        for kind in sorted(kinds)
    ]


def _evaluation_of(artifact: Artifact) -> EvaluationReport | None:
    """What the blind comparison of this policy with its start found, newest first; None where there was none."""
    for other in reversed(store_at(artifact.folder.parent).all()):
        if other.kind == "evaluation" and other.manifest.parents.get("policy") == artifact.key:
            return EvaluationReport.read(other.folder)
    return None


def _compared(report: EvaluationReport) -> dict[str, Estimate | None]:
    wins = report.win_rate
    far = " (hardly any answers were as long)" if wins is not None and wins.is_extrapolated else ""
    return {
        f"win rate with length controlled{far}": None if wins is None else wins.length_controlled,
        "KL per response, an estimate from samples": report.kl_per_response,
    }


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)
