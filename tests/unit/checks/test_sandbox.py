"""Code that means harm is contained: it gets no value that it did not compute, and the host does not notice."""

from __future__ import annotations

import os
import platform
import secrets
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from assent.checks.code import protections as tried
from assent.checks.code import sandbox as rooms
from assent.checks.code.jails import Jail, absence, start_of
from assent.checks.code.protections import open_sandbox, protections
from assent.checks.code.sandbox import Limits, NoValue, Sandbox, Trial
from assent.core.errors import ConfigError, RunError

QUICK = Limits(seconds=1, wall_seconds=30, memory_mb=256)


def works(jail: Jail) -> bool:
    try:
        return absence(jail) is None and not protections(jail).missing
    except (RunError, OSError):
        return False


@pytest.fixture(params=["bubblewrap", "landlock"])
def box(request: pytest.FixtureRequest) -> Sandbox:
    if not works(request.param):
        pytest.skip(f"{request.param} does not hold on this machine")
    return Sandbox(request.param, QUICK)


def value(box: Sandbox, code: str, call: str = "f()") -> object:
    return box.run(code, [call]).values[0]


def test_values_come_back_as_plain_ones(box: Sandbox) -> None:
    code = """
import collections
class Number(int):
    def __eq__(self, other): return True
    def __hash__(self): return 0
    def __repr__(self): return "7"
class Text(str):
    def __str__(self): return "other"
"""
    calls = [
        "(1, [2.5, 'ä\\0\\ud800', None], True)",
        "{1: 'a', (2, 3): {4}}",
        "Number(5)",
        "Text('own')",
        "-float('inf')",
    ]
    calls += ["collections.Counter('aab')", "2**70"]
    found = box.run(code, calls)
    assert found.parses and found.ran and not found.stopped and not found.why
    plain = ([1, [2.5, "ä\0\ud800", None], True], {1: "a", (2, 3): frozenset({4})}, 5, "own", -float("inf"))
    assert found.values == (*plain, {"a": 2, "b": 1}, 2**70)
    assert type(found.values[2]) is int and type(found.values[3]) is str


def test_what_is_no_plain_value_is_none(box: Sandbox) -> None:
    code = """
class Liar:
    def __eq__(self, other): return True
    __class__ = property(lambda self: int)
class Same:
    def __eq__(self, other): return True
deep = []
for _ in range(500): deep = [deep]
ring = []
ring.append(ring)
"""
    found = box.run(code, ["Liar()", "Same()", "print", "deep", "ring", "1 / 0", "absent", "1 +", "exit()"])
    assert found.ran and not found.stopped
    assert all(isinstance(one, NoValue) for one in found.values), found.values


@pytest.mark.parametrize("code", ["", "# only words", "def f(:", "a\0b", "\ud800", "(" * 5000, "-" * 200_000 + "1"])
def test_what_is_no_code_does_not_parse(box: Sandbox, code: str) -> None:
    found = box.run(code, ["1"])
    assert not found.parses and isinstance(found.values[0], NoValue) and found.why


@pytest.mark.parametrize(
    "code",
    [
        "import os\nos._exit(0)",
        "import sys\nsys.exit(0)",
        "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\nraise SystemExit",
        "import ctypes\nctypes.string_at(0)",
        "kept = []\nwhile True: kept.append(bytearray(10**6))",
        "x = [0] * 10**10",
        "import os\nwhile True: os.fork()",
        "import threading\nwhile True: threading.Thread(target=lambda: [0 for _ in iter(int, 1)]).start()",
        "import subprocess\nsubprocess.run(['sh', '-c', 'sleep 100 &'])",
        "raise KeyboardInterrupt",
        "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (-1, -1))\nwhile True: pass",
        "class E(Exception):\n    def __str__(self): raise self\nraise E",
    ],
)
def test_code_that_never_comes_to_its_end_gives_nothing(box: Sandbox, code: str) -> None:
    found = box.run(code, ["1"])
    assert found.parses and not found.ran and isinstance(found.values[0], NoValue) and found.why
    assert found.seconds < QUICK.wall_seconds


@pytest.mark.skipif(not start_of("limits_only").filter, reason="memory is limited on Linux only")
@pytest.mark.parametrize(
    "code",
    [
        "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
        "import sys\nsys.setrecursionlimit(10**9)\ndef g(n): return g(n + 1) + 1\ng(0)",
    ],
)
def test_limits_hold_in_every_jail(code: str) -> None:
    """They are set by the same lines everywhere, and take seconds to see."""
    found = Sandbox("limits_only", QUICK).run(code, ["1"])
    assert found.stopped and not found.ran and found.seconds < QUICK.wall_seconds


def test_a_flood_of_output_or_of_values_is_stopped(box: Sandbox) -> None:
    assert value(box, "def f():\n    for _ in range(100): print('x' * 10**6)\n    return 1") == 1  # goes nowhere
    assert isinstance(value(box, "def f(): return 'x' * 10**7"), NoValue)
    flood = "import os\ndef f():\n    while True: os.write(3, b'x' * 65536)"  # where its values go
    found = box.run(flood, ["f()", "2"])
    assert found.stopped and all(isinstance(one, NoValue) for one in found.values)


def test_who_sleeps_is_woken_by_the_end(box: Sandbox) -> None:
    found = Sandbox(box.jail, Limits(wall_seconds=1)).run("import time\ntime.sleep(1000)", ["1"])
    assert found.stopped and found.why == "stopped after 1 s"


def test_what_was_said_while_we_stood_still_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-Z stops this process, but neither the clock nor the code, which has a session of its own."""
    times = iter([0.0, *[1000.0] * 9])
    monkeypatch.setattr(rooms.time, "monotonic", lambda: next(times))
    pipe, other = os.pipe()
    try:
        os.write(other, b'said ["end"]\n')
        assert Sandbox("limits_only", QUICK)._read(pipe, b'["end"]\n') == (b'said ["end"]\n', "")
        times = iter([0.0, *[1000.0] * 9])
        os.write(other, b"no end")
        assert Sandbox("limits_only", QUICK)._read(pipe, b"x") == (b"no end", "stopped after 30 s")
        times = iter([0.0, 10.0, 1000.0])
        monkeypatch.setattr(rooms.select, "select", lambda *_: ([], [], []))
        assert Sandbox("limits_only", QUICK)._read(pipe, b"x") == (b"", "stopped after 30 s")
    finally:
        os.close(pipe)
        os.close(other)


def test_values_said_before_the_end_count(box: Sandbox) -> None:
    found = box.run("import os\ndef f(x): return x if x < 2 else os._exit(0)", ["f(0)", "f(1)", "f(2)", "f(3)"])
    assert found.values[:2] == (0, 1) and all(isinstance(one, NoValue) for one in found.values[2:])


def test_the_files_of_the_host_are_neither_read_nor_touched(box: Sandbox, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    kept = tmp_path / "kept"
    kept.write_text("kept as it was", encoding="utf-8")
    kept.chmod(0o666)
    before = kept.stat()
    ways = [
        "open({p}).read()", "open({p}, 'w').write('x')", "open({p}, 'a').write('x')", "open({n}, 'x')",
        "os.remove({p})", "os.rename({p}, {n})", "os.chmod({p}, 0)", "os.truncate({p}, 0)", "os.utime({p})",
        "os.mkdir({n})", "os.symlink({p}, 'link') or open('link').read()", "os.link({p}, {n})", "os.mknod({n})",
        "os.listdir({d})", "open('/etc/passwd').read()", "os.listdir('/var')", "open('/proc/1/environ').read()",
        "open('../../../../../../etc/hostname').read()", "os.chroot('/')", "os.open({d}, os.O_TMPFILE | os.O_RDWR)",
        "open({home}).read()",
        "open('/proc/self/environ').read()", "os.execv('/bin/sh', ['sh'])", "os.memfd_create('x')", "open('own', 'w')",
    ]  # fmt: skip
    named = {
        "p": repr(str(kept)),
        "n": repr(str(tmp_path / "new")),
        "d": repr(str(tmp_path)),
        "home": repr(str(Path.home() / ".profile")),
    }
    found = box.run("import os", [way.format(**named) for way in ways])
    assert found.ran and [one for one in found.values if not isinstance(one, NoValue)] == []
    assert list(tmp_path.iterdir()) == [kept] and kept.read_text(encoding="utf-8") == "kept as it was"
    assert (kept.stat().st_mode, kept.stat().st_mtime_ns) == (before.st_mode, before.st_mtime_ns)


def test_nobody_is_called_over_the_network(box: Sandbox, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind(str(tmp_path / "s"))
        local.listen()
        for one in (server, local):
            one.settimeout(0)
        calls = [f"socket.create_connection(('127.0.0.1', {server.getsockname()[1]})).send(b'x')"]
        calls += [f"socket.socket(socket.AF_UNIX).connect({str(tmp_path / 's')!r})"]
        calls += ["socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))"]
        calls += ["socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", "socket.getaddrinfo('localhost', 80)[0][4][1]"]
        found = box.run("import socket", calls)
        assert all(isinstance(one, NoValue) for one in found.values[:4])
        for one in (server, local):
            with pytest.raises(BlockingIOError):
                one.accept()


def test_the_host_gets_no_signals(box: Sandbox) -> None:
    got: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: got.append(number))
    try:
        numbers = f"({os.getpid()}, os.getppid(), 1, 0, -1)"
        code = f"import os, signal\ndef f():\n    done = 0\n    for n in {numbers}:\n        try:\n"
        code += "            os.kill(n, signal.SIGUSR1); done += 1\n        except OSError: pass\n    return done"
        assert value(box, code) == 0
        owner = f"__import__('fcntl').fcntl(3, 8, {os.getpid()})"  # a pipe could signal its owner
        assert isinstance(value(box, "", owner), NoValue)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert got == []


def test_nothing_is_left_running(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = secrets.token_hex(8)
    monkeypatch.setattr(rooms, "ENVIRONMENT", {"MARK": mark})
    slow = Sandbox(box.jail, Limits(wall_seconds=2))
    thread = threading.Thread(target=slow.run, args=("import time\ntime.sleep(1000)",))
    thread.start()
    assert eventually(lambda: len(marked(mark)) > 0)
    thread.join()
    assert eventually(lambda: marked(mark) == [])


def marked(mark: str) -> list[str]:
    found = []
    for place in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in place.read_bytes():
                found.append(place.parent.name)
        except OSError:
            continue
    return found


def eventually(holds: object, seconds: float = 20) -> bool:
    assert callable(holds)
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(holds())


MACHINE_CODE = """
import ctypes, mmap
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    ctypes.set_errno(0)
    return libc.syscall(*arguments) or ctypes.get_errno()
def run(code):
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(bytes.fromhex(code))
    return ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="machine code of x86_64")
def test_the_kernel_is_not_asked_past_the_interpreter_either(box: Sandbox) -> None:
    """fork, vfork, clone, clone3, socket, kill, ptrace, unshare, setns, bpf, io_uring, pidfd signals, execve, mount…"""
    numbers = [57, 58, 56, 435, 41, 53, 62, 200, 234, 101, 272, 308, 321, 425, 424, 59, 165, 310, 90, 82, 87, 157, 160]
    numbers += [57 + 0x40000000, 257 + 0x40000000]  # the second table of calls
    calls = [f"call({number}, 0, 0, 0)" for number in numbers]
    calls += ["call(257, -100, b'own', 0o101, 0o666)", "call(437, -100, b'own', 0, 24)"]  # openat, openat2
    calls += ["call(72, 3, 8, 1)", "call(16, 3, 0x8901, 0)"]  # whom a pipe signals
    calls += ["run('b8390000000f05c3')"]  # fork by machine code
    found = box.run(MACHINE_CODE, [*calls, "run('b802000000cd80c3')", "1"])  # fork by the calls of 32 bits
    assert found.values[: len(calls)] == (-1,) * len(calls), "refused"
    assert found.stopped and all(isinstance(one, NoValue) for one in found.values[len(calls) :]), "killed"


def test_no_file_of_the_host_is_left_open(box: Sandbox) -> None:
    code = "import os\ndef is_open(n):\n    try: os.fstat(n)\n    except OSError: return False\n    return True"
    assert value(box, code, "[n for n in range(1024) if is_open(n)]") == [0, 1, 2, 3]


READS_ALL = """
import gc, os, sys
def texts():
    for number in range(32):
        try:
            os.lseek(number, 0, 0)
            yield os.read(number, 10**6).decode("latin1")
        except OSError:
            pass
    yield from sys.argv + list(os.environ.values())
    frame = sys._getframe()
    while frame:
        yield repr(frame.f_locals) + repr(frame.f_globals)
        frame = frame.f_back
    for one in gc.get_objects():
        try:
            yield repr(one)
        except BaseException:
            pass
def f():
    return sorted({part[:20] for text in texts() for part in text.split("SEC" + "RET-")[1:]})
"""


def test_expected_values_are_nowhere_to_be_found(box: Sandbox) -> None:
    """The calls can be read, and show that the search works; what they should give cannot."""
    found = box.run(READS_ALL, ["f()", "'SECRET-of-a-call'"])
    assert any("of-a-call" in one for one in found.values[0]), found  # type: ignore[attr-defined]
    assert found.values[1] == "SECRET-of-a-call"


TAKES_OVER = """
import os, sys
frame = sys._getframe()
while "say" not in frame.f_locals:
    frame = frame.f_back
say = frame.f_locals["say"]
"""


def test_who_takes_the_checker_over_only_says_values(box: Sandbox) -> None:
    """The strongest that code can do: speak with the checker's own voice. It still has to know what to say."""
    forged = (
        TAKES_OVER + "say('parses', True); say('ran', True, ''); say('value', 0, 41); say('end')\ndef f(): return 42"
    )
    assert value(box, forged) in (41, 42)
    noise = TAKES_OVER + "say('value', 0, ['set', [['list', [{}]]]]); say('value', 'x', 1); say(['ready']); say()"
    assert isinstance(value(box, noise + "\ndef f(): raise ValueError", "f()"), NoValue)
    deep = "import os\nout = 3\nos.write(out, b'[' * 10**5 + b'\\n')\ndef f(): return 1"
    assert value(box, deep) == 1
    patched = (
        "import json, builtins\njson.dumps = lambda *a: '[]'\nbuiltins.isinstance = lambda *a: True\ndef f(): return 1"
    )
    assert isinstance(value(box, patched), NoValue)


def test_every_run_of_the_same_code_finds_sets_in_the_same_order(box: Sandbox) -> None:
    runs = [value(box, "", "list({'a', 'b', 'c', 'd', 'e', 'f'})") for _ in range(3)]
    assert runs[0] == runs[1] == runs[2]


def test_limits_alone_still_keep_code_in_one_process_on_linux() -> None:
    if not start_of("limits_only").filter:
        pytest.skip("system calls are filtered on Linux only")
    found = protections("limits_only")
    assert found.missing == ("reading",) and "NOT held: reading" in found.line()


def test_without_isolation_code_is_not_run_unless_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tried, "absence", lambda jail: f"no {jail} on this system")
    with pytest.raises(
        ConfigError, match="bubblewrap: no bubblewrap on this system; landlock: .*isolation: limits_only"
    ):
        open_sandbox("auto", Limits())
    assert open_sandbox("limits_only", Limits()).run("x = 1", ["x"]).values == (1,)


def test_a_sandbox_that_does_not_start_is_no_fault_of_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    start = start_of("limits_only")
    broken = type(start)(("sh", "-c", "echo no permission; exit 1"), None, b"")
    monkeypatch.setattr(rooms, "start_of", lambda jail: broken)
    with pytest.raises(RunError, match="did not start: no permission"):
        Sandbox("limits_only").run("x = 1")


def test_a_trial_says_what_became_of_the_code() -> None:
    box = Sandbox("limits_only", QUICK)
    found = box.run("def f(): return 1\nraise ValueError('late')", ["f()"])
    assert found == Trial(True, False, (NoValue("ValueError: late"),), found.seconds, False, "ValueError: late")
