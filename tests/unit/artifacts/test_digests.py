"""Digests: a large file is read once, and again as soon as anybody wrote to it, or every byte is asked for."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from assent.artifacts import digests
from assent.artifacts.digests import digest_of, reading_everything
from assent.artifacts.stage import LogOptions, Runner, Stage, StageContext
from assent.artifacts.store import Artifact, ArtifactStore, Manifest, SpoiledArtifactError
from assent.core.config import Config
from assent.core.hashing import hash_file

LARGE = bytes(range(256)) * 8192
KEY = "ab" * 32


@pytest.fixture(autouse=True)
def reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """A cache of the test's own; how often each file is read."""
    found: Counter[str] = Counter()

    def counted(path: Path) -> str:
        found[path.name] += 1
        return hash_file(path)

    monkeypatch.setenv(digests.CACHE, str(tmp_path / "cache"))
    monkeypatch.setattr(digests, "hash_file", counted)
    monkeypatch.setattr(digests, "_SETTLED_SECONDS", 0.0)
    forget()
    return found


def forget() -> None:
    """As in a process that has only just started."""
    digests.write()
    for known in (digests._seen, digests._read_from):
        known.clear()


def large(path: Path, content: bytes = LARGE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def flipped(path: Path) -> None:
    """One bit changed, with size and mtime as they were."""
    before = path.stat()
    with path.open("r+b") as stream:
        stream.seek(5000)
        stream.write(bytes([LARGE[5000] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def flipped_by_the_disk(path: Path) -> None:
    """The same with no trace at all: what is remembered of the file fits its size, times and inode."""
    digest = digest_of(path)
    flipped(path)
    digests.note(path, digest)


def test_a_large_file_is_read_once_also_by_the_next_process(tmp_path: Path, reads: Counter[str]) -> None:
    path = large(tmp_path / "weights")
    assert digest_of(path) == digest_of(path) == hash_file(path)
    forget()
    assert digest_of(path) == hash_file(path)
    assert reads["weights"] == 1


def test_a_bit_that_somebody_changed_is_seen_though_size_and_mtime_are_kept(tmp_path: Path) -> None:
    path = large(tmp_path / "weights")
    before = digest_of(path)
    flipped(path)
    assert digest_of(path) == hash_file(path) != before


def test_the_same_bytes_with_a_new_time_are_read_again_and_are_the_same(tmp_path: Path, reads: Counter[str]) -> None:
    path = large(tmp_path / "weights")
    before = digest_of(path)
    os.utime(path)
    assert digest_of(path) == before
    assert reads["weights"] == 2


def test_a_file_that_was_written_just_now_is_not_taken_for_settled(
    tmp_path: Path, reads: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "_SETTLED_SECONDS", 3600.0)
    path = large(tmp_path / "weights")
    assert digest_of(path) == digest_of(path)
    assert reads["weights"] == 2


@pytest.mark.parametrize("kept", ["", "[]", '{"x": 1}', '{"x": [1, 2, 3, 4, 5, "short"]}', '{"x'])
def test_a_spoiled_cache_costs_one_reading(tmp_path: Path, kept: str) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / digests.KEPT).write_text(kept)
    assert digest_of(large(tmp_path / "weights")) == hash_file(tmp_path / "weights")
    digests.write()
    assert [*json.loads((tmp_path / "cache" / digests.KEPT).read_text())] == [str(tmp_path / "weights")]


def test_two_processes_keep_what_the_other_has_read(tmp_path: Path) -> None:
    one, other = large(tmp_path / "one"), large(tmp_path / "other")
    digest_of(one)
    forget()
    (tmp_path / "cache" / "aside").write_bytes((tmp_path / "cache" / digests.KEPT).read_bytes())
    digest_of(other)
    (tmp_path / "cache" / "aside").replace(tmp_path / "cache" / digests.KEPT)  # as it was when we began
    forget()
    assert {*json.loads((tmp_path / "cache" / digests.KEPT).read_text())} >= {str(one)}


def test_where_nothing_can_be_kept_files_are_read_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(digests.CACHE, str(tmp_path / "file" / "cache"))
    assert digest_of(large(tmp_path / "weights")) == hash_file(tmp_path / "weights")


def committed(tmp_path: Path) -> Artifact:
    large(tmp_path / "output" / "weights")
    manifest = Manifest(kind="policy", key=KEY, stage="sft", version=1, config={})
    return store(tmp_path).commit(tmp_path / "output", manifest)


def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts", say=lambda text: None)


def test_an_artifact_is_found_without_reading_its_weights_and_read_when_used(
    tmp_path: Path, reads: Counter[str]
) -> None:
    committed(tmp_path)
    forget()
    fresh = store(tmp_path)
    found = fresh.find(KEY)
    assert found is not None and reads["weights"] == 0
    fresh.read(found)
    fresh.read(found)
    assert reads["weights"] == 1


def test_what_the_disk_spoiled_is_found_on_use_and_where_every_byte_is_asked_for(tmp_path: Path) -> None:
    artifact = committed(tmp_path)
    flipped_by_the_disk(artifact.folder / "weights")
    fresh = store(tmp_path)
    assert fresh.find(KEY) is not None, "nothing shows it"
    reader = ArtifactStore(tmp_path / "artifacts", say=lambda text: None, read_only=True)
    with reading_everything():
        assert reader.find(KEY) is None
    with pytest.raises(SpoiledArtifactError, match=r"weights has changed since it was written\) and was removed"):
        fresh.read(artifact)
    assert not artifact.folder.exists() and fresh.find(KEY) is None


def test_a_wrong_memory_condemns_no_artifact(tmp_path: Path) -> None:
    artifact = committed(tmp_path)
    digests.note(artifact.folder / "weights", "0" * 64)
    assert store(tmp_path).find(KEY) is not None


class Nothing(Config):
    """No settings."""


def _write(ctx: StageContext, config: Nothing) -> dict[str, Any]:
    large(ctx.output / "weights")
    return {}


def _measure(ctx: StageContext, config: Nothing, *, policy: Artifact) -> dict[str, Any]:
    return {"bytes": policy.file("weights").stat().st_size}


def _run(root: Path) -> list[str]:
    with Runner(root, seed=0, logs=LogOptions(quiet=True, tensorboard=False)) as run:
        policy = run(Stage("write", 1, "policy", _write), Nothing())
        run(Stage("measure", 1, "measurement", _measure), Nothing(), policy=policy)
        return [step.state for step in run.steps]


def test_a_run_reads_what_its_stages_use_and_makes_a_spoiled_one_again(tmp_path: Path) -> None:
    assert _run(tmp_path) == ["ran", "ran"]
    [weights] = tmp_path.glob("artifacts/policy-*/weights")
    [measured] = tmp_path.glob("artifacts/measurement-*")
    flipped_by_the_disk(weights)
    assert _run(tmp_path) == ["done", "done"], "nothing is used, nothing is read"
    (measured / "manifest.json").unlink()
    with pytest.raises(SpoiledArtifactError):
        _run(tmp_path)
    assert _run(tmp_path) == ["ran", "ran"]
