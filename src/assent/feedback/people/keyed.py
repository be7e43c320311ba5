"""Values of the whole store, among them the key with which addresses and logins are hashed before they are kept.

A plain hash of an address is undone by trying all addresses; one with a key of the store is not, without the store.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from sqlalchemy import Connection, select

from assent.feedback.tables.connection import insert_missing, upsert
from assent.feedback.tables.people import StoreValue

_KEY = "key"


def keyed(connection: Connection, text: str) -> str:
    """A hash of a text that only this store can make."""
    key = value_of(connection, _KEY)
    if key is None:
        insert_missing(connection, StoreValue, [{"name": _KEY, "value": secrets.token_hex(32)}])
        key = value_of(connection, _KEY) or ""
    return hmac.new(key.encode(), text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def value_of(connection: Connection, name: str) -> str | None:
    """A value; None where it was never written."""
    return connection.execute(select(StoreValue.value).where(StoreValue.name == name)).scalar()


def write_value(connection: Connection, name: str, value: str) -> None:
    """Write a value, or replace it."""
    statement = upsert(connection.dialect.name, StoreValue).values(name=name, value=value)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"value": value}))
