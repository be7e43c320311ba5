"""Where a conversation stands, kept so that one process can go on where another stopped, and two cannot both go on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from assent.core.errors import ConflictError
from assent.core.types import Rater
from assent.feedback.conversations import SILENCE_SECONDS, BlindTalk, Turn
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.store import Store


@pytest.fixture
def store(empty_url: str) -> Iterator[Store]:
    with Store.open(empty_url) as opened:
        opened.projects.save("talks", ProjectSettings(), now=0)
        for name in ("anna", "ben"):
            opened.register_rater(Rater(id=name, kind="person"), now=0)
        yield opened


def talk(name: str = "one", rater: str = "anna") -> BlindTalk:
    return BlindTalk(
        id=name,
        project="talks",
        rater_id=rater,
        purpose="reward",
        models=("a", "b"),
        seed=2**61,
        turns=(Turn(said="Hello"),),
        alive_at=10.0,
    )


def test_a_conversation_is_read_back_as_it_was_kept(store: Store) -> None:
    kept = store.conversations.begin(talk(), now=10)
    assert store.conversations.get("one", "anna") == kept
    assert store.conversations.get("one", "ben") is None, "it is nobody else's"


def test_of_two_who_read_the_same_state_only_one_can_change_it(store: Store) -> None:
    kept = store.conversations.begin(talk(), now=10)
    went_on = store.conversations.save(kept.model_copy(update={"phase": "failed"}), now=11)
    with pytest.raises(ConflictError, match="went on elsewhere"):
        store.conversations.save(kept.model_copy(update={"phase": "ended"}), now=12)
    assert store.conversations.get("one", "anna") == went_on


def test_an_id_is_taken_once(store: Store) -> None:
    store.conversations.begin(talk(), now=10)
    with pytest.raises(ConflictError, match="begun already"):
        store.conversations.begin(talk(rater="ben"), now=11)


def test_the_newest_open_conversation_is_found_again(store: Store) -> None:
    first = store.conversations.begin(talk("first"), now=10)
    second = store.conversations.begin(talk("second"), now=20)
    assert store.conversations.latest("anna", "talks", "reward") == second
    store.conversations.save(second.model_copy(update={"phase": "ended"}), now=21)
    assert store.conversations.latest("anna", "talks", "reward") == first
    assert store.conversations.latest("anna", "talks", "evaluation") is None
    assert store.conversations.latest("ben", "talks", "reward") is None


def test_who_says_that_they_wait_is_believed_for_a_while(store: Store) -> None:
    kept = store.conversations.begin(talk(), now=10)
    store.conversations.beat(kept, now=100)
    found = store.conversations.get("one", "anna")
    assert found is not None
    assert not found.is_silent(100 + SILENCE_SECONDS)
    assert found.is_silent(101 + SILENCE_SECONDS)
    assert not found.model_copy(update={"phase": "ready"}).is_silent(1e9)


def test_messages_are_what_was_said_and_the_answers_that_went_on(store: Store) -> None:
    said = (
        talk()
        .with_turn(answer="Hi.")
        .model_copy(update={"turns": (Turn(said="Hello", answer="Hi."), Turn(said="More"))})
    )
    assert [(m.role, m.content) for m in said.messages] == [("user", "Hello"), ("assistant", "Hi."), ("user", "More")]


def test_what_an_erased_rater_said_is_gone(store: Store) -> None:
    store.conversations.begin(talk(), now=10)
    store.conversations.begin(talk("other", "ben"), now=10)
    erased = store.erase_rater("anna", now=20)
    assert store.conversations.get("one", "anna") is None
    assert store.conversations.get("one", erased.tombstone) is None
    assert store.conversations.get("other", "ben") is not None
