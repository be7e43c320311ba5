"""What the store holds after the crowd, against what every rater wrote down."""

from __future__ import annotations

from collections import Counter
from typing import Any

from crowd_raters import Sent, Tally
from sqlalchemy import text

from assent.core.types import Judgment
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.feedback.tables.connection import connect, read_transaction

KEPT = ("stored", "known", "skipped", "surplus")

TWICE = """SELECT slot_id, count(*) FROM judgment WHERE superseded_by IS NULL AND slot_id IS NOT NULL
GROUP BY slot_id HAVING count(*) > 1"""
UNSPENT = """SELECT judgment.id FROM judgment JOIN slot ON slot.id = judgment.slot_id
LEFT JOIN lease ON lease.slot_id = slot.id
WHERE judgment.superseded_by IS NULL AND (slot.is_filled = :no OR lease.is_spent IS NULL OR lease.is_spent = :no)"""
FILLED_BY_NOBODY = """SELECT slot.id FROM slot LEFT JOIN judgment
ON judgment.slot_id = slot.id AND judgment.superseded_by IS NULL
WHERE slot.is_filled = :yes AND judgment.id IS NULL"""
SLOTS = "SELECT id, slot_id FROM judgment WHERE superseded_by IS NULL AND outcome <> 'erased'"
EMPTY = """SELECT id FROM judgment WHERE superseded_by IS NULL AND outcome = 'ranked' AND ranking IS NULL"""


def check(url: str, queue: Queue, tally: Tally) -> list[str]:
    """Every way in which the store differs from what raters were told; nothing where all is well."""
    with Store.open(url) as store:
        logins = {account.login: account.rater_id for account in store.accounts.all()}
        stored = {j.id: j for j in store.judgments(queue, with_superseded=True)}
        current = {(j.task_id, j.rater_id): j for j in store.judgments(queue)}
        repeats = Counter(j.id for j in store.judgments(queue, with_superseded=True))
    problems = [*tally.problems, *(f"{i} was brought in and is not there" for i in tally.brought if i not in stored)]
    stored = {i: judgment for i, judgment in stored.items() if i not in tally.brought}
    current = {key: judgment for key, judgment in current.items() if judgment.id not in tally.brought}
    sent = {i: s for i, s in tally.sent.items() if s.expected is None}
    problems += [f"{i} is in the store {n} times" for i, n in repeats.items() if n > 1]
    problems += [
        f"{i} was acknowledged as {s.status} and is not there" for i, s in sent.items() if s.status and i not in stored
    ]
    problems += [f"{i} was never acknowledged" for i, s in sent.items() if s.status not in KEPT and s.refused is None]
    problems += [f"{i} is in the store, but nobody meant it" for i in stored if i not in sent]
    problems += [f"{i} was refused and kept" for i, s in sent.items() if s.refused and i in stored]
    for i, judgment in stored.items():
        if i in sent:
            problems += [f"{i}: {what}" for what in differences(judgment, sent[i], logins)]
    problems += untouched(tally, logins, stored)
    problems += last_word(sent, logins, current)
    return problems + structure(url, sent)


def differences(stored: Judgment, meant: Sent, logins: dict[str, str]) -> list[str]:
    """Where a stored judgment is not what its rater meant."""
    body, found = meant.body, []
    tiers = body.get("ranking") and [sorted(tier) for tier in body["ranking"]["tiers"]]
    kept = None if stored.ranking is None else [sorted(tier) for tier in stored.ranking.tiers]
    if tiers != kept:
        found.append(f"order {kept}, meant {tiers}")
    facts: list[tuple[str, Any, Any]] = [
        ("rater", stored.rater_id, logins.get(meant.login.lower())),
        ("task", stored.task_id, body["task_id"]),
        ("order shown", stored.order_shown, meant.order),
        ("flags", {k: list(v) for k, v in stored.flags.items()}, body.get("flags", {})),
        ("skip reason", stored.skip_reason, body.get("skip_reason")),
        ("critique", stored.critique, body.get("critique")),
        ("supersedes", stored.supersedes, body.get("supersedes")),
        ("seconds", stored.seconds, body["seconds"]),
    ]
    if stored.ranking is not None:
        facts.append(("strengths", list(stored.ranking.strengths or ()), body["ranking"]["strengths"]))
    return found + [f"{name} {is_!r}, meant {was!r}" for name, is_, was in facts if is_ != was]


def untouched(tally: Tally, logins: dict[str, str], stored: dict[str, Judgment]) -> list[str]:
    """Judgments of tasks that their rater opened and never touched."""
    never = {(logins.get(login.lower()), task) for login, task in tally.untouched}
    return [f"{j.id} is of a task that was never touched" for j in stored.values() if (j.rater_id, j.task_id) in never]


def last_word(sent: dict[str, Sent], logins: dict[str, str], current: dict[tuple[str, str], Judgment]) -> list[str]:
    """Where the judgment that holds is not the last that a rater sent about a task."""
    last = {(s.body["task_id"], logins.get(s.login.lower(), "")): i for i, s in sent.items() if s.status in KEPT}
    holds = {key: judgment.id for key, judgment in current.items()}
    wrong = [key for key in last.keys() | holds.keys() if last.get(key) != holds.get(key)]
    return [f"{key} holds {holds.get(key)}, the last word was {last.get(key)}" for key in wrong]


def structure(url: str, sent: dict[str, Sent]) -> list[str]:
    """Slots judged twice or filled by nobody, judgments without a lease of their own or without placed answers.

    And slots that are not as the raters were told: what was stored has one, what was skipped or surplus has none.
    """
    engine = connect(url)
    rules = {
        "a slot judged twice": TWICE,
        "a judgment whose slot is not its own": UNSPENT,
        "a slot filled by nobody": FILLED_BY_NOBODY,
        "a ranking without answers": EMPTY,
    }
    found: list[str] = []
    with read_transaction(engine) as connection:
        for what, query in rules.items():
            names = {name: value for name, value in (("no", False), ("yes", True)) if f":{name}" in query}
            found += [f"{what}: {tuple(row)}" for row in connection.execute(text(query), names)]
        for name, slot in connection.execute(text(SLOTS)):
            told = sent[name].status if name in sent else None
            if told in ("stored", "skipped", "surplus") and (slot is not None) != (told == "stored"):
                found.append(f"{name} was acknowledged as {told} and has the slot {slot}")
    engine.dispose()
    return found
