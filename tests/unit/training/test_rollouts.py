"""Rollouts: rows count through the groups, the text is what a reward reads, the tokens are all that was sampled."""

from __future__ import annotations

from assent.core.types import Prompt
from assent.data.render import Renderer
from assent.generation.config import Sampling
from assent.generation.writer import LocalWriter
from assent.models.tiny import tiny_tokenizer
from assent.training.rollouts import sample_rollouts
from scripted_engine import ScriptedEngine


def test_rows_are_numbered_group_by_group_and_texts_end_before_a_stop() -> None:
    tokenizer = tiny_tokenizer()
    renderer, prompts = Renderer(tokenizer), [Prompt.of("one?"), Prompt.of("another?")]
    engine = ScriptedEngine(tokenizer, ["a", "b### and", "c\x00", "d"])
    writer = LocalWriter("policy", renderer, engine, context=200)
    rollouts = sample_rollouts(writer, prompts, num_samples=2, sampling=Sampling(stop=("###",)), seed=0)
    assert rollouts.texts == ("a", "b", "c\x00", "d"), "a reward reads what the policy wrote, not what a database keeps"
    assert rollouts.row_prompts == [prompts[0], prompts[0], prompts[1], prompts[1]]
    assert [g.prompt.tolist() for g in rollouts.groups] == [renderer.prompt(p.messages).tolist() for p in prompts]
    rows = [tokens for group in rollouts.groups for tokens in group.continuations]
    assert [tokenizer.decode(tokens, skip_special_tokens=True) for tokens in rows] == ["a", "b###", "c\x00", "d"]
    assert rollouts.lengths == [len(tokens) for tokens in rows] == [len(logps) for logps in rollouts.behaviour_logps]
    assert rollouts.finished == (True, True, True, True)
