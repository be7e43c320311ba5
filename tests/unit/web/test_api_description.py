"""The API does what its OpenAPI description says, whatever is sent: no server error, every answer as described."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from assent.core.types import Completion, Judgment, Prompt, Ranking, Rater, Task
from assent.feedback.store import Store
from assent.web.app import create_app

load_all_checks()
EXAMPLES = 6
"""Requests per operation and kind of data."""
CHECKED = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]
BOT = Rater(id="bot", kind="autorater")
HARD = {
    "DELETE /api/v1/projects/{project}",
    "GET /api/v1/projects/{project}/exports/{format}",
    "GET /api/v1/projects/{project}/exports/{format}/losses",
    "GET /api/v1/webhooks/{number}/deliveries",
    "PATCH /api/v1/accounts/{rater_id}",
    "PATCH /api/v1/projects/{project}/tasks",
    "POST /api/v1/accounts/{rater_id}/link",
    "POST /api/v1/adjudications",
    "POST /api/v1/judgments",
    "POST /api/v1/leases/renew",
    "POST /api/v1/projects/{project}/imports",
    "POST /api/v1/projects/{project}/tasks",
    "POST /api/v1/webhooks",
    "PUT /api/v1/tasks/{task_id}/gold",
}
"""What chance may not get done, since the rest of the request has to fit what is in the store; test_api.py does it."""
KNOWN = {"project": "p", "task_id": "t-1", "rater_id": "bot", "format": "trl", "number": 1}
"""What there is in the store: half of the requests name it, so that they get past "there is no such project"."""


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    app = create_app(f"sqlite:///{tmp_path_factory.mktemp('store')}/feedback.db")
    store = app.state.context.store
    admin = store.accounts.create("boss", "admin", now=time.time())
    store.accounts.tokens.add(admin.rater_id, "number 1, which may be revoked", now=time.time())
    token = store.accounts.tokens.add(admin.rater_id, "test", now=time.time()).token
    store.register_rater(BOT, now=0)
    prompt = Prompt.of("Why?")
    answers = tuple(Completion(prompt_id=prompt.id, text=text, id=text) for text in "abc")
    store.add_tasks([Task(id=f"t-{n}", prompt=prompt, completions=answers, project="p") for n in range(3)], now=0)
    ranking = Ranking(tiers=(("a",), ("b", "c")))
    store.submit(Judgment(id="j", task_id="t-1", rater_id="bot", ranking=ranking), now=1)
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app)
    schema.config.update(headers={"Authorization": f"Bearer {token}"})
    yield schema, store
    store.close()


@pytest.mark.slow
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_answer_is_as_described(described: tuple[Any, Store], mode: GenerationMode) -> None:
    schema, store = described
    tried, done, wrong = _ask_everything(schema.include(path_regex="^/api/v1/"), store, mode, CHECKED)
    assert not wrong, "\n\n".join(f"{label}: {error}" for label, error in wrong.items())
    described_here = {
        f"{method.upper()} {path}"
        for path, methods in schema.raw_schema["paths"].items()
        for method in methods
        if path.startswith("/api/v1/")
    }
    assert tried == described_here and tried >= HARD
    if mode is GenerationMode.POSITIVE:
        assert tried - done <= HARD, f"only {sorted(done)} got as far as doing something"


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_what_the_pages_ask_for_is_answered_too_whatever_is_sent(
    described: tuple[Any, Store], mode: GenerationMode
) -> None:
    schema, store = described
    tried, _, wrong = _ask_everything(
        schema.exclude(path_regex="^/api/v1/"), store, mode, ["not_a_server_error", "response_schema_conformance"]
    )
    assert not wrong, "\n\n".join(f"{label}: {error}" for label, error in wrong.items())
    assert {label.split("/")[1] for label in tried} == {"rating", "chat"}


def _ask_everything(
    schema: Any, store: Store, mode: GenerationMode, names: list[str]
) -> tuple[set[str], set[str], dict[str, str]]:
    """Send requests of a kind to every operation; which there are, which got something done, and what was wrong."""
    checks = CHECKS.get_by_names(names)
    wrong: dict[str, str] = {}
    done: set[str] = set()
    tried: set[str] = set()
    for found in schema.get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy(generation_mode=mode), is_known=st.booleans())
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        def ask(case: Any, is_known: bool) -> None:
            if is_known:
                case.path_parameters.update({k: v for k, v in KNOWN.items() if k in case.path_parameters})
                if isinstance(case.body, dict):
                    case.body.update({k: v for k, v in KNOWN.items() if k in case.body})
            response = case.call_and_validate(checks=checks)
            if response.status_code < 300:
                done.add(case.operation.label)

        tried.add(operation.label)
        store.register_rater(BOT, now=0)  # an earlier request may have erased it
        try:
            ask()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE  # what takes nothing can be given nothing wrong
        except Exception as error:
            wrong[operation.label] = str(error)[:1500]
    return tried, done, wrong
