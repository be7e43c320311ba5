"""What somebody does at the command line leaves an event in the security log, under their name on this machine.

note(store.events, "feedback export", project="default")
note_at("sqlite:///feedback.db", "store copy")          a store that is not to be upgraded by looking at it
"""

from __future__ import annotations

import logging
import os
import pwd
import time

from assent.core.errors import AssentError
from assent.feedback.people.events import Event, Events
from assent.feedback.tables.connection import read_transaction
from assent.feedback.tables.schema import HEAD, revision
from assent.feedback.verifying import existing

LOG = logging.getLogger("assent.security")


def note(events: Events, command: str, *, about: str = "", project: str | None = None) -> None:
    """Keep that a command was given: `about` is a number, an id or a word of ours, never words of people.

    A log that cannot be written is said, and the command goes on: who may read the file may copy it anyway.
    """
    event = Event(f"command.{command}", account=f"os:{_user()}", about=about, project=project)
    try:
        events.record(event, now=time.time())
    except AssentError as problem:
        LOG.error("the security log could not be written (%s): %s", event.what, problem)


def note_at(url: str, command: str) -> bool:
    """Keep it in the store at a URL; False where its schema is an older one, which has no place for it.

    Raises StoreError where there is no store.
    """
    engine = existing(url)
    try:
        with read_transaction(engine) as connection:
            if revision(connection) != HEAD:
                return False
        note(Events(engine), command)
        return True
    finally:
        engine.dispose()


def _user() -> str:
    """Who runs this process: by the system's word, for the environment's can be anything."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
