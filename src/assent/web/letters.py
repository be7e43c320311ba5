"""What mails say: an invitation, a one-time link; plain text in the language of whoever gets it."""

from __future__ import annotations

from datetime import UTC, datetime

from assent.core.errors import UserError
from assent.feedback.records.people import Invitation
from assent.web.context import Context
from assent.web.outbox import Letter


def invitation_letter(context: Context, invitation: Invitation, token: str, *, language: str) -> Letter:
    """A letter to whom an invitation is for, with its link. Raises UserError for one that is for nobody named."""
    if invitation.email is None:
        raise UserError("this invitation is for no address; make one that is")
    titles = {project.name: project.settings.title for project in context.store.projects.all()}
    project = titles.get(invitation.project or "") or invitation.project
    what = "join.project" if project else "join.all"
    day = f"{datetime.fromtimestamp(invitation.expires_at, UTC):%Y-%m-%d}"
    parts = (
        f"{_text(context, language, 'join.title')}. {_text(context, language, what, project=project)}",
        context.link(f"/join/{token}"),
        _text(context, language, "mail.invitation.ends", day=day),
        _text(context, language, "mail.unasked"),
    )
    subject = _text(context, language, "mail.invitation.subject")
    return Letter(invitation.email, subject, _paragraphs(*parts), about=f"invitation {invitation.id}")


def link_letter(context: Context, email: str, *, language: str) -> Letter | None:
    """A letter with a new one-time link to the account of an address; None where there is none that may come in."""
    accounts = context.store.accounts
    account = accounts.by_email(email)
    if account is None:
        return None
    token = accounts.new_link(account.rater_id, now=context.now())
    language = account.locale or language
    parts = (
        _text(context, language, "mail.link.text", login=account.login),
        context.link(f"/enter/{token}"),
        _text(context, language, "mail.link.ends"),
        _text(context, language, "mail.unasked"),
    )
    subject = _text(context, language, "mail.link.subject")
    return Letter(email, subject, _paragraphs(*parts), about="link", account=account.rater_id)


def _text(context: Context, language: str, key: str, **values: object) -> str:
    return context.catalogs.text(language, key, **values)


def _paragraphs(*parts: str) -> str:
    return "\n\n".join(parts) + "\n"
