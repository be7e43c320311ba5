"""Progress: about ten lines where there is no terminal, rates and times that a stopwatch would agree with."""

from __future__ import annotations

import io

import pytest

from assent.core.progress import Screen, duration


class Stopwatch:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_outside_a_terminal_a_line_appears_about_every_tenth() -> None:
    stream, clock = io.StringIO(), Stopwatch()
    with Screen(stream, clock=clock).bar("sft", 200) as bar:
        for _ in range(200):
            clock.now += 1.0
            bar.advance(loss=2.0)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 10  # 10 % … 90 %, and the end
    assert lines[0] == "sft  10%  20/200  1/s  3:00 left  loss 2"
    assert lines[-1] == "sft  done in 3:20  200/200  loss 2"


def test_short_work_prints_its_end_only() -> None:
    stream, clock = io.StringIO(), Stopwatch()
    with Screen(stream, clock=clock).bar("pack", 100) as bar:
        for _ in range(100):
            clock.now += 0.01
            bar.advance()
    assert stream.getvalue() == "pack  done in 0:01  100/100\n"


@pytest.mark.parametrize(("seconds", "said"), [(0.01, ""), (0.05, "leans  done in 0:05  100/100\n")])
def test_work_aside_is_told_only_where_it_took_long(seconds: float, said: str) -> None:
    stream, clock = io.StringIO(), Stopwatch()
    with Screen(stream, clock=clock).bar("leans", 100, is_aside=True) as bar:
        for _ in range(100):
            clock.now += seconds
            bar.advance()
    assert stream.getvalue().endswith(said) and bool(stream.getvalue()) == bool(said)


def test_the_rate_of_a_resumed_run_leaves_out_what_was_done_before() -> None:
    clock = Stopwatch()
    with Screen(io.StringIO(), clock=clock).bar("ppo", 100, done=90) as bar:
        clock.now += 10.0
        bar.advance(5)
        assert bar.status == "2 s each  0:10 left"


def test_an_inner_bar_is_silent_outside_a_terminal() -> None:
    stream, clock = io.StringIO(), Stopwatch()
    screen = Screen(stream, clock=clock)
    with screen.bar("ppo", 2) as outer:
        with screen.bar("rollouts", 10) as inner:
            for _ in range(10):
                clock.now += 5.0
                inner.advance()
        outer.advance()
        outer.advance()
    assert "rollouts" not in stream.getvalue()


def test_quiet_means_nothing_at_all() -> None:
    stream = Terminal()
    screen = Screen(stream, quiet=True)
    with screen.bar("sft", 3) as bar:
        bar.advance(3)
    screen.say("hello")
    assert stream.getvalue() == ""


def test_in_a_terminal_bars_nest_and_lines_go_above_them() -> None:
    stream = Terminal()
    screen = Screen(stream)
    with screen.bar("ppo", 2) as outer, screen.bar("rollouts", 1) as inner:
        inner.advance()
        screen.say("[not markup] 5%")
        outer.advance(2, reward=0.5, kl=1.25)
    assert "[not markup] 5%" in stream.getvalue()
    assert "reward 0.5  kl 1.25" in stream.getvalue()


def test_work_that_fails_is_not_reported_as_done() -> None:
    stream = io.StringIO()
    with pytest.raises(KeyError), Screen(stream).bar("sft", 3):
        raise KeyError
    assert stream.getvalue() == ""


def test_a_third_number_is_refused() -> None:
    with Screen(io.StringIO()).bar("sft", 1) as bar, pytest.raises(ValueError, match="at most 2"):
        bar.advance(a=1.0, b=2.0, c=3.0)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (750, "12:30"), (7500, "2:05:00")])
def test_durations_read_like_a_clock(seconds: float, text: str) -> None:
    assert duration(seconds) == text
