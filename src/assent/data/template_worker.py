"""The process that chat templates run in: some renderings of one template a line, each within limits.

    {"template": "{% for m in messages %}…", "variables": {…},
     "asked": [{"messages": […], "tools": null, "to_answer": true}, …]}                                  in
    [{"text": "…"}, …], the last one perhaps {"failed": "what the template said"} or {"over": "which limit"}    out

`data/template_process.py` starts it, with the seconds of each rendering. It gets no environment and can write no file.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MEGABYTES = 512
"""Of memory beside what the process has when it begins."""
CHARACTERS = 20_000_000
"""Of a rendered text."""


def main() -> None:
    """Answer until the input ends."""
    from transformers.utils.chat_template_utils import render_jinja_template

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever asks; then the input ends
    _limit()
    for line in sys.stdin.buffer:
        _allow(int(sys.argv[1]))
        answers = list(_answers(json.loads(line), render_jinja_template))
        sys.stdout.buffer.write(json.dumps(answers).encode() + b"\n")
        sys.stdout.buffer.flush()


def _answers(line: dict[str, Any], render: Any) -> Iterator[dict[str, str]]:
    for asked in line["asked"]:
        answer = _answer(line, asked, render)
        yield answer
        if "text" not in answer:
            return
        _allow(int(sys.argv[1]))  # for what comes next


def _answer(line: dict[str, Any], asked: dict[str, Any], render: Any) -> dict[str, str]:
    try:
        [text], _ = render(
            conversations=[asked["messages"]],
            tools=asked["tools"],
            chat_template=line["template"],
            add_generation_prompt=asked["to_answer"],
            **line["variables"],
        )
    except MemoryError:
        return {"over": f"took more than {MEGABYTES} MB of memory"}
    except RecursionError:
        return {"over": "calls itself without end"}
    except Exception as error:  # a template is somebody's program: it may raise anything
        return {"failed": " ".join(str(error).split())[:500] or type(error).__name__}
    if len(text) > CHARACTERS:
        return {"over": f"wrote more than {CHARACTERS:,} characters"}
    return {"text": text}


def _limit() -> None:
    """Bound what this process may take. Where a system knows no limit of memory, as macOS, only time bounds it."""
    for what, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)):
        resource.setrlimit(what, (most, most))
    with contextlib.suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * os.sysconf("SC_PAGE_SIZE") + MEGABYTES * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _allow(seconds: int) -> None:
    """So much of a processor's time from now on; after that the system ends this process."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time()) + seconds, hard))


if __name__ == "__main__":
    main()
