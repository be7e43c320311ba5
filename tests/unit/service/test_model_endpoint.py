"""`assent serve`, asked with OpenAI's own client: the answers are those of LocalWriter, whatever is refused is said."""

from __future__ import annotations

import http.client
import json
import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import openai
import pytest
import torch
from transformers import AutoModelForCausalLM

from assent.core.errors import UserError
from assent.core.types import Message, Prompt
from assent.generation.config import Sampling
from assent.generation.engine import Generation
from assent.generation.local import LocalEngine
from assent.generation.writer import LocalWriter
from assent.models.config import ModelConfig
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel
from assent.models.tiny import save_tiny, tiny_tokenizer
from assent.pipeline.backends import Backends
from assent.pipeline.config import ComputeConfig
from assent.service.endpoint.app import Endpoint
from assent.service.endpoint.desk import Desk
from assent.service.endpoint.models import ServedPolicy
from assent.service.endpoint.start import EndpointOptions, endpoint, listening, named, token_of
from assent.service.serve import ServerAddress
from run_of_tiny_models import nudge

HELLO: list[Any] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where is my parcel?"}]
ASKED = Prompt(messages=tuple(Message(role=one["role"], content=one["content"]) for one in HELLO))
FREE = ServerAddress(port=0)
BACKENDS = Backends(ModelConfig(), ComputeConfig())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("models")
    save_tiny(made / "llama", "llama", seed=1)
    save_tiny(made / "gpt2", "gpt2", seed=2)
    reward = ScalarModel.from_policy(made / "llama", config=ModelConfig(), seed=2)
    nudge(reward)
    reward.save(made / "reward")
    return made


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    policies = (f"one={folder}/llama", f"two={folder}/gpt2")
    with endpoint(EndpointOptions(policies, (f"judge={folder}/reward",), FREE)) as address:
        yield address


@pytest.fixture(scope="module")
def client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


@pytest.fixture(scope="module")
def writer(folder: Path) -> LocalWriter:
    return BACKENDS.writer_named(str(folder / "llama"))


def post(url: str, path: str, body: object, **headers: str) -> tuple[int, dict[str, Any]]:
    """Status and JSON of one request, as plain HTTP."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request("POST", path, sent, {"content-type": "application/json", **headers})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_a_chat_has_the_texts_and_log_probabilities_of_the_writer_at_the_same_seed(
    client: openai.OpenAI, writer: LocalWriter
) -> None:
    sampling = Sampling(temperature=0.8, top_p=0.9, max_new_tokens=12, stop=("zz",))
    [expected] = writer.write([ASKED], num_samples=3, sampling=sampling, seed=7)
    answer = client.chat.completions.create(
        model="one",
        messages=HELLO,
        n=3,
        temperature=0.8,
        top_p=0.9,
        max_completion_tokens=12,
        stop="zz",
        seed=7,
        logprobs=True,
    )
    assert [one.message.content for one in answer.choices] == [one.text for one in expected]
    assert [one.finish_reason == "stop" for one in answer.choices] == [one.finished for one in expected]
    for choice, one in zip(answer.choices, expected, strict=True):
        assert choice.logprobs is not None and choice.logprobs.content is not None
        np.testing.assert_allclose([told.logprob for told in choice.logprobs.content], one.logps, rtol=0, atol=1e-7)
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == len(expected[0].prompt)
    assert answer.usage.completion_tokens == sum(len(one.tokens) for one in expected)


def test_a_stream_gives_the_same_text_in_pieces_and_ends_with_its_usage(client: openai.OpenAI) -> None:
    ask: dict[str, Any] = {"model": "one", "messages": HELLO, "max_tokens": 24, "seed": 3}
    whole = client.chat.completions.create(**ask)
    pieces = list(client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
    said = [piece.choices[0].delta.content or "" for piece in pieces if piece.choices]
    assert "".join(said) == whole.choices[0].message.content
    assert len([one for one in said if one]) > 1
    assert [piece.choices[0].finish_reason for piece in pieces if piece.choices][-1] == whole.choices[0].finish_reason
    assert pieces[-1].usage == whole.usage


def test_echoed_prompts_have_the_log_probabilities_that_transformers_computes(
    client: openai.OpenAI, folder: Path
) -> None:
    """What lm-eval sums for a log-likelihood: token ids echoed with one token drawn behind them."""
    ids = tiny_tokenizer()("My order is late.")["input_ids"]
    answer = client.completions.create(
        model="one", prompt=[ids, ids[:5]], temperature=0, max_tokens=1, logprobs=1, echo=True, seed=1234
    )
    with torch.inference_mode():
        plain = AutoModelForCausalLM.from_pretrained(str(folder / "llama"))
        logps = plain(torch.tensor([ids])).logits[0].float().log_softmax(-1)
    own = [float(logps[place, token]) for place, token in enumerate(ids[1:])]
    for choice, length in zip(answer.choices, (len(ids), 5), strict=True):
        told = choice.logprobs
        assert told is not None and told.token_logprobs is not None and told.top_logprobs is not None
        assert len(told.token_logprobs) == length + 1 and told.token_logprobs[0] is None
        np.testing.assert_allclose(told.token_logprobs[1:-1], own[: length - 1], rtol=0, atol=1e-5)
        best = [max(top.values()) for top in told.top_logprobs[1:]]
        np.testing.assert_allclose(best, logps[:length].amax(-1).tolist(), rtol=0, atol=1e-5)
        assert told.token_logprobs[-1] == best[-1]  # the token drawn at temperature 0 is the likeliest


def test_a_text_is_read_without_drawing_anything(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="one", prompt="My order", max_tokens=0, logprobs=0, echo=True)
    [choice] = answer.choices
    assert choice.text == "My order" and choice.logprobs is not None and choice.logprobs.tokens is not None
    assert "".join(choice.logprobs.tokens) == "My order"
    assert answer.usage is not None and answer.usage.completion_tokens == 0


def test_alternatives_of_a_chat_hold_the_own_token_where_it_is_the_likeliest(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="two", messages=HELLO, temperature=0, max_tokens=6, logprobs=True, top_logprobs=3
    )
    assert answer.choices[0].logprobs is not None and answer.choices[0].logprobs.content is not None
    for told in answer.choices[0].logprobs.content:
        assert len(told.top_logprobs) == 3
        assert told.top_logprobs[0].token == told.token and told.top_logprobs[0].logprob == told.logprob
        assert math.fsum(math.exp(other.logprob) for other in told.top_logprobs) <= 1 + 1e-6


def test_requests_at_once_get_the_answers_of_requests_one_by_one(client: openai.OpenAI) -> None:
    def ask(number: int, temperature: float) -> str | None:
        turns: Any = [{"role": "user", "content": f"Order number {number}?"}]
        answer = client.chat.completions.create(
            model="one", messages=turns, temperature=temperature, max_tokens=10, seed=number
        )
        return answer.choices[0].message.content

    wanted = [(number, temperature) for number in range(8) for temperature in (0.0, 1.0)]
    alone = {one: ask(*one) for one in wanted}
    found: dict[tuple[int, float], str | None] = {}
    threads = [threading.Thread(target=lambda one=one: found.update({one: ask(*one)})) for one in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == alone


def test_a_request_without_a_seed_is_told_the_one_it_got(url: str) -> None:
    body = {"model": "one", "messages": HELLO, "max_tokens": 10}
    _, first = post(url, "/v1/chat/completions", body)
    _, again = post(url, "/v1/chat/completions", {**body, "seed": first["seed"]})
    assert first["choices"] == again["choices"]


def test_all_policies_are_listed_and_no_reward_model(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["one", "two"]


def test_scores_are_those_of_the_reward_model(url: str, folder: Path) -> None:
    expected = BACKENDS.scorer(folder / "reward", normalize=True)([ASKED] * 2, ["A refund.", "No."])
    status, answer = post(url, "/score", {"messages": HELLO, "answers": ["A refund.", "No."]})
    assert status == 200 and answer == {"model": "judge", "scores": pytest.approx(expected, abs=1e-6)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "three"}, "there is no model 'three'; this server has: one, two"),
        ({"tools": [{"type": "function"}]}, "tools is not supported"),
        ({"frequency_penalty": 0.5}, "frequency_penalty is not supported"),
        ({"response_format": {"type": "json_object"}}, "response_format is not supported"),
        ({"top_k": 5}, "top_k is not supported by this server"),
        ({"n": 0}, "n: should be at least 1"),
        ({"temperature": -1}, "temperature: "),
        ({"top_logprobs": 2}, "top_logprobs wants logprobs: true"),
        ({"stream": True, "n": 2}, "stream takes neither n above 1 nor logprobs"),
        ({"max_tokens": 3, "max_completion_tokens": 4}, "differ; give one"),
        ({"messages": []}, "messages: "),
        ({"messages": [{"role": "assistant", "content": "Hi"}]}, "the last message is the assistant's"),
        ({"messages": [{"role": "tool", "content": "12"}]}, "the result of a tool, and no call"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": "x\ud800"}]}, "half of a surrogate pair"),
        ({"messages": [{"role": "user", "content": "word " * 300}]}, "the context of one holds 256"),
    ],
)
def test_what_is_not_supported_is_refused_in_words(url: str, change: dict[str, Any], said: str) -> None:
    body = {"model": "one", "messages": HELLO, "max_tokens": 4, **change}
    status, answer = post(url, "/v1/chat/completions", body)
    assert status in (400, 404) and said in answer["error"]["message"], answer
    assert set(answer["error"]) == {"message", "type", "param", "code"}


def test_values_that_ask_for_nothing_are_taken(client: openai.OpenAI) -> None:
    parts: Any = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
    ]
    answer = client.chat.completions.create(
        model="one", messages=parts, max_tokens=2, frequency_penalty=0, presence_penalty=0, user="me", logit_bias={}
    )
    assert answer.choices[0].finish_reason in ("stop", "length")


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/v1/chat/completions", b"no json", {}, 400),
        ("/v1/chat/completions", b"[" * 100_000, {}, 400),
        ("/v1/chat/completions", b'{"model": "one"}', {"content-type": "text/plain"}, 415),
        ("/v1/chat/completions", b"{}", {"host": "evil.example"}, 403),
        ("/v1/chat/completions", b"{}", {"content-length": str(5 << 20)}, 413),
        ("/v1/embeddings", b"{}", {}, 404),
        ("/v1/models", b"{}", {}, 405),
        ("/v1/completions", b'{"model": "one", "prompt": [99999]}', {}, 400),
        ("/v1/completions", b'{"model": "one", "prompt": []}', {}, 400),
        ("/score", b'{"answers": ["a"]}', {}, 400),
        ("/score", json.dumps({"prompt": "q", "answers": ["word " * 400]}).encode(), {}, 400),
    ],
)
def test_what_is_no_request_is_an_error_in_openais_shape(
    url: str, path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    found, answer = post(url, path, body, **headers)
    assert found == status and answer["error"]["message"], answer


class Endless(LocalEngine):
    """Draws on and on while somebody waits."""

    def __init__(self, policy: PolicyModel) -> None:
        super().__init__(policy)
        self.begun, self.ended = threading.Event(), threading.Event()

    def generate(self, prompts: Any, *, on_token: Any = None, **settings: Any) -> Any:
        try:
            while True:
                on_token(Generation(np.array([5]), np.array([-1.0], dtype=np.float32), finished=False))
                self.begun.set()
        finally:
            self.ended.set()


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_nobody_waits_for_any_more_is_not_written_on(folder: Path, stream: bool) -> None:
    policy = BACKENDS.policy(folder / "llama", trainable=False)
    engine = Endless(policy)
    writer = LocalWriter("endless", BACKENDS.renderer(policy), engine, policy.max_length)
    with Desk() as desk:
        app = Endpoint({"endless": ServedPolicy("endless", policy, writer)}, {}, desk).app(token=None)
        with listening(app, FREE) as address:
            connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
            body = json.dumps({"messages": HELLO, "stream": stream})
            connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
            assert engine.begun.wait(30)
            assert not engine.ended.is_set()
            connection.close()
            assert engine.ended.wait(30)


def test_whoever_finds_the_queue_full_is_told_when_to_come_back(folder: Path) -> None:
    policy = BACKENDS.policy(folder / "llama", trainable=False)
    engine = Endless(policy)
    writer = LocalWriter("endless", BACKENDS.renderer(policy), engine, policy.max_length)
    with Desk(capacity=1) as desk:
        app = Endpoint({"endless": ServedPolicy("endless", policy, writer)}, {}, desk).app(token=None)
        with listening(app, FREE) as address:
            held = [http.client.HTTPConnection(urlsplit(address).netloc, timeout=60) for _ in range(2)]
            body, kind = json.dumps({"messages": HELLO}), {"content-type": "application/json"}
            held[0].request("POST", "/v1/chat/completions", body, kind)
            assert engine.begun.wait(30)
            held[1].request("POST", "/v1/chat/completions", body, kind)
            while desk.waiting < 1:
                pass
            with pytest.raises(openai.InternalServerError, match="1 requests wait already") as refused:
                full = openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
                full.chat.completions.create(model="endless", messages=HELLO)
            assert refused.value.status_code == 503 and int(refused.value.response.headers["retry-after"]) >= 1
            for connection in held:
                connection.close()


class Broken(LocalEngine):
    """Fails with what it was asked in its message."""

    def generate(self, prompts: Any, **settings: Any) -> Any:
        raise RuntimeError(f"CUDA error while reading {prompts}: where is my parcel?")


def test_a_model_that_fails_is_logged_without_what_it_was_asked(
    folder: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    policy = BACKENDS.policy(folder / "llama", trainable=False)
    writer = LocalWriter("broken", BACKENDS.renderer(policy), Broken(policy), policy.max_length)
    with Desk() as desk:
        app = Endpoint({"broken": ServedPolicy("broken", policy, writer)}, {}, desk).app(token=None)
        with listening(app, FREE) as address:
            status, answer = post(address, "/v1/chat/completions", {"messages": HELLO})
            again, _ = post(address, "/v1/chat/completions", {"messages": HELLO, "stream": True})
    out, err = capfd.readouterr()
    assert status == again == 500 and answer["error"]["message"].startswith("the server failed with RuntimeError")
    assert "RuntimeError in test_model_endpoint.py" in caplog.text
    assert "parcel" not in (caplog.text + out + err + json.dumps(answer))


def test_only_who_sends_the_token_is_let_in_and_health_is_open(folder: Path) -> None:
    with endpoint(EndpointOptions((f"one={folder}/llama",), at=FREE), token="a-token-of-some-length") as address:
        for key, is_known in (("a-token-of-some-length", True), ("another", False), ("", False)):
            status, _ = post(
                address, "/v1/completions", {"prompt": "a", "max_tokens": 1}, authorization=f"Bearer {key}"
            )
            assert status == (200 if is_known else 401)
        connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
        connection.request("GET", "/health")
        assert connection.getresponse().status == 200


def test_a_token_that_is_made_goes_into_a_file_of_the_owner_and_not_onto_the_screen(tmp_path: Path) -> None:
    said: list[str] = []
    options = EndpointOptions(at=ServerAddress(host="0.0.0.0"), token_file=tmp_path / "token.txt")
    token = token_of(options, said.append)
    assert (tmp_path / "token.txt").read_text() == f"{token}\n"
    assert (tmp_path / "token.txt").stat().st_mode & 0o777 == 0o600
    assert token is not None and token not in " ".join(said)
    assert token_of(EndpointOptions(), said.append) is None


def test_a_token_variable_that_is_not_set_or_short_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    options = EndpointOptions(token_env="SERVE_TOKEN")
    with pytest.raises(UserError, match="is not set"):
        token_of(options, print)
    monkeypatch.setenv("SERVE_TOKEN", "short")
    with pytest.raises(UserError, match="is too short"):
        token_of(options, print)


def test_names_come_from_paths_or_are_given_and_none_twice() -> None:
    assert named(["runs/x/round-1", "new=runs/x/round-2"]) == [
        ("runs/x/round-1", "runs/x/round-1"),
        ("new", "runs/x/round-2"),
    ]
    with pytest.raises(UserError, match="named twice"):
        named(["a=x", "a=y"])
    with pytest.raises(UserError, match="neither PATH nor NAME=PATH"):
        named(["=x"])
