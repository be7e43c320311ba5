"""From nothing to the first submitted ranking: `python benchmarks/first_ranking.py` prints how long a person waits.

Makes a tiny local model and a file of prompts in a temporary folder, starts `assent rate --sample` there as a user
would, signs in by the printed link over HTTP, ranks the first task that comes and submits it. The clock starts with
the command: what came before is installation.
"""

from __future__ import annotations

import json
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from queue import Queue
from typing import Any

import httpx2
import typer

QUESTIONS = (
    "How do I change my password?",
    "The parcel has not arrived yet. What can I do?",
    "Explain in one sentence why the sky is blue.",
)
LINK = re.compile(r"(http://\S+)/enter/(\S+)")
CSRF = re.compile(r'<meta name="csrf" content="([^"]*)"')


def main(limit: float = 60.0) -> None:
    """Measure once; ends with exit code 1 where it takes longer than `limit` seconds."""
    from assent.models.tiny import save_tiny

    with tempfile.TemporaryDirectory(prefix="first-ranking-") as name:
        folder = Path(name)
        save_tiny(folder / "model", "llama")
        rows = (json.dumps({"prompt": question}) for question in QUESTIONS)
        (folder / "prompts.jsonl").write_text("\n".join(rows), encoding="utf-8")
        start = time.perf_counter()
        command = [
            sys.executable,
            "-m",
            "assent.cli",
            "rate",
            "--new",
            "--sample",
            "model",
            "--prompts",
            "prompts.jsonl",
        ]
        server = subprocess.Popen([*command, "--port", "0"], cwd=folder, stdout=subprocess.PIPE, text=True)
        try:
            base_url, token = printed_link(server)
            ready = time.perf_counter() - start
            status = rank_first(base_url, token)
            seconds = time.perf_counter() - start
        finally:
            server.send_signal(signal.SIGINT)
            code = server.wait(timeout=60)
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"link printed after {ready:.1f} s, first ranking {status} after {seconds:.1f} s, server ended with {code};")
    print(f"the server used {spent.ru_utime + spent.ru_stime:.1f} s of CPU time and {spent.ru_maxrss / 2**20:.2f} GiB")
    raise typer.Exit(0 if status == "stored" and seconds <= limit and code == 0 else 1)


def printed_link(server: subprocess.Popen[str], *, patience: float = 120.0) -> tuple[str, str]:
    """Address and token of the admin's link, as soon as the command says it."""
    assert server.stdout is not None
    lines: Queue[str | None] = Queue()

    def read() -> None:
        for line in server.stdout or ():
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    deadline = time.monotonic() + patience
    while (line := lines.get(timeout=max(deadline - time.monotonic(), 0.1))) is not None:
        if found := LINK.search(line):
            return found[1], found[2]
    raise RuntimeError("the command ended without a link")


def rank_first(base_url: str, token: str, *, patience: float = 120.0) -> str:
    """Sign in, wait for a task, rank its answers by length, submit; what the server made of it."""
    with httpx2.Client(base_url=base_url, follow_redirects=True, timeout=30.0) as client:
        csrf = CSRF.findall(patiently(client, f"/enter/{token}").text)[0]
        client.post(f"/enter/{token}", data={"csrf": csrf}).raise_for_status()
        csrf = CSRF.findall(client.get("/rate/default").text)[0]
        deadline = time.monotonic() + patience
        items: list[dict[str, Any]] = []
        while not items and time.monotonic() < deadline:
            items = client.get("/rating/next", params={"project": "default", "limit": 1}).json()["items"]
            time.sleep(0.2)
        item = items[0]
        answers = sorted(item["answers"], key=lambda answer: -len(answer["text"]))
        said = {"id": str(uuid.uuid4()), "task_id": item["task_id"], "token": item["token"], "seconds": 1.0}
        said["ranking"] = {"tiers": [[answer["id"]] for answer in answers]}
        response = client.post("/rating/submit", json=said, headers={"x-csrf-token": csrf})
        response.raise_for_status()
        return str(response.json()["status"])


def patiently(client: httpx2.Client, path: str, *, patience: float = 60.0) -> httpx2.Response:
    """Ask until the server listens."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return client.get(path).raise_for_status()
        except httpx2.ConnectError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


if __name__ == "__main__":
    typer.run(main)
