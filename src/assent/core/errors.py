"""Every error that Assent raises on purpose.

AssentError
├── UserError               exit code 2: what is wrong, the value, what to do; one line, no traceback
│   ├── ConfigError         a key of the YAML or of --set
│   ├── DataError           a file and a line of it
│   ├── UnreadableError     a file that another user may read and this one not
│   ├── ModelError          a model or tokenizer that cannot be used as asked
│   ├── StoreError          the feedback store
│   │   └── ConflictError   it says something else already: another's lease, a newer judgment
│   └── FunctionError       a reward or rating function of the user's
├── RunError                exit code 1: the run itself failed (non-finite loss, disk full)
│   └── NonFiniteError      a loss or gradient is NaN or infinite; nothing was stepped
└── AwaitingJudgments       exit code 3: people have not judged enough yet; run again later
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


class AssentError(Exception):
    """Root of all errors raised on purpose."""

    exit_code = 1


class UserError(AssentError):
    """Something the user gave cannot be used; the message says what, the value, and what to do."""

    exit_code = 2


class ConfigError(UserError):
    """A configuration key is unknown, missing, or has a value that cannot work."""


class DataError(UserError):
    """A data file cannot be read as asked.

    `where` is "file:line" when the line is known.
    """

    def __init__(self, message: str, *, path: Path | str | None = None, line: int | None = None) -> None:
        self.path = None if path is None else str(path)
        self.line = line
        where = "" if path is None else f"{path}:{line}: " if line is not None else f"{path}: "
        super().__init__(where + message)


class UnreadableError(UserError):
    """A file is there, and whoever runs this may not read it."""

    def __init__(self, message: str, *, path: Path) -> None:
        self.path = path
        super().__init__(message)


class ModelError(UserError):
    """A model, tokenizer or chat template cannot be used as asked."""


class StoreError(UserError):
    """The feedback store refused: unknown ids, a judgment that does not fit its task, a broken file."""


class ConflictError(StoreError):
    """The store holds something that speaks against it: a lease of another, a judgment that is newer than thought."""


class FunctionError(UserError):
    """A function that the user gave raised, returned the wrong number of values, or one that is not finite."""


class RunError(AssentError):
    """The run failed for a reason that is not the user's configuration."""


class NonFiniteError(RunError):
    """A loss or gradient is NaN or infinite. Raised before the optimizer moves anything.

    `batch` is what was being learned from, as plain JSON; empty where there was none.
    """

    def __init__(self, message: str, *, batch: Sequence[Mapping[str, object]] = ()) -> None:
        self.batch = tuple(batch)
        super().__init__(message)


class AwaitingJudgments(AssentError):
    """The round waits for people: `have` of `need` judgments are in; `where` is the page on which they rate.

    `who` says for whom and how long; empty where nobody has begun and nobody is named.
    """

    exit_code = 3

    def __init__(
        self,
        have: int,
        need: int,
        *,
        where: str,
        command: str = "assent rate",
        queue: tuple[str, str] = ("", ""),
        who: str = "",
    ) -> None:
        self.have, self.need, self.where, self.queue, self.who = have, need, where, queue, who
        waits = f"; it waits for {who}" if who else ""
        super().__init__(
            f"{have} of {need} judgments are in{waits}; start `{command}`, rate at {where}, then run the same command"
            " again"
        )

    def with_command(self, command: str) -> AwaitingJudgments:
        """The same, naming the very command that starts the rating pages."""
        return AwaitingJudgments(
            self.have, self.need, where=self.where, command=command, queue=self.queue, who=self.who
        )
