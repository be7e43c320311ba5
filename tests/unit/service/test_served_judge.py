"""A judge behind `assent serve`: a real server and real HTTP, with a model that says verdicts and one that cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assent.core.errors import UserError
from assent.core.types import Completion, Prompt, Rater, Task
from assent.data.render import Renderer
from assent.generation.writer import LocalWriter
from assent.models.config import ModelConfig
from assent.models.policy import PolicyModel
from assent.models.tiny import tiny_model, tiny_tokenizer
from assent.raters.asking import Asking, load_prompts
from assent.raters.config import AutoraterConfig, EndpointJudgeConfig
from assent.raters.endpoint import EndpointJudge
from assent.raters.endpoint_cache import ReplyCache
from assent.raters.endpoint_client import EndpointClient
from assent.raters.rubric import Rubric
from assent.service.endpoint.app import Endpoint
from assent.service.endpoint.desk import Desk
from assent.service.endpoint.models import ServedPolicy
from assent.service.endpoint.start import EndpointOptions, endpoint, listening
from assent.service.serve import ServerAddress
from scripted_engine import ScriptedEngine

CONTEXT = 8192
FREE = ServerAddress(port=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random model whose context holds a rubric."""
    made = tmp_path_factory.mktemp("model")
    tokenizer = tiny_tokenizer()
    tokenizer.model_max_length = CONTEXT
    model = tiny_model("llama", tokenizer=tokenizer)
    model.config.max_position_embeddings = CONTEXT
    model.save_pretrained(str(made))
    tokenizer.save_pretrained(str(made))
    return made


def judge(url: str, **settings: Any) -> EndpointJudge:
    backend = {
        "kind": "endpoint",
        "base_url": f"{url}/v1",
        "model": "judge",
        "retries": 0,
        "concurrency": 2,
        **settings,
    }
    config = AutoraterConfig.parse({"backend": backend, "rubric": "concision"})
    assert isinstance(config.backend, EndpointJudgeConfig)
    asking = Asking(Rubric.load("concision"), load_prompts("plain"))
    return EndpointJudge(
        Rater(id="judge", kind="autorater"), config, asking, EndpointClient(config.backend, "none", ReplyCache(None))
    )


def task(number: int) -> Task:
    prompt = Prompt.of(f"Where is parcel {number}?")
    answers = tuple(Completion(prompt_id=prompt.id, text=text, id=text) for text in ("On its way.", "No."))
    return Task(id=f"t{number}", prompt=prompt, completions=answers)


def test_a_model_that_says_verdicts_judges_and_the_form_falls_back_by_itself(folder: Path) -> None:
    policy = PolicyModel.load(folder, config=ModelConfig(), trainable=False)
    said = [
        '{"reason": "short", "verdict": "B"}',
        'Sure! {"verdict": "A"}',
        "B, I think",
        '{"verdict": "B"}',
        '{"verdict": "A"}',
    ]
    engine = ScriptedEngine(policy.tokenizer, said)
    writer = LocalWriter("judge", Renderer(policy.tokenizer), engine, CONTEXT)
    with Desk() as desk:
        app = Endpoint({"judge": ServedPolicy("judge", policy, writer)}, {}, desk).app(token=None)
        with listening(app, FREE) as url:
            asked = judge(url)
            first, second = asked.judge([task(1), task(2)])
    # Of the first task "No." won in both orders; of the second too, after a reply that was sent back.
    for one in (first, second):
        assert one.ranking is not None and one.ranking.tiers == (("No.",), ("On its way.",))
    assert asked.tally.repaired == 1
    assert "the endpoint refused json_schema, so replies are asked for with none" in asked.lines()
    assert len(engine.asked) == 5, "what was refused was not drawn"


def test_a_random_model_gives_no_verdict_and_the_work_ends_early_with_the_reason(folder: Path) -> None:
    with endpoint(EndpointOptions((f"judge={folder}",), at=FREE)) as url:
        asked = judge(url, max_tokens=16)
        with pytest.raises(UserError, match="gave no verdict on its first 8 tasks"):
            list(asked.judge_each([task(n) for n in range(20)]))
        with pytest.raises(UserError, match="there is no model 'other'; this server has: judge"):
            list(judge(url, model="other").judge_each([task(1)]))


def test_what_does_not_fit_the_context_is_skipped_with_the_reason(folder: Path) -> None:
    with endpoint(EndpointOptions((f"judge={folder}",), at=FREE)) as url:
        long = task(1).model_copy(update={"prompt": Prompt.of("word " * 5000)})
        [one] = judge(url, max_tokens=16).judge([long])
    assert one.ranking is None and one.skip_reason is not None and "the context of judge holds 8192" in one.skip_reason
