"""The second factor: codes of an authenticator app (RFC 6238), each good for one sign-in within a minute and a half."""

from __future__ import annotations

import hmac

import pyotp
from sqlalchemy import Connection, select, update

from assent.core.errors import StoreError
from assent.feedback.records.people import Account
from assent.feedback.tables.people import AccountRow

ISSUER = "Assent"
STEP = 30
"""Seconds for which an app shows a code."""
_AROUND = 1  # a code of the half minute before or after counts too: clocks differ, and people type slowly


class CodeNeeded(StoreError):
    """The account has a second factor, and the code is missing, wrong, or was used already."""

    def __init__(self) -> None:
        super().__init__("the code is missing, wrong or used already; type the one that your app shows now")


def new_secret() -> str:
    """A new key, in base32 as apps take it."""
    return pyotp.random_base32()


def link(secret: str, login: str) -> str:
    """The address that authenticator apps take a key from."""
    return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=ISSUER)


def check(connection: Connection, account: Account, code: str, *, now: float) -> None:
    """Use a code up. Raises CodeNeeded; an account without second factor needs none."""
    if not account.has_second_factor:
        return
    query = select(AccountRow.totp_secret, AccountRow.totp_used).where(AccountRow.rater_id == account.rater_id)
    row = connection.execute(query.with_for_update()).one()
    counter = _counter(row.totp_secret, code, now=now)
    if counter is None or counter <= (row.totp_used or 0):
        raise CodeNeeded
    mine = update(AccountRow).where(AccountRow.rater_id == account.rater_id)
    connection.execute(mine.values(totp_used=counter))


def begin(connection: Connection, account: Account, secret: str, code: str, *, now: float) -> None:
    """Keep a key, once its owner has shown that their app makes its codes. Raises CodeNeeded."""
    counter = _counter(secret, code, now=now)
    if counter is None:
        raise CodeNeeded
    mine = update(AccountRow).where(AccountRow.rater_id == account.rater_id)
    connection.execute(mine.values(totp_secret=secret, totp_used=counter))


def remove(connection: Connection, rater_id: str) -> None:
    """Forget a key."""
    mine = update(AccountRow).where(AccountRow.rater_id == rater_id)
    connection.execute(mine.values(totp_secret=None, totp_used=None))


def _counter(secret: str, code: str, *, now: float) -> int | None:
    """The number of the half minute that a code belongs to; None where it is none of around now."""
    given = "".join(code.split())
    try:
        clock = pyotp.TOTP(secret)
        for counter in range(int(now) // STEP - _AROUND, int(now) // STEP + _AROUND + 1):
            if hmac.compare_digest(clock.generate_otp(counter).encode(), given.encode("utf-8", "replace")):
                return counter
    except ValueError:  # not base32
        return None
    return None
