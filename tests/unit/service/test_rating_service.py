"""`assent rate`: what becomes a task, what is printed, what is refused; and a run that waits for people."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from assent.core.errors import AwaitingJudgments, DataError, UserError
from assent.core.types import Completion, Message, Prompt, Task
from assent.feedback.config import without_password
from assent.feedback.records.queue import Queue
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.store import Store
from assent.models.tiny import save_tiny
from assent.pipeline.config import RunConfig
from assent.pipeline.run import rate_command, run_project, write_settings
from assent.report.configuration import read_settings
from assent.service.answering import Draw, Drawing
from assent.service.intake import take_in
from assent.service.serve import (
    ServeOptions,
    ServerAddress,
    address,
    draw_of,
    listen,
    networks,
    open_files,
    prepare,
    served,
    store_of,
    warnings,
    where_to_rate,
)
from assent.service.speakers import speakers
from assent.service.waiting import Waiter

LINK = re.compile(r"(http://\S+)(/enter/\S+)")
LINES = [
    {"prompt": "Why?", "answers": ["So.", "Thus.", "Hence."], "gold": "2 > 1 = 3"},
    {"prompt": "2+2?", "answers": ["4", "5"]},
]


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store.open(f"sqlite:///{tmp_path}/feedback.db") as opened:
        yield opened


def _questions(folder: Path) -> Path:
    path = folder / "questions.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in LINES))
    return path


def _rater(base_url: str, token: str) -> tuple[httpx2.Client, str]:
    """A signed-in client with its CSRF value."""
    client = httpx2.Client(base_url=base_url, follow_redirects=True, timeout=30)
    deadline = time.monotonic() + 90
    while True:
        try:
            page = client.get(f"/enter/{token}")
            break
        except httpx2.ConnectError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    csrf = re.findall(r'<meta name="csrf" content="([^"]*)"', page.text)[0]
    assert client.post(f"/enter/{token}", data={"csrf": csrf}).status_code in (200, 404)  # 404: no admin page here
    return client, re.findall(r'<meta name="csrf" content="([^"]*)"', client.get("/me").text)[0]


def _rate_all(client: httpx2.Client, csrf: str, project: str, purpose: str = "reward") -> int:
    done = 0
    query = {"project": project, "purpose": purpose, "limit": 12}
    while items := client.get("/rating/next", params=query).json()["items"]:
        for item in items:
            said = {"id": str(uuid.uuid4()), "task_id": item["task_id"], "token": item["token"], "seconds": 1}
            said["ranking"] = {"tiers": [[answer["id"]] for answer in item["answers"]]}
            assert client.post("/rating/submit", json=said, headers={"x-csrf-token": csrf}).status_code == 200
            done += 1
    return done


def test_a_file_becomes_tasks_with_its_gold_once(tmp_path: Path, store: Store) -> None:
    path = _questions(tmp_path)
    first = take_in(store, str(path), project="p", now=1.0)
    assert str(first) == "2 tasks added to project p"
    assert str(take_in(store, str(path), project="p", now=2.0)) == "0 tasks added to project p, 2 were there already"
    assert sorted(len(t.completions) for t in store.tasks(store.task_ids(Queue("p"))).values()) == [2, 3]
    assert len(store.projects.gold("p")) == 1


def _written(path: Path, *rows: dict[str, Any]) -> str:
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return str(path)


def test_a_known_id_with_other_content_or_in_another_project_is_refused_with_its_line(
    tmp_path: Path, store: Store
) -> None:
    capital = {"id": "q-2", "prompt": "Capital of Peru?", "answers": ["Lima", "Cusco"]}
    first = _written(tmp_path / "tasks.jsonl", {"id": "q-1", **LINES[1]}, capital)
    take_in(store, first, project="p", now=1.0)
    fresh = {"id": "q-0", "prompt": "New?", "answers": ["a", "b"]}
    corrected = _written(tmp_path / "corrected.jsonl", fresh, {**capital, "answers": ["Lima", "Quito"]})
    with pytest.raises(DataError, match=r"corrected\.jsonl:2: task 'q-2' is in the store with other content"):
        take_in(store, corrected, project="p", now=2.0)
    with pytest.raises(DataError, match=r"tasks\.jsonl:1: task 'q-1' is in project 'p' already"):
        take_in(store, first, project="second", now=2.0)
    with pytest.raises(DataError, match=r"tasks\.jsonl:1: task 'q-1' is in project 'p' already"):
        take_in(store, first, project="p", purpose="evaluation", now=2.0)
    assert store.task_ids(Queue("p")) == ["q-1", "q-2"]
    assert [project.name for project in store.projects.all()] == ["p"]
    assert str(take_in(store, first, project="p", now=3.0)) == "0 tasks added to project p, 2 were there already"


def test_repeated_lines_of_a_file_are_counted_and_two_golds_of_one_task_refused(tmp_path: Path, store: Store) -> None:
    twice = _written(tmp_path / "twice.jsonl", LINES[1], LINES[1])
    assert str(take_in(store, twice, project="p", now=1.0)) == "1 tasks added to project p, 1 lines repeat earlier ones"
    golds = _written(tmp_path / "golds.jsonl", {**LINES[1], "gold": "1 > 2"}, {**LINES[1], "gold": "2 > 1"})
    with pytest.raises(DataError, match=r"golds\.jsonl:2: .* stands on line 1 with another 'gold'"):
        take_in(store, golds, project="q", now=1.0)


def test_a_broken_file_is_named_with_its_line_and_leaves_nothing(tmp_path: Path, store: Store) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text(json.dumps(LINES[0]) + '\n{"prompt": "x"}\n')
    with pytest.raises(DataError, match=r"broken\.jsonl:2: .*answers"):
        take_in(store, str(path), project=None, now=1.0)
    assert store.projects.all() == []
    with pytest.raises(DataError, match="check the path"):
        take_in(store, str(tmp_path / "nothing.jsonl"), project=None, now=1.0)
    with pytest.raises(UserError, match="is no artifact, round or run"):
        take_in(store, str(tmp_path / "runs" / "x"), project=None, now=1.0)


def test_some_tasks_are_for_several_raters_as_the_project_says(tmp_path: Path, store: Store) -> None:
    path = tmp_path / "many.jsonl"
    path.write_text("\n".join(json.dumps({"prompt": f"{n}?", "answers": ["a", "b"]}) for n in range(20)))
    take_in(store, str(path), project="p", now=1.0)
    slots = sorted(task.slots for task in store.open_tasks(Queue("p")))
    assert slots == [1] * 16 + [3] * 4


def test_the_first_start_prints_an_admin_link_and_the_next_does_not(tmp_path: Path, store: Store) -> None:
    first = "\n".join(prepare(store, ServeOptions(), "http://h:1"))
    assert len(LINK.findall(first)) == 1
    assert not LINK.findall("\n".join(prepare(store, ServeOptions(), "http://h:1")))
    again = "\n".join(prepare(store, ServeOptions(new_admin_link=True), "http://h:1"))
    assert len(LINK.findall(again)) == 1
    assert [p.name for p in store.projects.all()] == ["default"]


def test_where_to_rate_names_every_queue_that_waits(tmp_path: Path, store: Store) -> None:
    prompt = Prompt.of("?")
    answers = tuple(Completion(prompt_id=prompt.id, text=t) for t in "ab")
    for purpose in ("reward", "evaluation"):
        task = Task(id=purpose, prompt=prompt, completions=answers, project="a b", purpose=purpose)
        store.add_tasks([task], now=1.0)
    text = "\n".join(where_to_rate(store, "http://h:1"))
    assert "http://h:1/rate/a%20b  0 of 1 judgments are in" in text
    assert "http://h:1/rate/a%20b?purpose=evaluation  0 of 1" in text


@pytest.mark.parametrize(
    ("place", "warned"),
    [
        (ServerAddress(), False),
        (ServerAddress("localhost"), False),
        (ServerAddress("::1"), False),
        (ServerAddress("0.0.0.0"), True),
        (ServerAddress("0.0.0.0", base_url="http://rate.example.org"), True),
        (ServerAddress("0.0.0.0", base_url="https://rate.example.org"), True),
        (ServerAddress("127.0.0.1", base_url="https://rate.example.org"), False),
    ],
)
def test_hosts_without_encryption_are_warned_of(place: ServerAddress, warned: bool) -> None:
    assert bool(list(warnings(place))) is warned


def test_a_taken_port_is_said_in_one_line() -> None:
    with listen(ServerAddress(port=0)) as taken:
        port = taken.getsockname()[1]
        taken.listen()
        with pytest.raises(UserError, match=f"127.0.0.1:{port}.*choose another --port"):
            listen(ServerAddress(port=port))
        assert address(ServerAddress(), taken) == f"http://127.0.0.1:{port}"
        assert address(ServerAddress(base_url="https://x.org/"), taken) == "https://x.org"
        with pytest.raises(UserError, match="is no address"):
            address(ServerAddress(base_url="rate.example.org"), taken)


def test_the_store_is_the_one_named_then_the_yaml_s_then_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert store_of(Path("assent.yaml"), None) == f"sqlite:///{tmp_path}/feedback.db"
    assert store_of(Path("assent.yaml"), "other.db") == f"sqlite:///{tmp_path}/other.db"
    assert store_of(Path("assent.yaml"), "postgresql://x@y/z") == "postgresql://x@y/z"
    with pytest.raises(UserError, match=r"mine\.yaml is not there"):
        store_of(Path("mine.yaml"), None)


def test_options_that_belong_together_are_asked_for_together() -> None:
    with pytest.raises(UserError, match="belong together"):
        draw_of("model", None, project=None, answers=4)
    with pytest.raises(UserError, match="NAME=PATH"):
        speakers(["runs/x"])
    with pytest.raises(UserError, match="twice"):
        speakers(["a=x", "a=y"])


def test_a_local_model_answers_while_people_rate_and_a_restart_draws_nothing_again(
    tmp_path: Path, store: Store
) -> None:
    save_tiny(tmp_path / "model", "llama")
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("\n".join(json.dumps({"prompt": f"question {n}"}) for n in range(3)))
    draw = Draw(str(tmp_path / "model"), prompts, "drawn", answers=3)
    said: list[str] = []
    url = f"sqlite:///{tmp_path}/feedback.db"
    for _ in range(2):
        with Drawing(url, draw, say=said.append) as drawing:
            drawing._thread.join()
    assert said[0].startswith("3 tasks sampled") and said[1].startswith("0 tasks sampled")
    tasks = store.tasks(store.task_ids(Queue("drawn"))).values()
    assert {len(t.completions) for t in tasks} <= {2, 3}
    assert {c.source for t in tasks for c in t.completions} == {draw.model}


def test_a_speaker_loads_when_first_asked_and_says_the_same_for_the_same_seed(tmp_path: Path) -> None:
    missing = speakers(["new=" + str(tmp_path / "runs" / "nowhere")])["new"]
    with pytest.raises(UserError):
        missing.reply([Message(role="user", content="hello")], 1)
    speaker = speakers([f"new={save_tiny(tmp_path / 'model', 'llama')}"])["new"]
    turns = [Message(role="user", content="hello")]
    assert speaker.name == "new"
    assert speaker.reply(turns, 1) == speaker.reply(turns, 1) != speaker.reply(turns, 2)


def test_a_wait_ends_when_those_at_work_have_judged_what_they_can(tmp_path: Path, store: Store) -> None:
    take_in(store, str(_questions(tmp_path)), project="p", now=1.0)
    # Known answers and repeats come by chance, in places of their own that nothing waits for.
    store.projects.save("p", ProjectSettings(gold_share=0, repeat_share=0), now=1.0)
    queue = Queue("p")
    counts = store.counts(queue)
    assert counts.need > 2, "one of the two tasks is wanted from three people"
    said: list[str] = []
    with Waiter(f"sqlite:///{tmp_path}/feedback.db", ServerAddress(port=0), said.append) as waiter:
        waiting = AwaitingJudgments(0, counts.need, where="/rate/p", queue=("p", "reward"))
        thread = threading.Thread(target=waiter.wait, args=(waiting,))
        thread.start()
        while not (links := LINK.findall("\n".join(said))):
            time.sleep(0.05)
        base_url, link = links[0]
        admin, csrf = _rater(base_url, link.removeprefix("/enter/"))
        assert thread.is_alive()
        assert _rate_all(admin, csrf, "p") == 2
        thread.join(timeout=60)  # nobody else has begun, so there is nobody to wait for
        assert not thread.is_alive()
    assert said[-1].startswith("2 judgments are in; the run goes on")
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{base_url}/sign-in", timeout=5)


@pytest.mark.slow
def test_a_run_without_wait_names_the_command_to_rate_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    toy = {"kind": "scratch", "vocab_size": 400, "shape": {"hidden": 16, "layers": 1, "heads": 1, "context": 160}}
    small = {"prompts": 24, "answers": 2, "sampling": {"max_new_tokens": 4, "top_p": 0.5}}
    data = {"kind": "lab", "corpus": 20, "demonstrations": 20, "prompts": 40}
    lab = {"base": toy, "data": data, "sft": None, "sample": small, "collect": {"raters": {"kind": "people"}}}
    brief = {"sampling": {"max_new_tokens": 4}}
    lab |= {"optimize": {"kind": "ppo", **brief}, "evaluate": brief}
    Path("lab.yaml").write_text(yaml.safe_dump({"name": "toy", **lab}))
    with pytest.raises(
        AwaitingJudgments, match=r"^0 of \d+ .*`assent rate lab.yaml`, rate at /rate/samples-"
    ) as waiting:
        list(run_project(Path("lab.yaml"), quiet=True))
    assert waiting.value.exit_code == 3
    store_url = "sqlite:///other.db"
    with pytest.raises(AwaitingJudgments, match="assent rate --store sqlite:////"):
        list(run_project(Path("lab.yaml"), settings=(f"store.url={store_url}",), quiet=True))

    waits: list[AwaitingJudgments] = []

    def rate(waiting: AwaitingJudgments) -> None:
        """People rate the samples of this very run, taken from its folder, in a server of this process."""
        waits.append(waiting)
        project, purpose = waiting.queue
        with (
            Store.open("sqlite:///feedback.db") as store,
            served("sqlite:///feedback.db", ServerAddress(port=0)) as base_url,
        ):
            crew = []
            queue = Queue(project, "evaluation" if purpose == "evaluation" else "reward")
            for n in range(3):
                account = store.accounts.create(f"r{len(waits)}-{n}", "rater", now=time.time())
                crew.append(_rater(base_url, store.accounts.new_link(account.rater_id, now=time.time())))
            while sum(_rate_all(*one, project, purpose) for one in crew):
                pass  # what newcomers judge is wanted from the others too
            assert store.counts(queue).have == store.counts(queue).need
            if purpose == "reward":
                assert str(take_in(store, "runs/toy/round-1", project=None, now=1.0)).startswith("0 tasks added")
                copied = take_in(store, "runs/toy", project="copy", now=1.0)
                assert copied.new == copied.tasks

    tiny = (
        "optimize.kind=ppo",
        "optimize.steps=1",
        "optimize.critic_warmup=0",
        "optimize.prompts_per_step=2",
        "optimize.sampling.max_new_tokens=4",
        "evaluate.sampling.max_new_tokens=4",
        "evaluate.prompts=2",
    )
    lines = list(run_project(Path("lab.yaml"), settings=tiny, quiet=True, wait=rate))
    assert [one.queue[1] for one in waits] == ["reward", "evaluation"]
    assert any("preferred to its start" in line for line in lines)


@pytest.mark.slow
def test_the_command_serves_by_several_processes_and_ends_cleanly(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "assent.cli", "rate", "--new", "--port", "0", "--from", str(_questions(tmp_path))]
    for workers in ("1", "2"):
        arguments = [*command, "--workers", workers, *(["--new-admin-link"] if workers == "2" else [])]
        server = subprocess.Popen(arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            said: list[str] = []
            assert server.stdout is not None
            while not (links := LINK.findall("".join(said))):
                said.append(server.stdout.readline())
                assert said[-1], server.stderr.read() if server.stderr else ""
            client, csrf = _rater(links[0][0], links[0][1].removeprefix("/enter/"))
            assert _rate_all(client, csrf, "default") == (2 if workers == "1" else 0)
        finally:
            server.send_signal(signal.SIGINT)
            rest, problems = server.communicate(timeout=60)
        assert server.returncode == 0, problems
        assert rest.rstrip().endswith("stopped")
        assert "Traceback" not in problems


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_several_processes_carry_one_conversation_with_two_models(tmp_path: Path) -> None:
    source = save_tiny(tmp_path / "model", "llama")
    command = [sys.executable, "-m", "assent.cli", "rate", "--new", "--port", "0", "--workers", "2"]
    command += ["--model", f"one={source}", "--model", f"two={source}"]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
    try:
        while not (links := LINK.findall((tmp_path / "log").read_text())):
            assert server.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.1)
        base_url, link = links[0]
        client, csrf = _rater(base_url, link.removeprefix("/enter/"))
        talk = {"conversation": str(uuid.uuid4())}

        def ask(path: str, **body: Any) -> Any:
            # A connection of its own each time: the processes take turns.
            headers = {"x-csrf-token": csrf, "connection": "close"}
            method = "POST" if body else "GET"
            answer = client.request(
                method, f"/chat/default/{path}", json=talk | body if body else None, params=talk, headers=headers
            )
            assert answer.status_code == 200, answer.text
            return answer.json()

        for turn in (1, 2):
            assert ask("say", turn=turn, text=f"hello {turn}")["phase"] in ("waiting", "rating")
            while (state := ask("state"))["phase"] == "waiting":
                time.sleep(0.2)
            assert state["phase"] == "rating", (state, (tmp_path / "log").read_text())
            assert len(state["answers"]) == 2
            assert ask("vote", turn=turn, judgment=str(uuid.uuid4()), choice="first")["phase"] == "ready"
        assert [set(one["models"]) <= {"one", "two"} for one in ask("end", **talk)["turns"]] == [True, True]
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=120)
    assert server.returncode == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_no_line_says_the_password_of_a_database() -> None:
    shown = {
        "postgresql://assent:S3cretPG@127.0.0.1:8590/r": "postgresql://assent:***@127.0.0.1:8590/r",
        "postgresql://a:p%40s@h/r?sslmode=require": "postgresql://a:***@h/r?sslmode=require",
        "postgresql://a:p@s:s@h/r": "postgresql://a:***@h/r",
        "postgresql://h/r?user=a&password=S3cret": "postgresql://h/r?user=a&password=***",
        "postgresql://a@h/r": "postgresql://a@h/r",
        "sqlite:///x@y:z/feedback.db": "sqlite:///x@y:z/feedback.db",
    }
    assert {url: without_password(url) for url in shown} == shown


RATED = {"raters": {"kind": "people"}}


def test_neither_run_yaml_nor_the_command_to_rate_with_holds_a_password(tmp_path: Path) -> None:
    store = {"url": "postgresql://assent:S3cretPG@127.0.0.1:8590/ratings"}
    config = RunConfig.parse(
        {"name": "x", "data": {"kind": "lab"}, "base": {"kind": "scratch"}, "store": store, "collect": RATED}
    )
    write_settings(tmp_path, config)
    written = (tmp_path / "run.yaml").read_text()
    assert "assent:***@127.0.0.1:8590/ratings" in written and "S3cret" not in written
    assert "S3cret" not in rate_command(tmp_path / "assent.yaml", config, is_as_written=False)
    settings = read_settings(tmp_path / "run.yaml")  # what the report shows
    assert settings.problem == "" and "S3cret" not in str(settings.settings)


def test_a_store_that_others_may_read_is_warned_of(tmp_path: Path, store: Store) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    Store.open(url).close()
    assert list(open_files(url)) == []
    (tmp_path / "new.db").chmod(0o644)
    [warning] = open_files(url)
    assert f"chmod 600 {tmp_path}/new.db" in warning
    assert list(open_files("postgresql://h/x")) == []


def test_proxies_are_named_by_address_or_network() -> None:
    assert networks(["10.0.0.7", "10.1.0.0/16", "2001:db8::/32"]) == ("10.0.0.7", "10.1.0.0/16", "2001:db8::/32")
    for wrong in ("proxy.example.org", "10.0.0.7/8", "", "*"):
        with pytest.raises(UserError, match="write 10.0.0.7 or 10.0.0.0/24"):
            networks([wrong])
    named = ServerAddress("0.0.0.0", base_url="https://r.example", trusted_proxies=("10.0.0.7",))
    assert len(list(warnings(named))) == 1
    assert len(list(warnings(ServerAddress("0.0.0.0", base_url="https://r.example")))) == 2
