"""Forgetting somebody takes their words out of the very file, not only out of what queries find."""

from __future__ import annotations

from pathlib import Path

from store_samples import judgment, people, task

from assent.core.types import Note
from assent.feedback.records.queue import Queue, Viewing
from assent.feedback.store import Store
from assent.feedback.tables.connection import connect, read_transaction

SECRET = "unmistakable-words"


def _bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.glob("feedback.db*")))


def test_what_an_erased_person_wrote_stands_nowhere_in_the_file(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/feedback.db") as store:
        for rater in people("anna", "ben"):
            store.register_rater(rater, now=0)
        store.add_tasks([task(f"t{n}") for n in range(40)], slots=2, now=0)
        for n in range(40):
            for rater, word in (("anna", f"{SECRET}-{n} "), ("ben", f"ben-says-{n} ")):
                long = word * (1 + 60 * (n % 7))  # some fill pages of their own
                said = judgment(
                    task(f"t{n}"),
                    rater,
                    f"{rater}-{n}",
                    critique=long,
                    notes=(Note(completion_id=f"t{n}/0", text=word),),
                )
                store.submit(said, now=n, viewing=Viewing("en", word, events=({"typed": word},)))
        assert _bytes(tmp_path).count(SECRET.encode()) > 100
        store.erase_rater("anna", now=99)
        assert SECRET.encode() not in _bytes(tmp_path)
        kept = [j for j in store.judgments(Queue()) if j.rater_id == "ben"]
        assert len(kept) == 40 and all((j.critique or "").startswith("ben-says-") for j in kept)
    assert SECRET.encode() not in _bytes(tmp_path)


def test_erasing_does_not_wait_for_somebody_who_reads(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/feedback.db"
    with Store.open(url) as store:
        store.register_rater(people("anna")[0], now=0)
        store.add_tasks([task("t")], now=0)
        store.submit(judgment(task("t"), "anna", "j", critique=SECRET), now=1)
        engine = connect(url)
        with read_transaction(engine) as connection:
            connection.exec_driver_sql("SELECT count(*) FROM judgment").all()
            assert store.erase_rater("anna", now=2).judgments == 1
        engine.dispose()
    assert SECRET.encode() not in _bytes(tmp_path), "the last to close the store empties its log"
