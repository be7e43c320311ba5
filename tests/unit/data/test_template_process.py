"""Chat templates of strangers end in bounded time and memory with one clear line, and the usual ones lose nothing."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from assent.core.errors import ModelError
from assent.data import template_process, template_worker
from assent.data.template_process import Rendering, TemplateFailed, render_templates

TURNS = [{"role": "user", "content": "Grüße \ud800 \u2028 'x'\n"}, {"role": "assistant", "content": "b"}]
USUAL = (
    "{{ bos_token }}{% for m in messages %}{{ '<|' + m.role + '|>' }}{% generation %}{{ m.content | trim | tojson }}"
    "{% endgeneration %}{% if loop.last %}{% break %}{% endif %}{% endfor %}{{ '=' * 20 }}{{ add_generation_prompt }}"
)
GROW = "{% set ns = namespace(s='aaaaaaaaaa') %}{% for i in range(40) %}{% set ns.s = STEP %}{% endfor %}{{ ns.s }}"
MEMORY = {
    "product": "{{ 'a' * 10**10 }}",
    "computed product": "{% set n = 9999 %}{{ 'a' * (n * n * 99) }}",
    "sum": GROW.replace("STEP", "ns.s + ns.s"),
    "concatenation": GROW.replace("STEP", "ns.s ~ ns.s"),
    "list": GROW.replace("'aaaaaaaaaa'", "[1]").replace("STEP", "ns.s + ns.s"),
    "join": GROW.replace("STEP", "[ns.s, ns.s] | join"),
    "replace": GROW.replace("STEP", "ns.s.replace('a', ns.s)"),
    "center": "{{ 'a' | center(3000000000) }}",
    "ljust": "{{ 'a'.ljust(3000000000) }}",
    "format": "{{ '{:>3000000000}'.format('a') }}",
    "format filter": "{{ '%03000000000d' | format(1) }}",
    "indent": "{{ 'a\nb' | indent(3000000000) }}",
    "batch": "{{ [1] | batch(500000000, 0) | list }}",
    "shared lists": GROW.replace("STEP", "[ns.s, ns.s]"),
    "output": "{% set s = 'a'.ljust(1000000) %}{% for a in range(90000) %}{{ s }}{% endfor %}",
    "large output": "{{ 'a'.ljust(30000000) }}",
}
TIME = {
    "loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "loops in filters": "{% for a in range(99999) %}{{ range(99999) | sum }}{% endfor %}",
    "search": "{% set s = 'a'.ljust(9999999) %}{% for a in range(99999) %}{{ 'b' in s }}{% endfor %}",
    "powers": GROW.replace("'aaaaaaaaaa'", "10").replace("STEP", "ns.s * ns.s"),
    "calls": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "lipsum": "{{ lipsum(n=9999999) | length }}",
}
DEPTH = {
    "macro": "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
    "parentheses": "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "nots": "{{ " + "not " * 100_000 + "1 }}",
}
OUT = {
    "class": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "globals": "{{ self.__init__.__globals__ }}",
    "cycler": "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process whose renderings may take one second."""
    monkeypatch.setattr(template_process, "SECONDS", 1)
    template_process._PROCESS.close()
    yield
    template_process._PROCESS.close()


def render(template: str, turns: list[dict[str, str]] | None = None, **variables: str) -> str:
    asked = [Rendering(turns or TURNS, to_answer=True)]
    (text,) = render_templates(template, asked, variables=variables, origin="the template of base")
    return text


def test_a_usual_template_gives_what_transformers_gives() -> None:
    from transformers.utils.chat_template_utils import render_jinja_template

    said = [{"role": "user", "content": f"a{n} é 日本 </s>\n" * n} for n in range(5)]
    [here], _ = render_jinja_template([said], chat_template=USUAL, add_generation_prompt=True, bos_token="<s>")
    assert render(USUAL, said, bos_token="<s>") == here
    assert render("{% for m in messages %}{{ m.content }}{% endfor %}") == "Grüße \ud800 \u2028 'x'\nb"


@pytest.mark.slow
@pytest.mark.parametrize("name", MEMORY)
def test_what_fills_the_memory_is_stopped(name: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelError, match=r"^the template of base .*(memory|characters|seconds|ended).*`template`"):
        render(MEMORY[name])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000, "kilobytes, of this process"
    assert render("{{ messages[1].content }}") == "b", "the next rendering works"


@pytest.mark.parametrize("name", TIME)
def test_what_runs_on_is_stopped(name: str, quick: None) -> None:
    with pytest.raises(ModelError, match="the template of base ran for 1 seconds and did not end"):
        render(TIME[name])


@pytest.mark.parametrize("name", DEPTH)
def test_what_calls_itself_without_end_is_stopped(name: str) -> None:
    with pytest.raises(ModelError, match="the template of base (calls itself without end|ended|took more)"):
        render(DEPTH[name])


@pytest.mark.parametrize("name", OUT)
def test_nothing_of_python_is_reached(name: str) -> None:
    with pytest.raises(TemplateFailed, match="unsafe|undefined"):
        render(OUT[name])


def test_what_a_template_says_itself_is_told_apart() -> None:
    with pytest.raises(TemplateFailed, match="^roles must alternate$"):
        render("{{ raise_exception('roles must\n alternate') }}")
    with pytest.raises(TemplateFailed, match="unexpected"):
        render("{{ broken")


def test_what_is_asked_together_comes_back_in_order_and_stops_at_the_first_that_fails() -> None:
    asked = [Rendering([{"role": "user", "content": f"{n} " * 100_000}], to_answer=n == 1) for n in range(4)]
    template = "{{ messages[0].content }}{{ add_generation_prompt }}"
    found = render_templates(template, asked, variables={}, origin="the template of base")
    assert found == [f"{n} " * 100_000 + str(n == 1) for n in range(4)]
    with pytest.raises(TemplateFailed, match=r"^no twos$") as failed:
        render_templates(
            "{% if messages[0].content[0] in '23' %}{{ raise_exception('no twos') }}{% endif %}",
            asked, variables={}, origin="the template of base",
        )  # fmt: skip
    assert failed.value.at == 2
    assert render("b") == "b"


def test_each_rendering_may_take_as_long_as_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed: list[int] = []
    monkeypatch.setattr(template_worker, "_allow", allowed.append)
    monkeypatch.setattr(template_worker.sys, "argv", ["", "7"])

    def shout(conversations: list[str], **_: Any) -> tuple[list[str], None]:
        return [conversations[0].upper()], None

    line = {
        "template": "",
        "variables": {},
        "asked": [{"messages": c, "tools": None, "to_answer": False} for c in "ab"],
    }
    assert list(template_worker._answers(line, shout)) == [{"text": "A"}, {"text": "B"}]
    assert allowed == [7, 7]


def test_a_process_that_was_killed_is_started_again() -> None:
    render("a")
    process = template_process._PROCESS._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert render("b") == "b"


def test_who_stops_a_run_for_longer_than_a_rendering_may_take_can_go_on_with_it() -> None:
    """As Ctrl-Z and `fg` do: both processes stand still, and the clock does not."""
    code = """
        from assent.data import template_process
        from assent.data.template_process import Rendering, render_templates
        template_process.PATIENCE = 3.0
        asked = [Rendering([{"role": "user", "content": "a"}])]
        render_templates("b", asked, variables={}, origin="it")
        print("asks", flush=True)
        long = "{% for a in range(200) %}{% for b in range(20000) %}{% endfor %}{% endfor %}done"
        print(*render_templates(long, asked, variables={}, origin="it"))
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "asks\n"
        os.killpg(process.pid, signal.SIGSTOP)
        time.sleep(3.2)
        os.killpg(process.pid, signal.SIGCONT)
        assert process.stdout.read() == "done\n"


def test_threads_get_their_own_answers() -> None:
    found: dict[int, str] = {}
    threads = [threading.Thread(target=lambda n=n: found.update({n: render(f"{{{{ {n} * 2 }}}}")})) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: str(2 * n) for n in range(20)}


def test_the_process_knows_nothing_of_the_environment_and_ends_with_its_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSENT_SECRET", "hunter2")
    template_process._PROCESS.close()
    render("a")
    process = template_process._PROCESS._process
    assert process is not None and process.stdin is not None
    if os.path.exists(f"/proc/{process.pid}/environ"):  # noqa: PTH110 - of Linux only
        with open(f"/proc/{process.pid}/environ", "rb") as file:  # noqa: PTH123
            assert b"hunter2" not in file.read()
    process.stdin.close()
    assert process.wait(timeout=30) == 0
    template_process._PROCESS._process = None
