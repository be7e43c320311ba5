"""What `assent doctor` says about an autorater: one question is asked of the real model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from assent.artifacts.outside import missing, outside
from assent.core.errors import UserError
from assent.core.findings import Finding, note, ok, problem, warning
from assent.core.types import Completion, Prompt, Task
from assent.pipeline.autoraters import Autorater, open_autorater, open_constitution
from assent.pipeline.backends import Backends
from assent.pipeline.config import RunConfig
from assent.pipeline.doctor.judge_places import Place
from assent.raters.asking import Material
from assent.raters.autorater import LogitJudge
from assent.raters.config import AutoraterConfig, ConstitutionConfig, LocalJudgeConfig, ProgramConfig
from assent.raters.endpoint import EndpointJudge
from assent.raters.margins import pairs_in, scores_in
from assent.raters.principles import PrincipleJudge
from assent.raters.verdicts import LEAST_MASS

_PROMPT = Prompt.of("What is the capital of France?")
_TASK = Task(
    id="doctor",
    prompt=_PROMPT,
    completions=(
        Completion(prompt_id=_PROMPT.id, text="Paris is the capital of France.", id="right"),
        Completion(prompt_id=_PROMPT.id, text="It rains.", id="wrong"),
    ),
)


def check_judge(asked: AutoraterConfig | ConstitutionConfig, place: Place, config: RunConfig) -> Iterator[Finding]:
    """Whether a judge of a run can be opened and asked; nothing where one of its files is missing."""
    if any(missing(one) for one in outside(asked)):
        return  # what is missing is said where files are looked for
    if isinstance(asked.backend, ProgramConfig):
        return  # it is asked when the run starts; whether it is there is said where files are looked for
    if isinstance(asked.backend, LocalJudgeConfig) and not Path(asked.backend.path).is_dir():
        yield note(f"{place.key}.backend.path", f"{asked.backend.path} is looked at when the run starts")
        return
    try:
        judge = _opened(asked, config)
        if isinstance(judge, LogitJudge):
            yield from _try(judge, place)
        else:
            yield from _not_asked(judge, place.key)
    except UserError as wrong:
        yield problem(place.key, str(wrong))


def _opened(raters: AutoraterConfig | ConstitutionConfig, config: RunConfig) -> Autorater:
    """The judge; of one by principles the one by the first of them."""
    backends = Backends(config.model, config.compute)
    if isinstance(raters, AutoraterConfig):
        return open_autorater(raters, next(raters.ids("train", config.seed)), backends)
    drawn = raters.model_copy(update={"ask": "drawn"})
    first = open_constitution(drawn, backends, seed=config.seed).members[0]
    assert isinstance(first, PrincipleJudge) and isinstance(first.inner, Autorater)
    return first.inner


def _not_asked(judge: EndpointJudge, key: str) -> Iterator[Finding]:
    """What can be said of an address without asking it, which may cost."""
    backend = judge.client.config
    yield note(f"{key}.backend", f"{backend.name} is first asked when the run starts, since that may cost")
    if backend.budget_tokens is None and backend.budget_money is None and not backend.is_here:
        yield warning(f"{key}.backend", f"{backend.host} is asked without a limit", "set budget_tokens or budget_money")


def _try(judge: LogitJudge, place: Place) -> Iterator[Finding]:
    """Ask about a right and a wrong answer."""
    [judgment] = judge.judge([_TASK])
    pairs = pairs_in(judgment)
    masses = [one.mass for one in pairs] + [one.mass for one in scores_in(judgment)]
    if not masses:
        said = f"a short question does not fit the {judge.reader.context} tokens of the judge"
        yield warning(place.key, said, "take a model with a longer context")
        return
    told = [
        f"P(right) {p.probability(judge.config.temperature):.2f}, first place {p.position:+.2f} logits" for p in pairs
    ]
    if judgment.scores:
        told.append("mean scores " + " and ".join(f"{_mean(judgment.scores[i]):.2f}" for i in ("right", "wrong")))
    text = f"asked about a right and a wrong answer: {'; '.join(told)}; verdicts cover {min(masses):.0%}"
    if min(masses) < LEAST_MASS:
        fix = "take a model that follows instructions: this one wants to say something else"
        yield warning(place.key, text, fix)
    else:
        yield ok(place.key, text)
    yield from _room(judge, place)


def _room(judge: LogitJudge, place: Place) -> Iterator[Finding]:
    """Whether the longest answers leave room for the question."""
    material, longest = Material.of(_PROMPT, ("", "")), place.longest
    if judge.config.mode == "scores":
        name = next(iter(judge.asking.rubric.criteria))
        question, answers = judge.reader.question(judge.asking.score(material, 0, name), judge.levels), "one"
        need = len(question.tokens) + longest.tokens
    else:
        question, answers = judge.reader.question(judge.asking.pairwise(material, 0, 1), judge.pair), "two"
        need = len(question.tokens) + 2 * longest.tokens
    if need >= judge.reader.context:
        said = f"a question about {answers} of the longest answers has {need} tokens"
        fix = f"lower {longest.key}: longer tasks are skipped"
        yield warning(place.key, f"{said}, the judge reads {judge.reader.context}", fix)


def _mean(scores: dict[str, float]) -> float:
    return sum(scores.values()) / len(scores)
