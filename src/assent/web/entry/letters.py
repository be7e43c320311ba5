"""What mails say: an invitation, a one-time link; plain text in the language of whoever gets it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from assent.core.errors import UserError
from assent.feedback.records.people import Invitation
from assent.feedback.store import Store
from assent.web.catalogs import Catalogs
from assent.web.entry.outbox import Letter


@dataclass(frozen=True)
class Letters:
    """Writes the mails of a service; `link` makes a link to hand out of a path."""

    store: Store
    catalogs: Catalogs
    link: Callable[[str], str]
    clock: Callable[[], float]

    def invitation(self, invitation: Invitation, token: str, *, language: str) -> Letter:
        """A letter to whom an invitation is for, with its link. Raises UserError for one that is for nobody named."""
        if invitation.email is None:
            raise UserError("this invitation is for no address; make one that is")
        titles = {project.name: project.settings.title for project in self.store.projects.all()}
        project = titles.get(invitation.project or "") or invitation.project
        day = f"{datetime.fromtimestamp(invitation.expires_at, UTC):%Y-%m-%d}"
        text = self._text(
            language,
            ("join.title", {}),
            ("join.project" if project else "join.all", {"project": project}),
            self.link(f"/join/{token}"),
            ("mail.invitation.ends", {"day": day}),
        )
        subject = self.catalogs.text(language, "mail.invitation.subject")
        return Letter(invitation.email, subject, text, about=f"invitation {invitation.id}")

    def one_time_link(self, email: str, *, language: str) -> Letter | None:
        """A letter with a new link to the account of an address; None where there is none that may come in."""
        account = self.store.accounts.by_email(email)
        if account is None:
            return None
        token = self.store.accounts.new_link(account.rater_id, now=self.clock())
        language = account.locale or language
        text = self._text(
            language, ("mail.link.text", {"login": account.login}), self.link(f"/enter/{token}"), ("mail.link.ends", {})
        )
        subject = self.catalogs.text(language, "mail.link.subject")
        return Letter(email, subject, text, about="link", account=account.rater_id)

    def _text(self, language: str, *parts: str | tuple[str, dict[str, object]]) -> str:
        """Paragraphs: texts as they are, and those of the catalog with what is filled in."""
        said = [one if isinstance(one, str) else self.catalogs.text(language, one[0], **one[1]) for one in parts]
        return "\n\n".join([*said, self.catalogs.text(language, "mail.unasked")]) + "\n"
