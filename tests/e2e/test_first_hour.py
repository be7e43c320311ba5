"""The first hour of somebody who has only the wheel: every step as they would type it, each in a process of its own.

Wheel, init, doctor, run, change, stop and resume, move, two people with two browsers, chat, export, and the model
loaded by plain transformers in a process that has no Assent.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from assent.artifacts.round import read_round
from assent.artifacts.store import Artifact

ROOT = Path(__file__).parents[2]
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
SMALL: dict[str, Any] = {
    "base": {"pretrain": {"epochs": 1}},
    "sft": {"epochs": 1},
    "reward": {"epochs": 1},
    "optimize": {"steps": 2, "critic_warmup": 0, "sampling": {"max_new_tokens": 12}},
    "evaluate": {"sampling": {"max_new_tokens": 12}},
    "sample": {"prompts": 3, "answers": 3, "sampling": {"max_new_tokens": 12}},
    "compute": {"threads": 1},
    "log": {"tensorboard": False},
}
"""What makes the starter quick; its stages, data and files are those that everybody gets."""
LOADS = """
import sys
from transformers import AutoModelForCausalLM, AutoTokenizer

model, tokenizer = (kind.from_pretrained("my-model") for kind in (AutoModelForCausalLM, AutoTokenizer))
asked = tokenizer.apply_chat_template([{"role": "user", "content": "Hello"}], add_generation_prompt=True,
                                      return_tensors="pt", return_dict=True)
print(model.generate(**asked, max_new_tokens=4, do_sample=False).shape[0])
assert not any(name.split(".")[0] == "assent" for name in sys.modules)
"""


class User:
    """Somebody at a terminal, whose Assent is what the wheel holds."""

    def __init__(self, installed: Path, cache: Path) -> None:
        self.env = os.environ | {"PYTHONPATH": str(installed), "ASSENT_CACHE": str(cache), "COLUMNS": "200"}
        self.here = Path()

    def command(self, line: str) -> list[str]:
        """What starts a command."""
        return [sys.executable, "-m", "assent.cli", *line.split()]

    def types(self, line: str, *, code: int = 0, says: str = "") -> str:
        """Type a command, see its exit code, and give all that it printed."""
        done = subprocess.run(
            self.command(line), cwd=self.here, env=self.env, input=says, capture_output=True, text=True, timeout=300
        )
        said = done.stdout + done.stderr
        assert done.returncode == code and "Traceback" not in said, f"assent {line}\n{said}"
        return said


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> User:
    """In the folder that `assent init` made."""
    folder = tmp_path_factory.mktemp("first-hour")
    how = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *how, "--wheel-dir", str(folder), str(ROOT)], check=True, timeout=120
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as held:
        held.extractall(folder / "installed")
    one = User(folder / "installed", folder / "cache")
    one.here = folder
    one.types("init my-project")
    one.here /= "my-project"
    settings = yaml.safe_load((one.here / "assent.yaml").read_text())
    for part, changed in SMALL.items():
        settings[part] = _laid(settings.get(part) or {}, changed)
    (one.here / "assent.yaml").write_text(yaml.safe_dump(settings))
    return one


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_first_hour(user: User) -> None:
    assert "error" not in user.types("doctor")
    assert "own reward model, which is no independent judge" in user.types("run --quiet")
    first = _policy(user, "first")

    # A change says what it makes anew and why; under another name it takes nothing away and shares the rest.
    said = user.types("run --plan --set optimize.beta=1", code=2)
    assert "optimize.beta" in said
    said = user.types("run --plan --set optimize.kl.coefficient=0.2")
    assert "optimize.kl.coefficient: 0.05 → 0.2" in said
    user.types("run --quiet --name colder --set optimize.kl.coefficient=0.2")
    assert (_policy(user, "first"), _policy(user, "colder") != first) == (first, True)
    compared = user.types("runs first colder")
    assert "optimize.kl.coefficient" in compared and "sft" not in user.types("runs").split("colder")[0].split()

    _stops_and_resumes(user)

    # Under its own name the run's earlier version stays, and everything moves with its folder.
    user.types("run --quiet --set optimize.kl.coefficient=0.3")
    assert _policy(user, "first@1") == first != _policy(user, "first")
    moved = user.here.rename(user.here.with_name("elsewhere"))
    user.here = moved
    assert "would run" not in user.types("run --plan --set optimize.kl.coefficient=0.3")

    user.types("chat runs/first/round-1 --set sampling.max_new_tokens=4", says="Hello\n/quit\n")
    user.types("export runs/first/round-1 --to my-model")
    plain = {name: value for name, value in user.env.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", LOADS], cwd=user.here, env=plain, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout.split()[-1:]) == (0, ["1"]), done.stderr


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.timeout(600)
def test_two_people_with_two_browsers(user: User) -> None:
    """Two people judge each task; the run waits for both."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"Chromium is not installed at {CHROMIUM} (apt-get install chromium)")
    asks = (
        "run --quiet --name people --set evaluate=null --set collect.raters={kind:people,number:2}"
        " --set collect.overlap_share=1 --set collect.overlap=2"
    )
    asks = asks.replace("{kind:people,number:2}", '{"kind":"people","number":2}')
    assert "assent rate" in user.types(asks, code=3)
    # In a thread of its own: the browser of other tests in this process has the event loop of the main one.
    with _served(user) as link, ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(_two_rate, user, asks, link, playwright).result()
    user.types(asks)
    assert _made(user, "people", "judgments").notes["judgments"] == 24 + 6  # those of the data, and theirs
    user.types("feedback export --project people --to people.jsonl")
    rows = [json.loads(line) for line in (user.here / "people.jsonl").read_text().splitlines()]
    assert [len(row["record"]["judgments"]) for row in rows] == [2, 2, 2]


def _two_rate(user: User, asks: str, link: str, playwright: Any) -> None:
    """The admin signs in, invites Ben, and both rank everything; the run goes on with both and not with one."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        admin, rater = (browser.new_context(viewport={"width": 1280, "height": 800}).new_page() for _ in range(2))
        admin.goto(link)
        admin.locator("form button.primary").click()
        admin.goto(_at(link, "/admin/people"))
        admin.locator("form[action$='/invite'] button.primary").click()
        invitation = re.search(r"http://[^\s\"<]+/join/[\w-]+", admin.content())
        assert invitation is not None
        rater.goto(invitation[0])
        rater.fill("#login", "ben")
        rater.locator("form button.primary").click()
        assert _ranks_all(admin, link) == 3
        assert "waits for" in user.types(asks, code=3)
        assert _ranks_all(rater, link) == 3
        browser.close()


def _stops_and_resumes(user: User) -> None:
    """Killed amid PPO, the same command goes on, and ends with what it would have been."""
    longer = "run --quiet --name longer --set optimize.steps=8"
    process = subprocess.Popen(
        user.command(longer), cwd=user.here, env=user.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + 200
    while process.poll() is None and time.monotonic() < end:
        if any((user.here / "runs/longer/logs").glob("policy-*/metrics.jsonl")):
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.05)
    process.wait()
    user.types(longer)
    assert json.loads((user.here / "runs/longer/result.json").read_text())["rounds"]


def _laid(below: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    return below | {k: _laid(below.get(k) or {}, v) if isinstance(v, dict) else v for k, v in over.items()}


def _policy(user: User, run: str) -> str:
    return _made(user, run, "policy").key


def _made(user: User, run: str, kind: str) -> Artifact:
    """What a run's first round made of a kind."""
    made = read_round(user.here / "runs" / run / "round-1")
    (name,) = [one.artifact for one in made if one.kind == kind]
    return Artifact.at(user.here / "runs" / "artifacts" / name)


@contextlib.contextmanager
def _served(user: User) -> Iterator[str]:
    """The rating pages, with the admin's one-time link as the terminal shows it."""
    process = subprocess.Popen(
        user.command("rate --port 0"), cwd=user.here, env=user.env | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        link = next(found[0] for line in process.stdout if (found := re.search(r"http://\S+/enter/\S+", line)))
        _until_it_answers(_at(link, "/sign-in"))
        yield link
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def _until_it_answers(address: str) -> None:
    """The link is printed a moment before the service listens."""
    for _ in range(300):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(address, timeout=10).close()
            return
        time.sleep(0.1)


def _at(link: str, path: str) -> str:
    return link.split("/enter/")[0] + path


def _ranks_all(page: Any, link: str) -> int:
    """Rank what is offered from the start page until nothing is left: by the letters that the cards bear."""
    page.goto(_at(link, "/"))
    page.locator("a[href*='/rate/']").first.click()
    done = 0
    while True:
        page.wait_for_selector(".answer, #empty:not([hidden])")
        page.wait_for_timeout(300)
        cards = page.locator(".answer").count()
        if not cards:
            return done
        for letter in "ABCDEFGHI"[:cards]:
            page.keyboard.press(letter.lower())
        with page.expect_response("**/rating/submit") as answer:
            page.keyboard.press("Control+Enter")
        assert answer.value.ok
        done += 1
