"""The system calls that code in the sandbox may make, as a filter for the kernel (seccomp, classic BPF).

A list of what is allowed: reading, memory, time. Not on it, and so refused: new processes and threads, sockets, signals
to others, every way to write, rename or remove files, mounts, other processes' memory, and what kernels will add.
"""

from __future__ import annotations

import platform
import struct
from collections.abc import Iterable, Mapping, Sequence

_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050001, 0x80000000  # refused: the call fails with EPERM
_WRITING = 0o1 | 0o2 | 0o100 | 0o1000 | 0o20000000  # O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_TMPFILE without O_DIRECTORY
_FCNTL = (0, 1, 2, 3, 4, 1030)  # duplicate, flags; not whom to signal
_IOCTL = (0x5401, 0x5450, 0x5451, 0x5421)  # is it a terminal, close on exec, blocking

_NUMBERS: Mapping[str, str] = {
    "x86_64": (
        "read=0 write=1 close=3 stat=4 fstat=5 lstat=6 poll=7 lseek=8 mmap=9 mprotect=10 munmap=11 brk=12 "
        "rt_sigaction=13 rt_sigprocmask=14 rt_sigreturn=15 pread64=17 readv=19 writev=20 access=21 select=23 "
        "sched_yield=24 mremap=25 madvise=28 dup=32 dup2=33 nanosleep=35 getitimer=36 alarm=37 setitimer=38 "
        "getpid=39 exit=60 uname=63 getcwd=79 readlink=89 gettimeofday=96 getrlimit=97 getrusage=98 "
        "sysinfo=99 times=100 getuid=102 getgid=104 geteuid=107 getegid=108 getppid=110 sigaltstack=131 "
        "gettid=186 time=201 futex=202 sched_getaffinity=204 getdents64=217 restart_syscall=219 "
        "clock_gettime=228 clock_getres=229 clock_nanosleep=230 exit_group=231 newfstatat=262 readlinkat=267 "
        "faccessat=269 pselect6=270 ppoll=271 set_robust_list=273 dup3=292 pipe2=293 getrandom=318 "
        "membarrier=324 statx=332 rseq=334 close_range=436 faccessat2=439 "
    ),
    "aarch64": (
        "getcwd=17 dup=23 dup3=24 faccessat=48 close=57 pipe2=59 getdents64=61 lseek=62 read=63 write=64 "
        "readv=65 writev=66 pread64=67 pselect6=72 ppoll=73 readlinkat=78 newfstatat=79 fstat=80 exit=93 "
        "exit_group=94 futex=98 set_robust_list=99 nanosleep=101 getitimer=102 setitimer=103 "
        "clock_gettime=113 clock_getres=114 clock_nanosleep=115 sched_getaffinity=123 sched_yield=124 "
        "restart_syscall=128 sigaltstack=132 rt_sigaction=134 rt_sigprocmask=135 rt_sigreturn=139 times=153 "
        "uname=160 getrlimit=163 getrusage=165 gettimeofday=169 getpid=172 getppid=173 getuid=174 geteuid=175 "
        "getgid=176 getegid=177 gettid=178 sysinfo=179 brk=214 munmap=215 mremap=216 mmap=222 mprotect=226 "
        "madvise=233 getrandom=278 membarrier=283 statx=291 rseq=293 close_range=436 faccessat2=439 "
    ),
}
_LIMITED: Mapping[str, Mapping[str, int]] = {
    "x86_64": {"open": 2, "ioctl": 16, "fcntl": 72, "openat": 257},
    "aarch64": {"fcntl": 25, "ioctl": 29, "openat": 56},
}
_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_OTHER_ABI = 0x40000000  # x86_64 has a second table of calls above this number


def filter_for(machine: str | None = None) -> bytes:
    """The filter for a machine (null: this one), eight bytes an instruction; empty where its calls are not known."""
    machine = platform.machine() if machine is None else machine
    if machine not in _NUMBERS:
        return b""
    limited = _LIMITED[machine]
    lines = [_load(4), *_unless_equal(_ARCHITECTURE[machine], (_KILL,)), _load(0)]
    lines += [_line(_ANY_BIT, _OTHER_ABI, 0, 1), _line(_RETURN, _REFUSE)]
    for pair in _NUMBERS[machine].split():
        lines += [_line(_EQUAL, int(pair.partition("=")[2]), 0, 1), _line(_RETURN, _ALLOW)]
    if "open" in limited:
        lines += _without_bits(limited["open"], 1, _WRITING)
    lines += _without_bits(limited["openat"], 2, _WRITING)
    lines += _one_of(limited["fcntl"], 1, _FCNTL)
    lines += _one_of(limited["ioctl"], 1, _IOCTL)
    return b"".join([*lines, _line(_RETURN, _REFUSE)])


def _line(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _load(offset: int) -> bytes:
    return _line(_LOAD, offset)


def _argument(number: int) -> bytes:
    return _load(16 + 8 * number)  # its lower half: both machines are little-endian


def _unless_equal(value: int, otherwise: Iterable[int]) -> list[bytes]:
    return [_line(_EQUAL, value, 1, 0), *(_line(_RETURN, one) for one in otherwise)]


def _without_bits(call: int, argument: int, bits: int) -> list[bytes]:
    body = [_argument(argument), _line(_ANY_BIT, bits, 1, 0), _line(_RETURN, _ALLOW), _line(_RETURN, _REFUSE)]
    return [_line(_EQUAL, call, 0, len(body)), *body]


def _one_of(call: int, argument: int, values: Sequence[int]) -> list[bytes]:
    body = [_argument(argument)]
    for value in values:
        body += [_line(_EQUAL, value, 0, 1), _line(_RETURN, _ALLOW)]
    body.append(_line(_RETURN, _REFUSE))
    return [_line(_EQUAL, call, 0, len(body)), *body]
