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
    yield schema.include(path_regex="^/api/v1/"), store
    store.close()


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_answer_is_as_described(described: tuple[Any, Store], mode: GenerationMode) -> None:
    schema, store = described
    checks = CHECKS.get_by_names(CHECKED)
    wrong: dict[str, str] = {}
    done: set[str] = set()
    tried = 0
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

        tried += 1
        store.register_rater(BOT, now=0)  # an earlier request may have erased it
        try:
            ask()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE  # what takes nothing can be given nothing wrong
        except Exception as error:
            wrong[operation.label] = str(error)[:1500]
    assert tried > 35
    if mode is GenerationMode.POSITIVE:
        assert len(done) > 25, f"only {sorted(done)} got as far as doing something"
    assert not wrong, "\n\n".join(f"{label}: {error}" for label, error in wrong.items())
