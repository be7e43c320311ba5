"""Crowds and panels: shares kept to the person, evaluators apart from trainers, tasks shared out by id."""

from __future__ import annotations

from collections import Counter

import pytest
from pydantic import TypeAdapter, ValidationError

from assent.core.errors import ConfigError
from assent.core.types import Completion, Judgment, Prompt, Rater, Task
from assent.raters.config import FunctionConfig, RatersConfig, SimulatedConfig
from assent.raters.crowd import crowd, draw_traits
from assent.raters.panel import Panel
from assent.raters.rater import tiered
from assent.raters.simulated import SimulatedRater


def _flat(prompt: Prompt, text: str, group: str) -> float:
    return 0.0


def _tasks(count: int) -> list[Task]:
    prompt = Prompt.of("which?")
    answers = tuple(Completion(prompt_id=prompt.id, text=x, id=x) for x in "ab")
    return [Task(id=f"t{i}", prompt=prompt, completions=answers) for i in range(count)]


def test_shares_are_kept_to_the_person() -> None:
    config = SimulatedConfig(groups={"warm": 2, "plain": 1}, careless_share=0.2, inverted_share=0.1, slip=0.0)
    people = draw_traits(config, 30, role="train", seed=5)
    assert Counter(p.group for p in people) == {"warm": 20, "plain": 10}
    assert sum(p.careless == 1 for p in people) == 6
    assert sum(p.sharpness < 0 for p in people) == 3
    assert not any(p.careless == 1 and p.sharpness < 0 for p in people)


def test_sharpness_is_lognormal_around_its_median() -> None:
    config = SimulatedConfig(sharpness=2.0, sharpness_spread=0.5, inverted_share=0)
    drawn = sorted(p.sharpness for p in draw_traits(config, 999, role="train", seed=0))
    # Median of log-normal: standard error 1.25 * 0.5 / sqrt(999) = 2 %; the 84th percentile is exp(0.5) above it.
    assert drawn[499] == pytest.approx(2.0, rel=0.08)
    assert drawn[839] / drawn[499] == pytest.approx(1.65, rel=0.12)


def test_evaluators_are_other_people() -> None:
    config = SimulatedConfig(number=6, evaluation_number=4)
    train, evaluation = (crowd(config, _flat, role=role, seed=0) for role in ("train", "evaluation"))  # type: ignore[arg-type]
    assert (len(train.members), len(evaluation.members)) == (6, 4)
    assert not {m.record.id for m in train.members} & {m.record.id for m in evaluation.members}

    def traits(panel: Panel) -> set[float]:
        return {m.traits.sharpness for m in panel.members if isinstance(m, SimulatedRater)}

    assert not traits(train) & traits(evaluation)
    assert traits(train) == traits(crowd(config, _flat, role="train", seed=0))
    assert not traits(train) & traits(crowd(config, _flat, role="train", seed=1))


def test_groups_are_attributes_of_the_raters() -> None:
    panel = crowd(SimulatedConfig(number=2, groups={"warm": 1}), _flat, role="train", seed=0)
    assert [m.record.attributes for m in panel.members] == [{"group": "warm"}] * 2


def test_a_panel_shares_tasks_by_id_alone() -> None:
    panel = crowd(SimulatedConfig(number=5), _flat, role="train", seed=0, per_task=2)
    tasks = _tasks(40)
    said = panel.judge(tasks)
    assert [j.task_id for j in said] == [t.id for t in tasks for _ in range(2)]
    assert len({(j.task_id, j.rater_id) for j in said}) == 80
    assert {j.rater_id for j in said} == {m.record.id for m in panel.members}
    assert panel.judge(tasks[7:9]) == said[14:18]


class _Someone:
    """A rater who ties everything."""

    record = Rater(id="one", kind="person")

    def judge(self, tasks: list[Task]) -> list[Judgment]:
        return [Judgment(task_id=t.id, rater_id="one", id=t.id) for t in tasks]


def test_more_judgments_than_raters_are_refused() -> None:
    with pytest.raises(ConfigError, match="2 judgments per task want as many raters, but there are 1"):
        Panel((_Someone(),), per_task=2)  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        Panel((), per_task=1)


def test_tiers_reach_from_their_best_so_that_ties_do_not_chain() -> None:
    values = {"a": 1.0, "b": 0.7, "c": 0.4, "d": -5.0}
    assert tiered(values, threshold=0.35).tiers == (("a", "b"), ("c",), ("d",))
    assert tiered(values, threshold=0).tiers == (("a",), ("b",), ("c",), ("d",))
    assert tiered({"a": 1.0, "b": 1.0}, threshold=0).tiers == (("a", "b"),)


def test_the_kind_of_rater_decides_which_keys_are_known() -> None:
    adapter: TypeAdapter[RatersConfig] = TypeAdapter(RatersConfig)
    assert adapter.validate_python({"kind": "function", "target": "m:f"}) == FunctionConfig(target="m:f")
    assert adapter.validate_python({"kind": "simulated"}) == SimulatedConfig()
    with pytest.raises(ValidationError):
        adapter.validate_python({"kind": "people", "sharpness": 3.0})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"groups": {"a": 0.0}}, "groups want sizes"),
        ({"strength_cuts": [2, 1, 3]}, "must rise"),
        ({"careless_share": 0.7, "inverted_share": 0.7}, "together exceed 1"),
        ({"sharpnes": 1}, "did you mean 'sharpness'"),
    ],
)
def test_settings_that_cannot_work_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SimulatedConfig.parse(values)
