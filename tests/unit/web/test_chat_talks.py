"""Conversations with two blind models over HTTP: no model named too early, nothing lost, every vote kept once."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from chat_samples import NAMES, Service, Toy, new_service, signed_in
from sqlalchemy import update

from assent.core.types import Judgment, Message
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.feedback.tables.connection import connect, write_transaction
from assent.feedback.tables.conversations import ConversationRow
from assent.generation.config import Sampling
from assent.models.tiny import save_tiny
from assent.service.speakers import LocalSpeaker
from assent.web.rating.talks import names_a_model


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return new_service(tmp_path)


def kept(service: Service, purpose: str = "reward") -> list[Judgment]:
    """What the store holds of a purpose."""
    with Store.open(service.url) as store:
        return store.judgments(Queue("talks", purpose))  # type: ignore[arg-type]


def gave(service: Service, state: dict[str, Any], place: int) -> str:
    """The model behind an answer, read from the store."""
    with Store.open(service.url) as store:
        turn = store.conversations.get(state["conversation"], service.rater_id).turns[state["turn"] - 1]  # type: ignore[union-attr]
        task = store.tasks([turn.task_id])[turn.task_id]  # type: ignore[index,list-item]
        return next(c.source for c in task.completions if c.id == turn.shown[place])


def test_a_turn_becomes_a_task_with_the_whole_conversation_and_a_judgment(service: Service) -> None:
    first = service.say("Why is the sky blue?")
    went_on = service.vote(first, "second", strength=3)
    second = service.say("And at dusk?", to=first["conversation"], turn=2)
    service.vote(second, "first", strength=1)
    with Store.open(service.url) as store:
        [one, two] = store.comparisons(Queue("talks", "reward"))
    assert [m.content for m in one.prompt.messages] == ["Why is the sky blue?"]
    assert [m.role for m in two.prompt.messages] == ["user", "assistant", "user"]
    chosen = one.judgments[0].ranking.tiers[0][0]  # type: ignore[union-attr]
    assert chosen == first["answers"][1]["id"]
    assert two.prompt.messages[1].content == next(c.text for c in one.completions if c.id == chosen)
    assert one.judgments[0].ranking.strengths == (3,)  # type: ignore[union-attr]
    assert one.judgments[0].order_shown == tuple(answer["id"] for answer in first["answers"])
    assert one.judgments[0].seconds == 3.5
    assert {c.source for c in one.completions} == set(NAMES)
    assert went_on["phase"] == "ready"


def test_the_better_model_goes_on_with_two_samples(service: Service) -> None:
    first = service.say("Hello")
    winner = gave(service, first, 0)
    service.vote(first, "first")
    second = service.say("More", to=first["conversation"], turn=2)
    assert [gave(service, second, 0), gave(service, second, 1)] == [winner, winner]
    assert second["answers"][0]["id"] != second["answers"][1]["id"]
    asked = service.toys[winner].heard[-2:]
    assert asked[0][1] != asked[1][1], "two samples want two seeds"


@pytest.mark.parametrize(("choice", "flags"), [("tie", {}), ("bad", "both")])
def test_on_a_tie_lots_decide_who_goes_on_and_the_rater_is_told(service: Service, choice: str, flags: Any) -> None:
    first = service.say("Hello")
    after = service.vote(first, choice)
    assert after["turns"][0]["drawn"] is True
    assert after["turns"][0]["place"] in (0, 1)
    shown = after["messages"][1]["html"]
    assert shown == first["answers"][after["turns"][0]["place"]]["html"]
    [judgment] = kept(service)
    assert len(judgment.ranking.tiers) == 1  # type: ignore[union-attr]
    ids = [answer["id"] for answer in first["answers"]]
    assert judgment.flags == (dict.fromkeys(ids, ("unusable",)) if flags else {})


def test_lots_fall_on_either_side(tmp_path: Path) -> None:
    service = new_service(tmp_path)
    places = {service.vote(service.say("Hi"), "tie")["turns"][0]["place"] for _ in range(16)}
    assert places == {0, 1}


def test_sides_are_shuffled(service: Service) -> None:
    assert {gave(service, service.say("Hi"), 0) for _ in range(16)} == set(NAMES)


def test_no_model_is_named_before_the_conversation_ended(service: Service) -> None:
    seen: list[str] = []
    state = service.say("Who are you?")
    seen += [json.dumps(state), service.client.get("/chat/talks").text]
    state = service.vote(state, "first")
    seen += [json.dumps(state), service.client.get("/chat/talks").text]
    state = service.say("Go on", to=state["conversation"], turn=2)
    seen += [json.dumps(service.vote(state, "tie")), service.client.get("/chat/talks").text]
    for name in ("falcon", "heron"):
        assert not any(name in text.lower() for text in seen)
    ended = service.post("end", conversation=state["conversation"])
    assert set(ended["turns"][0]["models"]) == set(NAMES)
    assert len(set(ended["turns"][1]["models"])) == 1


def test_an_ended_conversation_takes_nothing_more(service: Service) -> None:
    state = service.vote(service.say("Hi"), "first")
    service.post("end", conversation=state["conversation"])
    service.post("say", 409, conversation=state["conversation"], turn=2, text="More")
    service.vote(state, "second", expect=409)
    assert len(kept(service)) == 1


def test_a_turn_left_unrated_at_the_end_stays_unrated(service: Service) -> None:
    state = service.say("Hi")
    ended = service.post("end", conversation=state["conversation"])
    assert ended["turns"][0]["choice"] is None
    assert kept(service) == []
    service.vote(state, "first", expect=409)


def test_answers_appear_together_however_unlike_the_models_are_in_speed(tmp_path: Path) -> None:
    slow = Toy(NAMES[0])
    slow.gate.clear()
    service = new_service(tmp_path, toys=[slow, Toy(NAMES[1])])
    state = service.post("say", conversation=str(uuid.uuid4()), turn=1, text="Hi")
    for _ in range(5):
        waiting = service.state(state["conversation"])
        assert (waiting["phase"], waiting["answers"]) == ("waiting", [])
    slow.gate.set()
    assert len(service.settled(state["conversation"])["answers"]) == 2


def test_a_model_that_fails_is_told_in_one_line_without_its_name_and_nothing_is_lost(tmp_path: Path) -> None:
    broken = Toy(NAMES[0], fails=True)
    service = new_service(tmp_path, toys=[broken, Toy(NAMES[1])])
    state = service.say("My long question")
    assert state["phase"] == "failed"
    assert "falcon" not in json.dumps(state)
    assert "My long question" in state["messages"][0]["html"]
    broken.fails = False
    service.post("again", conversation=state["conversation"])
    assert service.settled(state["conversation"])["phase"] == "rating"


def test_a_server_that_went_away_while_waiting_is_noticed(tmp_path: Path) -> None:
    slow = Toy(NAMES[0])
    slow.gate.clear()
    service = new_service(tmp_path, toys=[slow, Toy(NAMES[1])])
    state = service.post("say", conversation=str(uuid.uuid4()), turn=1, text="Hi")
    assert state["phase"] == "waiting"
    engine = connect(service.url)
    with write_transaction(engine) as connection:
        connection.execute(update(ConversationRow).values(alive_at=0.0))
    engine.dispose()
    assert service.state(state["conversation"])["phase"] == "failed"
    service.post("again", conversation=state["conversation"])
    slow.gate.set()
    assert service.settled(state["conversation"])["phase"] == "rating"


def test_saying_and_voting_the_same_again_changes_nothing(service: Service) -> None:
    talk = str(uuid.uuid4())
    service.say("Hi", to=talk)
    state = service.say("Hi", to=talk)
    vote = {"judgment": str(uuid.uuid4())}
    first = service.vote(state, "first", **vote)
    assert service.vote(state, "first", **vote) == first
    service.vote(state, "second", expect=409)
    assert len(kept(service)) == 1
    assert sum(len(toy.heard) for toy in service.toys.values()) == 2


def test_a_vote_that_was_kept_before_the_server_fell_is_taken_up(service: Service) -> None:
    """The judgment is in, the conversation does not know yet; another choice now must not speak over it."""
    state = service.say("Hi")
    with Store.open(service.url) as store:
        turn = store.conversations.get(state["conversation"], service.rater_id).turn  # type: ignore[union-attr]
        said = {"id": "kept", "task_id": turn.task_id, "rater_id": service.rater_id}
        said["ranking"] = {"tiers": [[turn.shown[1]], [turn.shown[0]]]}
        store.submit(Judgment.model_validate(said), token=turn.token, now=2e9)
    after = service.vote(state, "first")
    assert after["turns"][0]["choice"] == "second"
    assert [judgment.id for judgment in kept(service)] == ["kept"]


def test_two_windows_cannot_both_go_on(service: Service) -> None:
    state = service.vote(service.say("Hi"), "first")
    service.say("One", to=state["conversation"], turn=2)
    service.post("say", 409, conversation=state["conversation"], turn=2, text="Another")


def test_a_reload_finds_the_conversation_where_it_was(service: Service) -> None:
    state = service.say("Hi")
    page = service.client.get("/chat/talks").text
    boot = json.loads(page.split('id="boot">')[1].split("</script>")[0])
    assert boot["talk"] == service.state(state["conversation"])


def test_nobody_reads_or_rates_the_conversation_of_another(service: Service) -> None:
    state = service.say("A secret")
    other = signed_in(service.url, service.client.app, service.toys, "Other")
    answer = other.client.get("/chat/talks/state", params={"conversation": state["conversation"]})
    assert answer.status_code == 404
    other.vote(state, "first", expect=404)
    other.post("end", 404, conversation=state["conversation"])
    other.post("say", 409, conversation=state["conversation"], turn=1, text="Hi")
    stranger = signed_in(service.url, service.client.app, service.toys, "Stranger", projects=("elsewhere",))
    stranger.post("say", 403, conversation=str(uuid.uuid4()), turn=1, text="Hi")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"text": ""}, 422),
        ({"text": "  \n"}, 422),
        ({"text": "x" * 20_001}, 422),
        ({"text": "a\u0000b"}, 422),
        ({"turn": 0}, 422),
        ({"turn": 2}, 409),
        ({"conversation": "../../etc/passwd"}, 422),
        ({"conversation": "' OR 1=1 --"}, 422),
        ({"purpose": "spying"}, 422),
        ({"rater_id": "somebody"}, 422),
    ],
)
def test_messages_that_cannot_be_are_refused_in_words(service: Service, changes: dict[str, Any], status: int) -> None:
    said = {"conversation": str(uuid.uuid4()), "turn": 1, "text": "Hi"} | changes
    error = service.post("say", status, **said)["error"]
    assert error["what"] and error["do"]
    assert all(not toy.heard for toy in service.toys.values())


def test_a_message_from_elsewhere_is_refused(service: Service) -> None:
    body = {"conversation": str(uuid.uuid4()), "turn": 1, "text": "Hi"}
    assert service.client.post("/chat/talks/say", json=body).status_code == 403
    assert all(not toy.heard for toy in service.toys.values())


@pytest.mark.parametrize(("choice", "strength", "status"), [("first", 5, 422), ("tie", 2, 422), ("third", None, 422)])
def test_votes_that_cannot_be_are_refused(service: Service, choice: str, strength: int | None, status: int) -> None:
    state = service.say("Hi")
    service.vote(state, choice, expect=status, strength=strength)
    assert kept(service) == []


def test_a_project_without_strengths_takes_none(tmp_path: Path) -> None:
    service = new_service(tmp_path, strengths=False, critique=False)
    state = service.vote(service.say("Hi"), "first", strength=2, critique="Shorter.")
    assert (state["phase"], state["no_longer_asked"]) == ("ready", ["strengths", "critique"])
    assert _said(service) == ((None,), None)


def test_what_was_asked_of_a_turn_is_kept_though_the_project_asks_it_no_more(tmp_path: Path) -> None:
    service = new_service(tmp_path)
    state = service.say("Hi")
    with Store.open(service.url) as store:
        settings = store.projects.get("talks").settings
        store.projects.save("talks", settings.model_copy(update={"strengths": False, "critique": False}), now=2)
    state = service.vote(state, "first", strength=2, critique="Shorter.")
    assert (state["phase"], state["no_longer_asked"]) == ("ready", ["strengths", "critique"])
    assert _said(service) == ((2,), "Shorter.")


def _said(service: Service) -> tuple[Any, str | None]:
    """Strengths and critique of the one vote that is kept."""
    with Store.open(service.url) as store:
        (said,) = store.judgments(Queue("talks"))
    assert said.ranking is not None
    return said.ranking.strengths, said.critique


def test_a_closed_project_begins_no_conversation(tmp_path: Path) -> None:
    service = new_service(tmp_path, is_open=False)
    service.post("say", 409, conversation=str(uuid.uuid4()), turn=1, text="Hi")


def test_without_models_the_page_says_so(tmp_path: Path) -> None:
    service = new_service(tmp_path, toys=[])
    assert "No models to talk with" in service.client.get("/chat/talks").text
    service.post("say", 422, conversation=str(uuid.uuid4()), turn=1, text="Hi")


def test_one_model_alone_gives_two_samples_but_no_battle(tmp_path: Path) -> None:
    service = new_service(tmp_path, toys=[Toy("only-one")])
    assert len(service.say("Hi")["answers"]) == 2
    service.post("say", 422, conversation=str(uuid.uuid4()), turn=1, text="Hi", purpose="evaluation")


def test_an_answer_may_hold_what_no_database_keeps(tmp_path: Path) -> None:
    service = new_service(tmp_path, toys=[Toy(name, says="a\x00b \ud800 <script>x</script>") for name in NAMES])
    state = service.say("Hi")
    assert state["phase"] == "rating"
    assert "<script" not in state["answers"][0]["html"]


def test_a_model_s_answer_ends_before_a_stop_text(tmp_path: Path) -> None:
    source = str(save_tiny(tmp_path / "model", "llama"))
    greedy = Sampling(temperature=0.0, max_new_tokens=24)  # the same answer whatever the seed of the conversation
    whole = LocalSpeaker("free", source, sampling=greedy).reply([Message(role="user", content="Hi")], 1)
    stop = whole[8:11]
    stopping = LocalSpeaker("stopping", source, sampling=greedy.model_copy(update={"stop": (stop,)}))
    service = new_service(tmp_path, toys=[stopping])
    state = service.say("Hi")
    with Store.open(service.url) as store:
        [task] = store.tasks(store.task_ids(Queue("talks", "reward"))).values()
    assert state["phase"] == "rating"
    assert [c.text for c in task.completions] == [whole[: whole.index(stop)]] * 2


def test_two_equal_answers_are_still_two(tmp_path: Path) -> None:
    service = new_service(tmp_path, toys=[Toy("same", says="")])
    service.toys["same"].reply = lambda messages, seed: "Yes."  # type: ignore[method-assign]
    state = service.say("Hi")
    assert len({answer["id"] for answer in state["answers"]}) == 2
    assert service.vote(state, "tie")["phase"] == "ready"


@pytest.mark.parametrize(
    ("text", "does"),
    [
        ("I am Falcon-7, at your service.", True),
        ("i am FALCON 7", True),
        ("my name is falcon_7!", True),
        ("A falcon flies at 7.", False),
        ("Peregrine falcons and 7 herons", False),
        ("policies/round-2: that is me, round 2", True),
        ("", False),
        ("The base of a triangle", False),
        ("Hello! I'm Base, a model.", True),
        ("My name is the base.", True),
        ("I am new here", False),
    ],
)
def test_an_answer_that_names_its_model_is_noticed(text: str, does: bool) -> None:
    assert names_a_model(text, ["falcon-7", "runs/x/round-2", "base", "new"]) is does


def test_a_vote_on_an_answer_that_names_its_model_is_void_and_the_rater_learns_it_after(tmp_path: Path) -> None:
    toys = [Toy(NAMES[0], says="I am Falcon 7."), Toy(NAMES[1])]
    service = new_service(tmp_path, toys=toys)
    state = service.say("Who are you?", purpose="evaluation")
    assert state["turns"][0]["void"] is False
    assert service.vote(state, "first")["turns"][0]["void"] is True
    with Store.open(service.url) as store:
        [comparison] = store.comparisons(Queue("talks", "evaluation"))
    leaks = {c.source: bool(c.meta.get("leak")) for c in comparison.completions}
    assert leaks == {NAMES[0]: True, NAMES[1]: False}


def test_erasing_a_rater_forgets_their_conversations(service: Service) -> None:
    state = service.vote(service.say("Something about me"), "first")
    with Store.open(service.url) as store:
        erased = store.erase_rater(service.rater_id, now=3e9)
        for rater in (service.rater_id, erased.tombstone):
            assert store.conversations.get(state["conversation"], rater) is None
