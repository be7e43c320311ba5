"""Candidates along axes of tone: every stratum once, words for a place, and what the lab and the sampler make of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assent.artifacts.jsonl import read_records, write_records
from assent.artifacts.stage import LogOptions, Runner, StageContext, stage
from assent.core.config import Config
from assent.core.errors import ConfigError
from assent.core.types import Message, Prompt, Task
from assent.lab.tones import TONES, reply_at
from assent.lab.truth import read
from assent.lab.world import World
from assent.models.config import ModelConfig
from assent.models.tiny import save_tiny
from assent.pipeline.config import ComputeConfig, SampleConfig
from assent.pipeline.stages.declared import run_sample
from assent.pipeline.stages.settings import SampleStage
from assent.profiles.principles import of_tone, prompt_under
from assent.profiles.spread import instruction, positions


def test_every_answer_has_a_stratum_of_each_axis_to_itself() -> None:
    found = positions(["polite", "direct"], 4, seed=0, name="p-1")
    for axis in ("polite", "direct"):
        assert sorted(one[axis] for one in found) == [-0.75, -0.25, 0.25, 0.75]
    assert found == positions(["polite", "direct"], 4, seed=0, name="p-1")
    many = [place for name in range(300) for place in positions(["polite", "direct"], 4, seed=0, name=f"p-{name}")]
    assert abs(np.corrcoef([(one["polite"], one["direct"]) for one in many], rowvar=False)[0, 1]) < 0.06


def test_a_place_is_said_in_words_and_its_middle_is_not() -> None:
    axes = {"polite": "polite", "direct": "to the point"}
    assert instruction({"polite": 0.9, "direct": -0.5}, axes) == "Let your answer be very polite, not to the point."
    assert instruction({"polite": -0.9, "direct": 0.1}, axes) == "Let your answer be not at all polite."
    assert instruction({"polite": 0.2, "direct": -0.2}, axes) == ""
    assert of_tone({"polite": 0.9, "direct": -0.5, "warm": 0.2, "dry": 0.0}) == "very polite, not direct, rather warm"


def test_principles_stand_before_a_system_turn_and_the_question_keeps_its_id() -> None:
    asked = Prompt(messages=(Message(role="system", content="A shop."), Message(role="user", content="Hi")))
    told = prompt_under(asked, ("Be kind.", "Be brief."))
    assert told.messages[0].content == "Be kind.\nBe brief.\n\nA shop." and len(told.messages) == 2
    assert told.id == asked.id and told.text == asked.text
    assert prompt_under(asked, ()) == asked


def test_the_lab_reads_the_tone_that_was_written() -> None:
    asked = World(0).prompts("eval", 30)
    for prompt in asked:
        low, high = (read(prompt, reply_at(prompt, {"polite": value}).text) for value in (-1.0, 1.0))
        assert high.polite > low.polite and high.helpful > 0.6 and low.helpful > 0.6
        vague, plain = (read(prompt, reply_at(prompt, {"direct": value, "polite": -1}).text) for value in (-1.0, 1.0))
        assert plain.direct > vague.direct
        short, long = (len(reply_at(prompt, {"concise": value}).text.split()) for value in (1.0, -1.0))
        assert short < long
    with pytest.raises(ConfigError, match="the lab has no tone 'loud'; it has polite, direct, concise"):
        reply_at(asked[0], {"loud": 1.0})
    assert set(TONES) <= set(read(asked[0], "Hello.").axes())


class Nothing(Config):
    """No settings."""


@stage(name="sft", version=1, kind="policy")
def tune(ctx: StageContext, config: Nothing) -> dict[str, Any]:
    save_tiny(ctx.output / "policy", "llama")
    return {}


@stage(name="gather", version=1, kind="data")
def gather(ctx: StageContext, config: Nothing) -> dict[str, Any]:
    write_records(ctx.output / "prompts.jsonl", [Prompt.of(f"What is {n}?") for n in range(3)])
    return {}


def test_sampled_answers_record_their_place_and_raters_see_the_plain_question(tmp_path: Path) -> None:
    sample = SampleConfig(
        prompts=3, answers=3, tones={"polite": "polite"}, sampling={"max_new_tokens": 8, "temperature": 1.0}
    )
    config = SampleStage(sample=sample, round=1, model=ModelConfig(), compute=ComputeConfig(threads=1))
    with Runner(tmp_path, seed=0, logs=LogOptions(quiet=True, tensorboard=False)) as run:
        made = run(run_sample, config, policy=run(tune, Nothing()), prompts=run(gather, Nothing()))
    tasks = read_records(made.file("tasks.jsonl"), Task)
    assert tasks and all(len(task.prompt.messages) == 1 for task in tasks)
    told = [sorted(one.meta["tone"]["polite"] for one in task.completions) for task in tasks]
    assert told[0] == [-0.667, 0.0, 0.667] and all(len(one) >= 2 for one in told)


def test_two_spreads_at_once_are_refused() -> None:
    with pytest.raises(ConfigError, match="temperatures and tones both spread the answers"):
        SampleConfig.parse({"tones": {"polite": "polite"}, "temperatures": [0.5, 1.0]})


def test_the_axes_of_a_profile_and_its_parents_are_spread_and_the_key_hangs_on_them_alone(tmp_path: Path) -> None:
    folder = tmp_path / "profiles"
    folder.mkdir()
    (folder / "everyone.yaml").write_text("id: everyone\ntone: {warm: 0.2}\n")
    (folder / "ja.yaml").write_text("id: ja\nparent: everyone\naudience: {region: [japan]}\ntone: {polite: 0.8}\n")
    named = SampleConfig(profile=folder / "ja.yaml", tones={"polite": "formal", "direct": "direct"}).with_axes()
    assert named == SampleConfig(tones={"warm": "warm", "polite": "formal", "direct": "direct"})
    assert list(named.tones) == ["warm", "polite", "direct"]
    assert SampleConfig().with_axes() == SampleConfig()


def test_a_profile_without_a_tone_and_a_second_spread_are_refused(tmp_path: Path) -> None:
    (tmp_path / "ja.yaml").write_text("id: ja\naudience: {region: [japan]}\n")
    with pytest.raises(ConfigError, match="name no axis of tone to spread answers along; add one"):
        SampleConfig(profile=tmp_path / "ja.yaml").with_axes()
    with pytest.raises(ConfigError, match="there is no profile 'en' in"):
        SampleConfig(profile=tmp_path / "en.yaml").with_axes()
    with pytest.raises(ConfigError, match="temperatures and profile both spread the answers"):
        SampleConfig.parse({"profile": "profiles/ja.yaml", "temperatures": [0.5, 1.0]})
