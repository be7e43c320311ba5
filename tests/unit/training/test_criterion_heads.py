"""Heads by criterion: raters made comparable, missing scores left missing, and what is saved is plain transformers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from training_toys import FAST, Toy
from transformers import AutoModelForSequenceClassification

from assent.algorithms.regression import squared_error
from assent.core.errors import ConfigError, DataError, ModelError
from assent.core.runlog import RunLog
from assent.core.types import Comparison, Completion, Judgment, Prompt, Ranking
from assent.data.render import Renderer
from assent.evaluation.criterion_report import criterion_report
from assent.learner.scorer import score_groups
from assent.models.config import ModelConfig
from assent.models.criterion_heads import Criterion
from assent.models.groups import pack
from assent.models.scalar import ScalarModel
from assent.pipeline.learners import all_heads, criterion_scorer, row_scorer, train_reward_model
from assent.training.config import NoRatersConfig, RewardConfig
from assent.training.criterion_fit import scales_of, table
from assent.training.loop import Loop
from assent.training.targets import target_of

Scores = dict[str, dict[str, float]]


def comparison(question: str, texts: list[str], judged: dict[str, Scores]) -> Comparison:
    """Answers a, b, … and what each rater scored; all rank them as they come."""
    prompt = Prompt.of(question)
    ids = [chr(97 + n) for n in range(len(texts))]
    answers = tuple(Completion(prompt_id=prompt.id, text=t, id=i) for i, t in zip(ids, texts, strict=True))
    ranking = Ranking(tiers=tuple((i,) for i in ids))
    judgments = (Judgment(task_id=prompt.id, rater_id=r, ranking=ranking, scores=s) for r, s in judged.items())
    return Comparison(prompt=prompt, completions=answers, judgments=tuple(judgments))


def both(kind: float, true: float) -> dict[str, float]:
    return {"kind": kind, "true": true}


def test_a_severe_rater_is_made_comparable_and_a_missing_score_stays_missing() -> None:
    """Scores 4 4 of one and 2 2 of the other: mean 3, own levels 2 / (2 + 10) of +1 and -1; nobody scored b for true.

    Without their levels the scores are 3.833 and 2.167, whose deviation is 0.833.
    """
    one = comparison(
        "?",
        ["x", "y"],
        {
            "mild": {"a": {"kind": 4.0, "true": 1.0}, "b": {"kind": 4.0}},
            "severe": {"a": {"kind": 2.0, "true": 3.0}, "b": {"kind": 2.0}},
        },
    )
    kind, true = scales_of([one], ("kind", "true"))
    assert kind.severity == pytest.approx({"mild": 1 / 6, "severe": -1 / 6}) and kind.scores == 4
    assert kind.criterion.mean == pytest.approx(3.0) and kind.criterion.std == pytest.approx(5 / 6)
    assert kind.standard("mild", 4.0) == pytest.approx(1.0)
    assert kind.standard("unknown", 4.0) == pytest.approx(1.2)
    cells = table(one, (kind, true))
    assert cells[:, 0].tolist() == pytest.approx([0.0, 0.0])
    assert cells[0, 1].item() == pytest.approx(0.0) and bool(cells[1, 1].isnan())
    assert "raters' own levels from -0.17 to +0.17" in kind.line()
    with pytest.raises(DataError, match="names 'kinder'.* 0 scores.*were scored: kind, true"):
        scales_of([one], ("kinder",))


def test_what_nobody_scored_has_no_error_and_no_gradient() -> None:
    found = torch.tensor([1.0, 2.0, -1.0], requires_grad=True)
    wanted = torch.tensor([3.0, torch.nan, -1.0])
    errors = squared_error(found, wanted)
    errors.sum().backward()
    assert errors.tolist() == [2.0, 0.0, 0.0]
    assert found.grad is not None and found.grad.tolist() == [-2.0, 0.0, 0.0]


def planted(number: int) -> list[Comparison]:
    """Answers that are kind or not and true or not, apart; each criterion was scored in half of the comparisons."""
    rows = []
    texts = ["kind true", "kind false", "rude true", "rude false"]
    for n in range(number):
        scores: Scores = {}
        for letter, text in zip("abcd", texts, strict=True):
            kind, true = (5.0 if "kind" in text else 1.0), (5.0 if "true" in text else 1.0)
            scores[letter] = {"kind": kind} if n % 2 else {"true": true}
        rows.append(comparison(f"Question {n}?", texts, {"r": scores}))
    return rows


@pytest.mark.parametrize("overall", ["rankings", "criteria"])
def test_each_head_learns_its_criterion_and_plain_transformers_reads_all(
    toy: Toy, tmp_path: Path, overall: str
) -> None:
    """By its rankings, a > b > c > d, kindness comes first; by the mean of the criteria b and c are worth the same."""
    model = ScalarModel.from_policy(toy.folder, config=ModelConfig(), seed=0, also=("kind", "true"))
    comparisons = planted(6)
    renderer = Renderer(model.tokenizer)
    groups = [renderer.group(c.prompt, [a.text for a in c.completions]) for c in comparisons]
    scales = scales_of(comparisons, ("kind", "true"))
    model.criteria = [scale.criterion for scale in scales]
    targets = [t for c in comparisons if (t := target_of(c)) is not None]
    for target, one in zip(targets, comparisons, strict=True):
        object.__setattr__(target, "scores", table(one, scales))
    settings = {"criteria": ("kind", "true"), "overall": overall, "epochs": 10, "batch_size": 4}
    config = RewardConfig(**settings, raters=NoRatersConfig(), optimizer=FAST)  # type: ignore[arg-type]
    train_reward_model(model, groups, targets, config, Loop(tmp_path / "c", RunLog(tmp_path, quiet=True), 0))
    heads = torch.zeros(4, 2)
    [batch] = pack(groups[:1], budget=10_000)
    [(scores, _, said)] = all_heads(model).score([batch])
    heads[list(batch.rows)] = said
    assert heads[:2, 0].min() > heads[2:, 0].max() + 0.5, "kind above rude, whether true or not"
    assert heads[::2, 1].min() > heads[1::2, 1].max() + 0.5
    # Of true half were scored 5 and half 1, by one rater: mean 3, deviation 2.
    points = score_groups(criterion_scorer(model, {"true": 1.0, "kind": 0.0}, points=True), groups[:1], budget=10_000)
    assert points == pytest.approx([3 + 2 * x for x in heads[:, 1].tolist()], abs=1e-4)
    whole = score_groups(row_scorer(model), groups[:1], budget=10_000)
    if overall == "criteria":
        assert whole[0] > max(whole[1:3]) + 0.3 and min(whole[1:3]) > whole[3] + 0.3
    else:
        assert whole[0] > whole[1] > whole[2] > whole[3]
    model.save(tmp_path / "reward", merged=True)
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "reward")
    assert plain.config.id2label == {0: "overall", 1: "kind", 2: "true"}
    row = torch.tensor([[*groups[0].prompt.tolist(), *groups[0].continuations[0].tolist()]])
    with torch.no_grad():
        logits = plain(row).logits[0]
    first = list(batch.rows).index(0)
    assert logits.tolist() == pytest.approx([scores[first].item(), *said[first].tolist()], abs=1e-4)
    again = ScalarModel.load(tmp_path / "reward", config=ModelConfig(), trainable=False)
    assert again.criteria == model.criteria and again.criteria[0].name == "kind"
    assert score_groups(row_scorer(again), groups[:1], budget=10_000) == pytest.approx(whole, abs=1e-5)


def test_a_model_without_heads_says_so_and_labels_of_others_are_refused(toy: Toy, tmp_path: Path) -> None:
    model = toy.scalar()
    assert model.criteria == ()
    with pytest.raises(ConfigError, match="no criterion 'kind'; it has the overall score alone"):
        criterion_scorer(model, {"kind": 1.0}, points=False)
    model.save(tmp_path / "reward", merged=True)
    settings = json.loads((tmp_path / "reward/config.json").read_text())
    assert "assent_criteria" not in settings
    two = ScalarModel.from_policy(toy.folder, config=ModelConfig(), seed=0, also=("kind",))
    assert torch.equal(two.head, model.head), "the first head is drawn as it was"
    two.save(tmp_path / "two", merged=True)
    settings = json.loads((tmp_path / "two/config.json").read_text())
    del settings["assent_criteria"]
    (tmp_path / "two/config.json").write_text(json.dumps(settings))
    with pytest.raises(ModelError, match="needs one label under the name score"):
        ScalarModel.load(tmp_path / "two", config=ModelConfig(), trainable=False)


def test_held_out_accuracy_counts_pairs_that_one_rater_scored_apart() -> None:
    """Of prompt 1 rater r scored a above b and c, and b as c: two pairs, one ordered rightly. Of prompt 2 one pair."""
    one = comparison("1", ["x", "y", "z"], {"r": {"a": both(3, 1), "b": both(2, 1), "c": both(2, 1)}})
    two = comparison("2", ["x", "y"], {"r": {"a": both(1, 1)}, "s": {"a": both(1, 1), "b": both(4, 1)}})
    report = criterion_report([one, two], "kind", [0.5, 0.1, 0.9, -1.0, 2.0])
    assert (report.answers, report.pairs) == (5, 3)
    assert report.accuracy is not None and report.accuracy.estimate == pytest.approx(2 / 3)
    # Ranks of what is said are 3 2 4 1 5, of the means 3 2 2 1 4: 4, 2.5, 2.5, 1, 5.
    assert report.correlation is not None
    assert report.correlation.estimate == pytest.approx(_pearson([3, 2, 4, 1, 5], [4, 2.5, 2.5, 1, 5]))
    assert criterion_report([one, two], "true", [0.0] * 5).correlation is None, "all alike"
    assert criterion_report([one], "kind", [0.0] * 3).accuracy is None, "one prompt says nothing of others"


def _pearson(x: list[float], y: list[float]) -> float:
    mx, my = sum(x) / len(x), sum(y) / len(y)
    top = sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True))
    return float(top / (sum((a - mx) ** 2 for a in x) * sum((b - my) ** 2 for b in y)) ** 0.5)


def test_the_scale_of_a_criterion_is_kept_in_plain_json(toy: Toy) -> None:
    model = ScalarModel.from_policy(toy.folder, config=ModelConfig(), seed=0, also=("kind",))
    model.criteria = [Criterion("kind", 3.5, 0.5)]
    assert model.core.config.assent_criteria == [{"name": "kind", "mean": 3.5, "std": 0.5}]
