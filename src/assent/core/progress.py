"""Progress for people: a bar with rate, time left and two numbers in a terminal, a line every ~10 % elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

SHARE_BETWEEN_LINES = 0.1
SECONDS_BETWEEN_LINES = 2.0
MAX_SHOWN = 2


class Bar:
    """One counted piece of work. Made by `Screen.bar`."""

    def __init__(self, screen: Screen, description: str, total: int, done: int, is_aside: bool = False) -> None:
        self.description, self.total, self.done, self.is_aside = description, total, done, is_aside
        self._screen = screen
        self._first = done
        self._start = screen.clock()
        self._shown: dict[str, float] = {}

    def advance(self, n: int = 1, **shown: float) -> None:
        """Count `n` more; `shown` are the (at most two) numbers to print beside the bar until the next call."""
        if len(shown) > MAX_SHOWN:
            raise ValueError(f"a progress bar shows at most {MAX_SHOWN} numbers, got {sorted(shown)}")
        self.done += n
        if shown:
            self._shown = shown
        self._screen.refresh(self)

    @property
    def seconds(self) -> float:
        """Seconds since the bar appeared."""
        return self._screen.clock() - self._start

    @property
    def status(self) -> str:
        """Rate, time left and the shown numbers, as one piece of text."""
        parts = []
        rate = (self.done - self._first) / self.seconds if self.seconds > 0 else 0.0
        if rate > 0:
            parts.append(f"{rate:.3g}/s" if rate >= 1 else f"{1 / rate:.3g} s each")
            parts.append(f"{duration((self.total - self.done) / rate)} left")
        parts += [f"{name} {value:.4g}" for name, value in self._shown.items()]
        return "  ".join(parts)


class Screen:
    """Where bars and lines go. Bars may nest; outside a terminal only the outermost prints lines."""

    def __init__(self, stream: TextIO, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._stream, self._quiet = stream, quiet
        self._live = not quiet and stream.isatty()
        self._open: list[Bar] = []
        self._rich: Progress | None = None
        self._ids: dict[int, TaskID] = {}
        self._last_share = self._last_time = 0.0

    def say(self, text: str) -> None:
        """Print one line, above the bars if there are any. Nothing when quiet."""
        if self._quiet:
            return
        if self._rich is not None:
            self._rich.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=self._stream, flush=True)

    @contextlib.contextmanager
    def bar(self, description: str, total: int, *, done: int = 0, is_aside: bool = False) -> Iterator[Bar]:
        """Show a bar while the block runs; `done` of `total` were counted before (a resumed run).

        Work beside the main thing (`is_aside`) leaves a line outside a terminal only where it took long.
        """
        bar = Bar(self, description, total, done, is_aside)
        self._push(bar)
        finished = False
        try:
            yield bar
            finished = True
        finally:
            self._pop(bar, finished)

    def refresh(self, bar: Bar) -> None:
        """Redraw one bar, or print its line when about a tenth more is done."""
        if self._rich is not None:
            self._rich.update(self._ids[id(bar)], completed=bar.done, status=bar.status)
        elif not self._quiet and bar is self._open[0]:
            share = bar.done / max(bar.total, 1)
            late = self.clock() - self._last_time >= SECONDS_BETWEEN_LINES
            if share - self._last_share >= SHARE_BETWEEN_LINES - 1e-9 and late and bar.done < bar.total:
                self._last_share, self._last_time = share, self.clock()
                self.say(f"{bar.description}  {share:.0%}  {bar.done}/{bar.total}  {bar.status}")

    def _push(self, bar: Bar) -> None:
        if not self._open:
            self._last_share, self._last_time = bar.done / max(bar.total, 1), self.clock()
        self._open.append(bar)
        if not self._live:
            return
        if self._rich is None:
            self._rich = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[status]}", markup=False),
                console=Console(file=self._stream),
            )
            self._rich.start()
        self._ids[id(bar)] = self._rich.add_task(bar.description, total=bar.total, completed=bar.done, status="")

    def _pop(self, bar: Bar, finished: bool) -> None:
        self._open.remove(bar)
        if self._rich is not None:
            task = self._ids.pop(id(bar))
            if self._open:
                self._rich.remove_task(task)
            else:
                self._rich.stop()
                self._rich = None
        elif bar.is_aside and bar.seconds < SECONDS_BETWEEN_LINES:
            return
        elif not self._quiet and not self._open and finished:
            numbers = "".join(f"  {name} {value:.4g}" for name, value in bar._shown.items())
            self.say(f"{bar.description}  done in {duration(bar.seconds)}  {bar.done}/{bar.total}{numbers}")


def duration(seconds: float) -> str:
    """Seconds as people read them: 0:07, 12:30, 2:05:00."""
    whole = max(round(seconds), 0)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
