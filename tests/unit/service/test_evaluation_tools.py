"""Requests as evaluation tools send them to `assent serve`: their numbers are those of the suites of Assent itself."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from assent.models.config import ModelConfig
from assent.models.tiny import save_tiny, tiny_tokenizer
from assent.pipeline.backends import Backends
from assent.pipeline.config import ComputeConfig
from assent.pipeline.stages.measure import policy_subject
from assent.pipeline.subjects import PolicySubject
from assent.service.endpoint.start import EndpointOptions, endpoint
from assent.service.serve import ServerAddress

FREE = ServerAddress(port=0)
TEXTS = ["Question: Where is my parcel?\nAnswer:", "My order is late.", ""]
OPTIONS = [[" It is on its way.", " No", " é — ü"], [" Sorry!", " Why?"], ["My order is late.", "A refund."]]


class Silent:
    def advance(self, number: int) -> None:
        pass


@contextlib.contextmanager
def silent(title: str, total: int) -> Iterator[Any]:
    yield Silent()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "llama", "llama", seed=1)


@pytest.fixture(scope="module")
def subject(folder: Path) -> PolicySubject:
    return policy_subject(Backends(ModelConfig(), ComputeConfig()), folder, name="one", watch=silent)


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    with endpoint(EndpointOptions((f"one={folder}",), at=FREE)) as address:
        yield address


def ask(url: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
    """Status and JSON of one request; a GET where there is no body. lm-eval sends an empty key where none is set."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    headers = {"content-type": "application/json", "authorization": "Bearer "}
    connection.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def encoded(url: str, text: str) -> list[int]:
    """What lm-eval's tokenizer of a server asks."""
    status, answer = ask(url, "/tokenize", {"prompt": text, "add_special_tokens": False})
    assert status == 200 and answer["count"] == len(answer["tokens"])
    return list(answer["tokens"])


def log_likelihoods(url: str, pairs: list[tuple[str, str]], *, as_text: bool = False) -> list[tuple[float, bool]]:
    """Of continuations and whether each is the greedy one, asked and added up as lm-eval does."""
    _, info = ask(url, "/tokenizer_info")
    start = encoded(url, info["bos_token"] or info["eos_token"])[:1]
    rows, lengths = [], []
    for text, option in pairs:
        before = encoded(url, text) if text else start
        whole = encoded(url, text + option) if text else start + encoded(url, option)
        rows.append(whole)
        lengths.append(len(before))
    prompt: Any = rows
    if as_text:
        prompt = [ask(url, "/detokenize", {"tokens": row})[1]["prompt"] for row in rows]
    body = {"model": "one", "prompt": prompt, "temperature": 0, "max_tokens": 1, "logprobs": 1, "seed": 1234}
    status, answer = ask(url, "/v1/completions", {**body, "echo": True})
    assert status == 200, answer
    found = []
    for choice, length in zip(sorted(answer["choices"], key=lambda one: one["index"]), lengths, strict=True):
        own = choice["logprobs"]["token_logprobs"][length:-1]
        best = [max(top.values()) for top in choice["logprobs"]["top_logprobs"][length:-1]]
        found.append((sum(own), own == best))
    return found


@pytest.mark.parametrize("as_text", [False, True])
def test_log_likelihoods_through_the_server_are_those_of_the_suites(
    url: str, subject: PolicySubject, as_text: bool
) -> None:
    pairs = [(text, option) for text, some in zip(TEXTS, OPTIONS, strict=True) for option in some]
    expected = [value for row in subject.continuations(TEXTS, OPTIONS) for value in row]
    assert [value for value, _ in log_likelihoods(url, pairs, as_text=as_text)] == pytest.approx(expected, abs=1e-4)


def test_a_continuation_that_the_model_would_write_itself_is_the_greedy_one(url: str) -> None:
    ids = encoded(url, "My order is")
    body = {"model": "one", "prompt": [ids], "temperature": 0, "max_tokens": 1, "logprobs": 1, "echo": True}
    _, drawn = ask(url, "/v1/completions", body)
    first = drawn["choices"][0]["logprobs"]["top_logprobs"][-1]
    [best] = [one for one in tiny_tokenizer().get_vocab().values() if tiny_tokenizer().decode([one]) == max(first)][:1]
    for token, is_greedy in ((best, True), ((best + 1) % 256 + 3, False)):
        _, answer = ask(url, "/v1/completions", {**body, "prompt": [[*ids, token]]})
        own, top = (answer["choices"][0]["logprobs"][name][len(ids)] for name in ("token_logprobs", "top_logprobs"))
        assert (own == max(top.values())) is is_greedy


def test_a_tool_without_a_tokenizer_reads_the_servers(url: str) -> None:
    tokenizer = tiny_tokenizer()
    _, info = ask(url, "/tokenizer_info")
    assert (info["bos_token"], info["eos_token"]) == (tokenizer.bos_token, tokenizer.eos_token)
    assert encoded(url, "My order") == tokenizer("My order")["input_ids"]
    assert encoded(url, tokenizer.eos_token) == [tokenizer.eos_token_id]
    _, back = ask(url, "/detokenize", {"tokens": [*encoded(url, "My order"), tokenizer.eos_token_id]})
    assert back == {"prompt": "My order" + tokenizer.eos_token}
    status, refused = ask(url, "/detokenize", {"tokens": [99999]})
    assert status == 400 and "tokens holds the token 99999" in refused["error"]["message"]


def test_of_two_policies_neither_lends_its_tokenizer_unasked(folder: Path) -> None:
    """lm-eval names no model there: it then takes a tokenizer of its own rather than another policy's."""
    with endpoint(EndpointOptions((f"a={folder}", f"b={folder}"), at=FREE)) as address:
        assert ask(address, "/tokenizer_info")[0] == ask(address, "/tokenize", {"prompt": "x"})[0] == 404
        assert ask(address, "/tokenizer_info?model=b")[0] == 200
        assert ask(address, "/tokenize", {"prompt": "x", "model": "b"})[0] == 200


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/v1/completions", {"prompt": [[5, 6, 7], [8]], "stop": ["\n", "<|eos|>"], "temperature": 0, "seed": 1234}),
        ("/v1/completions", {"prompt": "My order", "stop": [], "temperature": 0.0, "seed": 1234, "num_beams": 1}),
        ("/v1/chat/completions", {"stop": ["\n"], "temperature": 0, "seed": 1234}),
        ("/v1/chat/completions", {"temperature": 0.0, "reasoning_effort": "none", "stop": ["a", "b"], "top_p": 0.9}),
        ("/v1/chat/completions", {"n": 2, "logprobs": True, "top_logprobs": 3, "top_k": -1, "repetition_penalty": 1.0}),
        ("/v1/chat/completions", {"frequency_penalty": 0.0, "presence_penalty": 0.0, "stop": ["#", ";"], "seed": None}),
    ],
)
def test_texts_are_written_for_requests_of_each_tool(url: str, path: str, asked: dict[str, Any]) -> None:
    turns = [{"role": "system", "content": "Answer in one word."}, {"role": "user", "content": "What do bees make?"}]
    body = {"model": "one", "max_tokens": 4, **({"messages": turns} if "chat" in path else {}), **asked}
    status, answer = ask(url, path, body)
    wanted = len(asked["prompt"]) if isinstance(asked.get("prompt"), list) else asked.get("n", 1)
    assert status == 200 and len(answer["choices"]) == wanted, answer


def test_a_tool_that_asks_for_the_responses_interface_is_told_what_to_use(url: str) -> None:
    status, answer = ask(url, "/v1/responses", {"model": "one", "input": "Hi"})
    assert status == 404 and "use chat completions" in answer["error"]["message"]
