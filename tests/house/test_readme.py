"""Every line of the README's shell blocks can be pasted: they are executed in order, in a fresh folder.

So is every command that the README of a new project names, in the folder that `assent init` makes.

Costly or endless lines are replaced by something small that fails for the same reasons, and it is said here how. A
line that is neither executed nor listed fails the test.
"""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import typer
import uvicorn

from assent.cli import app
from assent.models.config import ModelConfig
from assent.service import serve
from run_of_tiny_models import make_run

ROOT = Path(__file__).parents[2]
README, STARTER = ROOT / "README.md", ROOT / "src/assent/pipeline/starter/README.md"
LISTED = {
    "pip install .": "tests/e2e/test_wheel.py builds the same wheel, unpacks it and runs its commands",
    "make demo": "the demo itself is trained by tests/e2e/test_nothing_lost.py",
    "make real": "tests/unit/pipeline/test_real_inputs.py reads its configurations and prepares its inputs in small",
    "make test": "runs this test",
}
"""Lines that are not executed, and what stands in for them."""
TINY = (
    "base.pretrain.epochs=0.1",
    "sft.epochs=0.1",
    "reward.epochs=0.2",
    "optimize.steps=1",
    "optimize.critic_warmup=0",
    "optimize.prompts_per_step=4",
    "optimize.samples_per_prompt=2",
    "optimize.sampling.max_new_tokens=4",
    "evaluate.sampling.max_new_tokens=4",
    "log.tensorboard=false",
)
"""What makes the starter's run small. The stages and the data are those of the starter."""
BELOW_THE_BAR = 1
"""Exit code of a judge or a gate that says no, as the README says of both."""


def lines() -> list[str]:
    """The commands of the indented blocks, without comments."""
    text = re.sub(r"^```.*?^```", "", README.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [line.partition("  #")[0].strip() for line in re.findall(r"^    (\S.*)$", text, re.MULTILINE)]


def call(arguments: list[str]) -> int:
    """`assent` in this process; its exit code."""
    try:
        return int(app(arguments, prog_name="assent", standalone_mode=False) or 0)
    except (SystemExit, typer.Exit) as end:
        return int(getattr(end, "exit_code", getattr(end, "code", 0)) or 0)


def demo(arguments: list[str]) -> int:
    """The plan of the demo, and random models in place of those that it would train for minutes."""
    code = call([*arguments, "--plan"])
    make_run(Path("runs/demo"), model=ModelConfig())
    return code


def run(arguments: list[str]) -> int:
    return call([*arguments, *(part for one in TINY for part in ("--set", one))])


def chat(arguments: list[str]) -> int:
    return call([*arguments, "--max-new-tokens", "4"])


REPLACED: dict[str, Callable[[list[str]], int]] = {"demo": demo, "run": run, "chat": chat}
"""By command; every other command is called as it is written."""


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty folder, one thread, one message for `chat`, and servers that stop once they would listen."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(serve, "run", lambda *_: None)
    monkeypatch.setattr(uvicorn.Server, "run", lambda *_, **__: None)
    monkeypatch.setattr("sys.stdin", io.StringIO("When do you open?\n"))
    yield
    torch.set_num_threads(threads)


def test_every_line_of_the_readme_runs(
    at_home: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for line in lines():
        if line in LISTED:
            continue
        for command in line.split(" && "):
            program, *arguments = shlex.split(command)
            if program == "cd":
                monkeypatch.chdir(arguments[0])
                continue
            assert program == "assent", f"not executed: {line}; make it a command, or list it with a reason"
            monkeypatch.setattr("sys.stdin", io.StringIO("When do you open?\n"))
            code = REPLACED.get(arguments[0], call)(arguments)
            assert code in ((0, BELOW_THE_BAR) if arguments[0] in ("judge", "gate") else (0,)), line
    said = capsys.readouterr().out
    assert "6 judgments added" in said and "4 tasks added" in said, "the example files hold what the README says"
    assert "exported the policy" in said
    assert Path("runs/first/report.html").is_file() and Path("my-model/config.json").is_file()


def made(arguments: list[str]) -> int:
    """The plan of the starter's run, and random models in its place: the test above runs it."""
    code = call([*arguments, "--plan"])
    make_run(Path("runs/first"), rounds=1, model=ModelConfig())
    return code


def test_every_command_of_a_new_projects_readme_runs(at_home: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(["init", "project"]) == 0
    monkeypatch.chdir("project")
    text = Path("README.md").read_text(encoding="utf-8")
    commands = [
        block or within for block, within in re.findall(r"^    (assent .*)$|`(assent [^`]*)`", text, re.MULTILINE)
    ]
    assert text == STARTER.read_text(encoding="utf-8") and {"rate", "evaluate"} < {c.split()[1] for c in commands}
    quickly: dict[str, Callable[[list[str]], int]] = {
        "run": lambda arguments: call(arguments) if "--plan" in arguments else made(arguments),
        "chat": chat,
        "redteam": lambda arguments: call([*arguments, "--budget", "20", "--max-new-tokens", "4"]),
    }
    for command in commands:
        _, *arguments = shlex.split(command.partition("  #")[0])
        monkeypatch.setattr("sys.stdin", io.StringIO("When do you open?\n"))
        code = quickly.get(arguments[0], call)(arguments)
        assert code in ((0, BELOW_THE_BAR) if arguments[0] == "judge" else (0,)), command


def test_lines_that_are_listed_stand_in_the_readme() -> None:
    assert set(LISTED) <= set(lines())
