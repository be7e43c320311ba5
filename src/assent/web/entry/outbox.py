"""Sending mail (SMTP): a thread of its own writes each letter and hands it over, with limits on time and attempts.

    outbox.post(lambda: Letter(to="anna@example.org", subject="…", text="…", about="invitation 12"))

What became of it is in the security log: `mail.sent`, or `mail.failed` with a word for the reason. A letter lives in
memory only, for it holds a link that lets somebody in; what is not sent when the service stops is not sent, and said.
"""

from __future__ import annotations

import logging
import queue
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

from assent.core.errors import AssentError
from assent.feedback.people.events import Event
from assent.web.entry.config import MailConfig

LOG = logging.getLogger("assent.web")
MOST_WAITING = 200
"""Letters that wait at most; one more is not sent, and said."""
PAUSES = (2.0, 10.0)
"""Seconds before the second and the third attempt, where a failure may pass."""
TIMEOUT, DEADLINE = 15.0, 60.0
"""Seconds without a sign of the mail server, and for a whole attempt."""
_REFUSED_FOR_GOOD = 500


@dataclass(frozen=True)
class Letter:
    """A mail in plain text."""

    to: str
    subject: str
    text: str
    about: str
    """What the log calls it; no words of people."""
    account: str | None = None
    """Whose link it holds."""


Write = Callable[[], Letter | None]
"""Writes a letter when its turn comes; None where there is nothing to send."""


@dataclass
class Outbox:
    """The mails of one server process."""

    config: MailConfig
    keep: Callable[[Event], None]
    """Writes an event into the security log."""
    clock: Callable[[], float]
    pauses: tuple[float, ...] = PAUSES
    _waiting: queue.Queue[Write | None] = field(default_factory=lambda: queue.Queue(MOST_WAITING))
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def post(self, write: Write) -> None:
        """Have a letter written and sent soon; returns at once."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="mail", daemon=True)
                self._thread.start()
        try:
            self._waiting.put_nowait(write)
        except queue.Full:
            self._say(Event("mail.failed", about="full"))

    def stop(self) -> None:
        """End after the attempt that is on; letters that still wait are said to be lost."""
        self._stopping.set()
        if self._thread is None:
            return
        with suppress(queue.Full):
            self._waiting.put_nowait(None)  # wakes the thread
        self._thread.join(timeout=TIMEOUT)
        left = sum(one is not None for one in _drained(self._waiting))
        if left:
            self._say(Event("mail.failed", about=f"stopped {left}"))

    def wait(self) -> None:
        """Wait until nothing is under way."""
        self._waiting.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            write = self._waiting.get()
            try:
                if write is not None:
                    self._work(write)
            except Exception as error:  # one odd letter must not end all that come after it
                LOG.error("mail", exc_info=error)
                self._say(Event("mail.failed", about="error"))
            finally:
                self._waiting.task_done()

    def _work(self, write: Write) -> None:
        letter = write()
        if letter is None:
            return
        problem = self._sent(letter)
        if problem is None:
            self._say(Event("mail.sent", account=letter.account, about=letter.about))
            return
        LOG.warning("mail (%s) was not sent: %s", letter.about, problem)
        self._say(Event("mail.failed", account=letter.account, about=f"{letter.about}: {_reason(problem)}"))

    def _sent(self, letter: Letter) -> Exception | None:
        """None once it is handed over; else why it is given up."""
        message = message_of(letter, self.config, now=self.clock())
        problem: Exception | None = None
        for pause in (0.0, *self.pauses):
            if pause and self._stopping.wait(pause):
                break
            try:
                hand_over(message, self.config)
                return None
            except (smtplib.SMTPException, OSError, AssentError) as error:
                problem = error
            if not _may_pass(problem):
                break
        return problem

    def _say(self, event: Event) -> None:
        try:
            self.keep(event)
        except AssentError as problem:
            LOG.error("the security log could not be written (%s): %s", event.what, problem)


def message_of(letter: Letter, config: MailConfig, *, now: float) -> EmailMessage:
    """The mail. No header takes a line break: the library refuses one, and addresses are plain ones."""
    message = EmailMessage(policy=policy.SMTP)
    sender = config.sender_address
    message["From"] = sender
    message["To"] = Address(addr_spec=letter.to)
    message["Subject"] = " ".join(letter.subject.split())
    message["Date"] = format_datetime(datetime.fromtimestamp(now, UTC))
    message["Message-ID"] = make_msgid(domain=sender.domain)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    return message


def hand_over(message: EmailMessage, config: MailConfig) -> None:
    """Give a mail to the server. Raises smtplib.SMTPException, OSError, or ConfigError without the password."""
    context = None if config.tls == "none" else ssl.create_default_context()
    password = config.password()
    if config.tls == "implicit":
        server: smtplib.SMTP = smtplib.SMTP_SSL(timeout=TIMEOUT, context=context)
    else:
        server = smtplib.SMTP(timeout=TIMEOUT)
    # The name that certificates are held against is else set by a constructor that connects, which nothing could cut.
    server._host = config.host  # type: ignore[attr-defined]
    with _in_time(server), server:
        server.connect(config.host, config.port)
        if config.tls == "starttls":
            server.starttls(context=context)
        if config.user is not None and password is not None:
            server.login(config.user, password)
        server.send_message(message)


@contextmanager
def _in_time(server: smtplib.SMTP) -> Iterator[None]:
    """Cut the line after a while: a server that says a word now and then would else hold it for ever."""

    def cut() -> None:
        with suppress(OSError):
            if server.sock is not None:
                server.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(DEADLINE, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _may_pass(problem: Exception) -> bool:
    """May another attempt succeed?"""
    if isinstance(problem, smtplib.SMTPRecipientsRefused):
        return all(code < _REFUSED_FOR_GOOD for code, _ in problem.recipients.values())
    if isinstance(problem, smtplib.SMTPResponseException):
        return problem.smtp_code < _REFUSED_FOR_GOOD
    return not isinstance(problem, smtplib.SMTPNotSupportedError | ssl.SSLCertVerificationError | AssentError)


def _reason(problem: Exception) -> str:
    """The kind of a failure, and the server's number for it; its words may name people."""
    code = getattr(problem, "smtp_code", None)
    if isinstance(problem, smtplib.SMTPRecipientsRefused):
        code = next((code for code, _ in problem.recipients.values()), None)
    return type(problem).__name__ if code is None else f"{type(problem).__name__} {code}"


def _drained(waiting: queue.Queue[Write | None]) -> Iterator[Write | None]:
    with suppress(queue.Empty):
        while True:
            yield waiting.get_nowait()
