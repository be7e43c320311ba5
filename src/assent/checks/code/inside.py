"""What runs inside the sandbox: it shuts the doors behind itself, runs the code, and says what the calls gave.

Its text is handed to an interpreter that sees nothing of Assent, so it imports the standard library only. It knows the
calls and no expected values. Nothing depends on its honesty: code that takes it over can only say values that it would
have had to compute.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import os
import resource
import sys
from collections.abc import Callable
from typing import Any

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # system calls of Landlock, on every architecture
_READ_FILE_AND_DIR = 1 << 2 | 1 << 3
_DEATH_SIGNAL, _NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 1, 38, 22, 2  # of prctl
_DEPTH = 100

Say = Callable[..., None]


def main() -> None:
    """Read what is asked on standard input; every answer is one line: the nonce, then a JSON list."""
    asked = json.loads(sys.stdin.buffer.read())
    out = os.dup(1)
    say = _voice(out, asked["nonce"])
    say("ready", _shut(asked, out))
    _run(asked["code"], asked["calls"], say)
    say("end")
    os._exit(0)


def _run(text: str, calls: list[str], say: Say) -> None:
    try:
        tree = compile(text, "<answer>", "exec", 0x400)  # to a tree only
        if not tree.body:  # type: ignore[attr-defined]
            raise SyntaxError("there is no code in it")
        program = compile(tree, "<answer>", "exec")  # type: ignore[call-overload]
    except BaseException as error:
        say("parses", False, _words(error))
        return
    say("parses", True, "")
    names: dict[str, Any] = {"__name__": "answer", "__builtins__": __builtins__}
    try:
        exec(program, names)
    except BaseException as error:
        say("ran", False, _words(error))
        return
    say("ran", True, "")
    for number, call in enumerate(calls):
        try:
            found = _plain(eval(compile(call, "<call>", "eval"), names))
            say("value", number, found)
        except BaseException as error:
            say("error", number, _words(error))


def _words(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"[:200]
    except BaseException:
        return "an error that cannot be said"


def _voice(out: int, nonce: str) -> Say:
    def say(*parts: object) -> None:
        line = f"{nonce} {json.dumps(parts)}\n".encode("ascii")
        while line:
            line = line[os.write(out, line) :]

    return say


def _plain(value: Any, depth: int = 0) -> Any:
    """A value as JSON that tells lists, sets and dicts apart; read by the types themselves, not by what they override.

    Raises TypeError for what is no plain value, ValueError for what is too deep.
    """
    if depth > _DEPTH:
        raise ValueError(f"the value is deeper than {_DEPTH}")
    if value is None or value is True or value is False:
        return value
    if isinstance(value, int):
        return int.__add__(value, 0)
    if isinstance(value, float):
        number = float.__add__(value, 0.0)
        return number if math.isfinite(number) else ["float", float.__repr__(number)]
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (list, tuple)):
        items = list.__iter__(value) if isinstance(value, list) else tuple.__iter__(value)
        return ["list", [_plain(one, depth + 1) for one in items]]
    if isinstance(value, (set, frozenset)):
        members = set.__iter__(value) if isinstance(value, set) else frozenset.__iter__(value)
        return ["set", [_plain(one, depth + 1) for one in members]]
    if isinstance(value, dict):
        return ["dict", [[_plain(k, depth + 1), _plain(v, depth + 1)] for k, v in dict.items(value)]]
    raise TypeError(f"the value is a {type(value).__name__}, which is no plain value")


def _shut(asked: dict[str, Any], out: int) -> list[str]:
    """Limits, then no files but those named, then no system calls but those of the filter; says what was done."""
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.close(null)
    os.closerange(3, out)
    os.closerange(out + 1, 1024)
    for name, most in asked["limits"].items():
        with contextlib.suppress(
            AttributeError, ValueError, OSError
        ):  # what a system does not know, or holds lower already
            resource.setrlimit(getattr(resource, name), (most, most + (name == "RLIMIT_CPU")))
    done = ["limits"]
    if not sys.platform.startswith("linux"):
        return done
    libc = ctypes.CDLL(None, use_errno=True)
    _control(libc, _DEATH_SIGNAL, 9)
    _control(libc, _NO_NEW_PRIVILEGES, 1)
    if asked["readable"] is not None:
        _read_only(libc, asked["readable"])
        done.append("landlock")
    if asked["filter"]:
        _filter(libc, bytes.fromhex(asked["filter"]))
        done.append("seccomp")
    return done


def _control(libc: ctypes.CDLL, what: int, first: Any, second: Any = 0) -> None:
    nothing = ctypes.c_ulong(0)
    if libc.prctl(what, ctypes.c_ulong(first), second or nothing, nothing, nothing):
        raise OSError(ctypes.get_errno(), f"prctl {what}")


def _read_only(libc: ctypes.CDLL, folders: list[str]) -> None:
    """Landlock: no file may be opened but for reading below these folders; no TCP; no signals to others."""
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    if version < 1:
        raise OSError(ctypes.get_errno(), "Landlock is not there")
    files = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)) - 1
    handled = (ctypes.c_uint64 * 3)(files, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    rules = libc.syscall(_CREATE_RULESET, handled, ctypes.c_size_t(size), 0)
    if rules < 0:
        raise OSError(ctypes.get_errno(), "no Landlock ruleset")
    for folder in folders:
        place = os.open(folder, os.O_PATH)
        rule = _READ_FILE_AND_DIR.to_bytes(8, sys.byteorder) + place.to_bytes(4, sys.byteorder)
        if libc.syscall(_ADD_RULE, rules, 1, rule, 0):
            raise OSError(ctypes.get_errno(), f"no Landlock rule for {folder}")
        os.close(place)
    if libc.syscall(_RESTRICT_SELF, rules, 0):
        raise OSError(ctypes.get_errno(), "Landlock refused")
    os.close(rules)


def _filter(libc: ctypes.CDLL, program: bytes) -> None:
    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("start", ctypes.c_char_p))

    given = Program(len(program) // 8, program)
    _control(libc, _SECCOMP, _FILTER, ctypes.byref(given))


if __name__ == "__main__":
    main()
