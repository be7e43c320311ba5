"""Mails with links: they reach whom they are for and nobody else, and what fails is seen by those in charge."""

from __future__ import annotations

import contextlib
import re
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from rating_visitors import PAGE, House, Visitor
from small_mail_server import SmallMailServer, running

from assent.feedback.people.events import Event
from assent.feedback.records.settings import ProjectSettings
from assent.web.entry import outbox as sending
from assent.web.entry.config import MailConfig, SignInConfig
from assent.web.entry.outbox import Letter, Outbox, message_of

BASE = "http://testserver"
LETTER = Letter("anna@example.org", "A subject", "A text.\n", about="link", account="r-1")


@dataclass
class Office:
    """The service beside its mail server."""

    house: House
    server: SmallMailServer

    def ask(self, email: str, visitor: Visitor | None = None, **headers: str) -> Any:
        """Ask on the sign-in page for a link, and wait until all mails are under way."""
        visitor = visitor or self.house.visitor(**headers)
        visitor.page("/sign-in")
        answer = visitor.send_form("/sign-in/link", email=email)
        self.house.app.state.context.outbox.wait()
        return answer

    def events(self) -> list[tuple[str, str]]:
        """What the security log says of mails, newest first."""
        return [(event.what, event.about) for event in self.house.store.events.find(what="mail.")]


@contextlib.contextmanager
def _office(folder: Path) -> Iterator[Office]:
    with running() as server:
        mail = MailConfig(host="127.0.0.1", port=server.port, tls="none", sender="Ratings <rate@example.org>")
        options = {"base_url": BASE, "sign_in": SignInConfig(mail=mail)}
        with House.open(f"sqlite:///{folder}/feedback.db", **options) as house:
            house.app.state.context.outbox.pauses = (0.01, 0.01)
            yield Office(house, server)
            house.app.state.context.outbox.stop()


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with _office(tmp_path) as opened:
        yield opened


def _text(mail: EmailMessage) -> str:
    return str(mail.get_content()).replace("\r\n", "\n")


def _anna(office: Office, locale: str | None = None) -> str:
    accounts = office.house.store.accounts
    made = accounts.create("anna", "rater", locale=locale, now=office.house.clock())
    accounts.set_email(made.rater_id, "anna@example.org")
    return made.rater_id


def test_a_link_that_is_asked_for_goes_to_the_address_and_lets_in_once(office: Office) -> None:
    rater_id = _anna(office)
    assert office.ask(" Anna@Example.org").status_code == 200
    (mail,) = office.server.got
    assert (mail["to"], mail["from"]) == ("anna@example.org", "Ratings <rate@example.org>")
    assert mail["auto-submitted"] == "auto-generated" and mail.get_content_type() == "text/plain"
    assert office.server.envelopes == [("FROM:<rate@example.org>", ("TO:<anna@example.org>",))]
    link = re.search(rf"^{BASE}(/enter/\S+)$", _text(mail), re.MULTILINE)
    assert link is not None
    visitor = office.house.visitor()
    assert visitor.enter(link[1].removeprefix("/enter/")).status_code == 303
    assert rater_id in visitor.page("/me")
    office.house.visitor().page(link[1], status=404)
    assert office.events() == [("mail.sent", "link")]


def test_nobody_learns_whether_an_address_is_known(office: Office) -> None:
    rater_id = _anna(office)
    known, unknown, none = (office.ask(email).text for email in ("anna@example.org", "eve@example.org", "no address"))
    without = [re.sub(r'(content|value)="[^"]*"', "", page) for page in (known, unknown, none)]
    assert without[0] == without[1] == without[2] and "a link is on its way" in known
    office.house.store.accounts.change(rater_id, is_disabled=True, now=office.house.clock())
    office.house.clock.now += 1000
    office.ask("anna@example.org")
    assert len(office.server.got) == 1


def test_few_links_are_mailed_to_an_address_and_for_a_client(office: Office) -> None:
    _anna(office)
    assert [office.ask("anna@example.org").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert [office.ask("eve@example.org").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert [office.ask(f"{n}@example.org").status_code for n in range(15)] == [200] * 14 + [429]
    assert len(office.server.got) == 3


def test_the_letter_is_in_the_language_of_the_person(office: Office) -> None:
    _anna(office, locale="de")
    office.ask("anna@example.org", **{"accept-language": "ja"})
    office.house.store.accounts.change(
        office.house.store.accounts.by_login("anna").rater_id,  # type: ignore[union-attr]
        locale="ar",
        now=office.house.clock(),
    )
    office.ask("anna@example.org")
    german, arabic = office.server.got
    assert german["subject"] == "Ihr Link zum Anmelden" and "meldet Sie als anna an" in german.get_content()
    assert "تسجيل" in arabic["subject"]


def test_an_invitation_is_mailed_and_joins_with_the_address(office: Office) -> None:
    office.house.store.projects.save("p", ProjectSettings(title="Über\nalles"), now=office.house.clock())
    admin = office.house.person("admin", "olga")
    admin.page("/admin/people")
    form = {"role": "rater", "project": "p", "uses": "1", "days": "3", "email": "Anna@example.org", "language": "de"}
    page = admin.send_form("/admin/people/invite", **form)
    assert page.status_code == 200 and "anna@example.org" in page.text
    office.house.app.state.context.outbox.wait()
    (mail,) = office.server.got
    assert mail["to"] == "anna@example.org" and mail["subject"] == "Einladung zum Bewerten von Antworten"
    link = re.search(rf"^{BASE}(/join/\S+)$", _text(mail), re.MULTILINE)
    assert link is not None and "2027-01-18" in mail.get_content()
    guest = office.house.visitor()
    guest.page(link[1])
    assert guest.send_form(link[1], login="anna").status_code == 303
    account = office.house.store.accounts.by_email("anna@example.org")
    assert account is not None and account.login == "anna" and account.projects == ("p",)
    assert office.events() == [("mail.sent", "invitation 1")]


@pytest.mark.parametrize("bad", ["anna@example.org\nBcc: eve@example.org", "anna", "a@x.org, b@x.org"])
def test_what_is_no_address_is_refused_and_nothing_is_sent(office: Office, bad: str) -> None:
    admin = office.house.person("admin", "olga")
    admin.page("/admin/people")
    form = {"role": "rater", "project": "", "uses": "1", "days": "3", "email": bad}
    answer = admin.send_form("/admin/people/invite", **form)
    assert answer.status_code == 422 and "is no e-mail address" in answer.text
    office.ask(bad)
    assert office.server.got == [] and office.house.store.accounts.invitations.all() == []


def test_failures_are_seen_by_admins_until_a_mail_goes_out(office: Office) -> None:
    _anna(office)
    office.server.answers = ["550 no such user"]
    office.ask("anna@example.org")
    assert office.events() == [("mail.failed", "link: SMTPRecipientsRefused 550")]
    admin = office.house.person("admin", "olga")
    assert "could not be sent" in admin.page("/admin/people") and "SMTPRecipientsRefused" in admin.page("/admin/log")
    office.ask("anna@example.org")
    assert "could not be sent" not in admin.page("/admin/people") and office.server.connections == 2


def test_what_may_pass_is_tried_three_times_and_what_is_final_once(office: Office) -> None:
    _anna(office)
    office.server.answers = ["451 later", "451 later"]
    office.ask("anna@example.org")
    assert len(office.server.got) == 1 and office.server.connections == 3
    office.server.answers = ["451 later"] * 3
    office.ask("anna@example.org")
    assert office.server.connections == 6 and office.events()[0] == ("mail.failed", "link: SMTPRecipientsRefused 451")


def test_without_a_mail_server_nothing_of_it_is_there(house: House) -> None:
    visitor, admin = house.visitor(), house.person("admin")
    assert "/sign-in/link" not in visitor.page("/sign-in")
    assert visitor.send_form("/sign-in/link", email="anna@example.org").status_code == 404
    page = admin.page("/admin/people")
    assert 'name="email"' not in page and 'name="language"' not in page.partition("<main")[2]


def test_a_form_of_another_site_mails_nothing(office: Office) -> None:
    _anna(office)
    data = {"email": "anna@example.org"}
    assert office.house.visitor().client.post("/sign-in/link", data=data, headers=PAGE).status_code == 403
    assert office.server.got == []


def _outbox(server: SmallMailServer, said: list[Event], **settings: Any) -> Outbox:
    given = {"host": "127.0.0.1", "port": server.port, "tls": "none", "sender": "rate@example.org"}
    return Outbox(MailConfig.parse(given | settings), said.append, lambda: 1_800_000_000.0, pauses=())


@pytest.mark.parametrize(("limit", "dawdles"), [("TIMEOUT", False), ("DEADLINE", True)])
def test_a_server_that_says_nothing_or_never_ends_is_given_up(
    monkeypatch: pytest.MonkeyPatch, limit: str, dawdles: bool
) -> None:
    monkeypatch.setattr(sending, limit, 0.3)
    said: list[Event] = []
    with running() as server:
        server.is_silent, server.dawdles = not dawdles, dawdles
        outbox = _outbox(server, said)
        outbox.post(lambda: LETTER)
        outbox.wait()
        outbox.stop()
    assert [(event.what, event.account) for event in said] == [("mail.failed", "r-1")]


def test_letters_that_wait_when_the_service_stops_or_are_too_many_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Event] = []
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        go_on.wait(30)

    with running() as server:
        outbox = _outbox(server, said)
        outbox.post(slow)
        assert begun.wait(30)
        for _ in range(sending.MOST_WAITING + 1):
            outbox.post(lambda: LETTER)
        assert [event.about for event in said] == ["full"]
        stopping = threading.Thread(target=outbox.stop)
        stopping.start()
        while not outbox._stopping.is_set():
            pass
        go_on.set()
        stopping.join(30)
    assert [event.about for event in said] == ["full", f"stopped {sending.MOST_WAITING}"] and server.got == []


def test_a_letter_that_cannot_be_written_ends_nothing_that_comes_after() -> None:
    said: list[Event] = []

    def odd() -> Letter:
        raise RuntimeError("odd")

    with running() as server:
        outbox = _outbox(server, said)
        outbox.post(odd)
        outbox.post(lambda: LETTER)
        outbox.wait()
        outbox.stop()
    assert [event.what for event in said] == ["mail.failed", "mail.sent"] and len(server.got) == 1


def test_headers_hold_no_line_breaks_whatever_is_put_in() -> None:
    config = MailConfig(host="mail.example.org", sender='"Lab, Ratings" <rate@example.org>')
    message = message_of(Letter("a@example.org", "One\r\nBcc: eve@example.org", "t", about=""), config, now=0)
    assert message["subject"] == "One Bcc: eve@example.org" and message["bcc"] is None
    assert message["from"].addresses[0].display_name == "Lab, Ratings"
    with pytest.raises(ValueError):
        message_of(Letter("a@example.org\r\nBcc: eve@example.org", "One", "t", about=""), config, now=0)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(path), "-out", f"{path}.crt"]
    made = subprocess.run(command, capture_output=True)
    if made.returncode != 0:
        pytest.skip("openssl is not installed")
    return path


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
@pytest.mark.parametrize("is_known", [True, False])
def test_the_password_goes_over_an_encrypted_line_to_the_right_server_only(
    monkeypatch: pytest.MonkeyPatch, certificate: Path, tls: str, is_known: bool
) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", "pass word")
    if is_known:
        monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")
    said: list[Event] = []
    with running() as server:
        server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.tls.load_cert_chain(f"{certificate}.crt", certificate)
        server.is_implicit = tls == "implicit"
        outbox = _outbox(server, said, tls=tls, user="rate", password_env="MAIL_PASSWORD")
        outbox.post(lambda: LETTER)
        outbox.wait()
        outbox.stop()
    if is_known:
        assert server.signed_in == ["\0rate\0pass word"] and server.encrypted == 1 and len(server.got) == 1
    else:
        assert server.signed_in == [] and server.got == []
        assert [event.about for event in said] == ["link: SSLCertVerificationError"]


def test_a_server_that_offers_no_encryption_gets_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", "secret")
    said: list[Event] = []
    with running() as server:
        outbox = _outbox(server, said, tls="starttls", user="rate", password_env="MAIL_PASSWORD")
        outbox.post(lambda: LETTER)
        outbox.wait()
        outbox.stop()
    assert server.signed_in == [] and [event.about for event in said] == ["link: SMTPNotSupportedError"]
