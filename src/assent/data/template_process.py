"""Running chat templates in a process of their own: they are programs of strangers, and may run on or fill the memory.

    render_templates(template, [Rendering([{"role": "user", "content": "Hi"}])], variables={"bos_token": "<s>"}, …)

Jinja's sandbox stops them from reaching out; the limits of `data/template_worker.py` stop the rest, by the system and
not by looking for what may be hostile. One process serves all threads of this one, and is started again after its end.
The way there and back takes four times as long as a usual rendering, so what belongs together is asked together.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from assent.core.errors import ModelError

SECONDS = 10
"""Of a processor's time for one rendering; a conversation of a thousand turns takes a few hundredths."""
PATIENCE = 120.0
"""Seconds by the clock for a rendering: a busy machine is slower than its processor's time says."""
_LOOKS = 4


class Rendering(NamedTuple):
    """What a template is to make one text of."""

    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] | None = None
    to_answer: bool = False
    """Whether the text ends in what comes before an answer, the generation prompt."""


class TemplateFailed(Exception):
    """A template that ended with an error of its own; the text is what it said, `at` which rendering it was."""

    def __init__(self, said: str, at: int) -> None:
        super().__init__(said)
        self.at = at


def render_templates(
    template: str, asked: Sequence[Rendering], *, variables: Mapping[str, Any], origin: str
) -> list[str]:
    """The texts that a Jinja chat template makes, one for each rendering; `origin` is what to call it.

    Raises TemplateFailed, and ModelError where one takes more time or memory than it may: of several, for the first.
    """
    line = {"template": template, "variables": variables, "asked": [one._asdict() for one in asked]}
    answers = _PROCESS.ask(json.dumps(line, default=str).encode() + b"\n", patience=PATIENCE * len(asked))
    for at, answer in enumerate(answers):
        if "failed" in answer:
            raise TemplateFailed(answer["failed"], at)
        if "over" in answer:
            raise ModelError(f"{origin} {answer['over']}; give another with `template`")
    return [answer["text"] for answer in answers]


class _Process:
    """The process, and whose turn it is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def ask(self, line: bytes, *, patience: float) -> list[dict[str, str]]:
        """The answers to a line, as far as the first that is no text; a process that ended instead says over what."""
        with self._lock:
            process = self._running()
            try:
                assert process.stdin is not None
                process.stdin.write(line)
                process.stdin.flush()
                said = _line(process, patience)
            except BrokenPipeError:
                said = b""
            except BaseException:
                self._end()  # an answer that nobody waits for would be the next one's
                raise
            if said:
                return list(json.loads(said))
            return [{"over": self._end(patience)}]

    def close(self) -> None:
        """End the process of this process; a fork leaves its parent's alone."""
        if self._process is not None and self._owner == os.getpid():
            self._end()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._owner != os.getpid() or self._process.poll() is not None:
            paths = os.pathsep.join(os.path.abspath(path) for path in sys.path)  # noqa: PTH100 - "" is where we stand
            quiet = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TRANSFORMERS_VERBOSITY": "error"}
            self._process = subprocess.Popen(
                [sys.executable, "-m", "assent.data.template_worker", str(SECONDS)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={"PYTHONPATH": paths, **quiet},
            )
            self._owner = os.getpid()
        return self._process

    def _end(self, patience: float = PATIENCE) -> str:
        """End it if it has not; what it died of."""
        process, self._process = self._process, None
        assert process is not None and process.stdin is not None and process.stdout is not None
        is_late = process.poll() is None and not _has_ended(process)
        process.kill()
        status = process.wait()
        for pipe in (process.stdin, process.stdout):
            try:
                pipe.close()
            except BrokenPipeError:  # what it did not read any more
                continue
        if is_late:
            return f"gave no text in {patience:.0f} seconds"
        if status == -signal.SIGXCPU:
            return f"ran for {SECONDS} seconds and did not end"
        return f"ended the process that it ran in (status {status})"


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether a process whose output has ended is gone a moment later."""
    try:
        process.wait(timeout=1)
    except subprocess.TimeoutExpired:
        return False
    return True


def _line(process: subprocess.Popen[bytes], patience: float) -> bytes:
    """The next line of its output; empty where it ended or nothing came in time.

    The time is that of several looks: of somebody who stops both processes and goes on later only one look is over.
    """
    assert process.stdout is not None
    descriptor, parts, looks = process.stdout.fileno(), [], _LOOKS
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN | select.POLLHUP)
    while looks:
        if not waiting.poll(1000 * patience / _LOOKS):
            looks -= 1
            continue
        part = os.read(descriptor, 1 << 20)
        parts.append(part)
        if part.endswith(b"\n"):
            return b"".join(parts)
        if not part:
            break
    return b""


_PROCESS = _Process()
atexit.register(_PROCESS.close)
