"""A small mail server on a port: speaks enough SMTP to take mails, sign people in, encrypt, refuse and dawdle."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass
class SmallMailServer:
    """What came in, and what to do with what comes."""

    port: int = 0
    got: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    """Sender and recipients as the commands said them."""
    signed_in: list[str] = field(default_factory=list)
    connections: int = 0
    encrypted: int = 0
    answers: list[str] = field(default_factory=list)
    """What the next recipients are answered instead of 250."""
    is_silent: bool = False
    """Says nothing at all."""
    dawdles: bool = False
    """Says a word of its greeting now and then, and never ends."""
    tls: ssl.SSLContext | None = None
    is_implicit: bool = False

    def serve(self, listener: socket.socket) -> None:
        """Take connections until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                line, _ = listener.accept()
                threading.Thread(target=self._talk, args=(line,), daemon=True).start()

    def _talk(self, line: socket.socket) -> None:
        self.connections += 1
        with contextlib.suppress(OSError, ssl.SSLError):
            if self.is_implicit and self.tls is not None:
                line = self.tls.wrap_socket(line, server_side=True)
                self.encrypted += 1
            if self.is_silent:
                line.recv(1)
                return
            while self.dawdles:
                line.sendall(b"220-wait\r\n")
                time.sleep(0.02)
            line.sendall(b"220 small\r\n")
            self._answer(line)
        line.close()

    def _answer(self, line: socket.socket) -> None:
        reader, sender, recipients = line.makefile("rb"), "", []
        while command := reader.readline():
            word, _, rest = command.decode().strip().partition(" ")
            said = "250 fine"
            match word.upper():
                case "EHLO":
                    offers = ["250-small", "250-AUTH PLAIN"]
                    offers += ["250-STARTTLS"] if self.tls is not None and not self.is_implicit else []
                    said = "\r\n".join([*offers, "250 HELP"])
                case "STARTTLS" if self.tls is not None:
                    line.sendall(b"220 go on\r\n")
                    line = self.tls.wrap_socket(line, server_side=True)
                    reader, said = line.makefile("rb"), ""
                    self.encrypted += 1
                case "AUTH":
                    self.signed_in.append(base64.b64decode(rest.split()[1]).decode())
                    said = "235 come in"
                case "MAIL":
                    sender, recipients = rest, []
                case "RCPT":
                    said = self.answers.pop(0) if self.answers else said
                    recipients += [rest] if said.startswith("250") else []
                case "DATA":
                    line.sendall(b"354 go on\r\n")
                    taken = b""
                    while (row := reader.readline()) not in (b".\r\n", b""):
                        taken += row.removeprefix(b".") if row.startswith(b"..") else row
                    message = message_from_bytes(taken, policy=policy.default)
                    assert isinstance(message, EmailMessage)
                    self.envelopes.append((sender, tuple(recipients)))
                    self.got.append(message)
                case "QUIT":
                    line.sendall(b"221 bye\r\n")
                    return
            if said:
                line.sendall(f"{said}\r\n".encode())


@contextlib.contextmanager
def running() -> Iterator[SmallMailServer]:
    """A server on a port of this machine while the block runs."""
    server = SmallMailServer()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.port = listener.getsockname()[1]
        threading.Thread(target=server.serve, args=(listener,), daemon=True).start()
        yield server
