"""Artifacts: what is damaged is never used, what is whole is found by its key."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from assent.artifacts.store import Artifact, ArtifactStore, InvalidArtifactError, Manifest, verify
from assent.core.errors import RunError, UserError

KEY = "ab" * 32


def manifest(key: str = KEY, **more: object) -> Manifest:
    return Manifest(kind="policy", key=key, stage="sft", version=1, config={"epochs": 2}, **more)  # type: ignore[arg-type]


def filled(folder: Path) -> Path:
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "weights.bin").write_bytes(bytes(range(256)) * 40)
    (folder / "notes.txt").write_text("hello\n")
    return folder


def committed(tmp_path: Path) -> tuple[ArtifactStore, Artifact]:
    store = ArtifactStore(tmp_path / "artifacts", say=lambda text: None)
    return store, store.commit(filled(tmp_path / "output"), manifest())


def fresh_store(tmp_path: Path, said: list[str], *, read_only: bool = False) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts", say=said.append, read_only=read_only)


def test_what_is_committed_is_found_by_its_key_with_every_file_listed(tmp_path: Path) -> None:
    _, artifact = committed(tmp_path)
    found = fresh_store(tmp_path, []).find(KEY)
    assert found == artifact
    assert found.name == "policy-abababababab"
    assert list(found.manifest.files) == ["model/weights.bin", "notes.txt"]
    assert found.manifest.files["notes.txt"].size == 6
    assert found.file("notes.txt").read_text() == "hello\n"
    assert found.file("model").is_dir()
    assert not (tmp_path / "output").exists()


def test_a_file_it_does_not_have_is_named_beside_those_it_has(tmp_path: Path) -> None:
    _, artifact = committed(tmp_path)
    with pytest.raises(
        RunError, match=r"policy-abababababab has no file 'mode'; it has: model/weights\.bin, notes\.txt"
    ):
        artifact.file("mode")


def truncate(folder: Path) -> None:
    path = folder / "model" / "weights.bin"
    path.write_bytes(path.read_bytes()[:-1])


def flip_a_bit(folder: Path) -> None:
    path = folder / "model" / "weights.bin"
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)


def drop_a_file(folder: Path) -> None:
    (folder / "notes.txt").unlink()


def drop_the_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def halve_the_manifest(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text()[:200])


def change_the_manifest(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"epochs": 2', '"epochs": 3'))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncate, "model/weights.bin has 10239 bytes instead of 10240"),
        (flip_a_bit, "model/weights.bin has changed since it was written"),
        (drop_a_file, "notes.txt is missing"),
        (drop_the_manifest, "it has no manifest"),
        (halve_the_manifest, "its manifest cannot be read"),
        (change_the_manifest, "its manifest has changed since it was written"),
    ],
)
def test_a_damaged_artifact_is_reported_in_one_line_and_removed(
    tmp_path: Path, damage: Callable[[Path], None], words: str
) -> None:
    _, artifact = committed(tmp_path)
    damage(artifact.folder)
    said: list[str] = []
    assert fresh_store(tmp_path, said).find(KEY) is None
    assert said == [f"policy-abababababab is not valid ({words}); it will be made again"]
    assert not artifact.folder.exists()


def test_a_read_only_store_leaves_a_damaged_artifact_where_it_is(tmp_path: Path) -> None:
    _, artifact = committed(tmp_path)
    truncate(artifact.folder)
    assert fresh_store(tmp_path, [], read_only=True).find(KEY) is None
    assert artifact.folder.exists()


def test_a_stray_file_of_the_users_does_not_invalidate(tmp_path: Path) -> None:
    _, artifact = committed(tmp_path)
    (artifact.folder / "my-remarks.txt").write_text("good one")
    assert verify(artifact.folder) == artifact.manifest


def test_an_artifact_with_another_key_of_the_same_beginning_is_not_taken(tmp_path: Path) -> None:
    committed(tmp_path)
    other = KEY[:12] + "0" * 52
    assert fresh_store(tmp_path, []).find(other) is None
    assert fresh_store(tmp_path, []).find(KEY) is not None


OTHER = """
import os, sys
from assent.artifacts import store
from assent.core.errors import UnreadableError
os.setgroups([int(number) for number in sys.argv[3:]]); os.setgid(65534); os.setuid(65534)
found = store.ArtifactStore(store.Path(sys.argv[1]), say=print)
for look in (lambda: found.find(sys.argv[2]), found.all):
    try:
        print(look())
    except UnreadableError as error:
        print(error)
"""


def as_nobody(folder: Path, *groups: int) -> list[str]:
    """What a user without rights, but in these groups, is told of the artifact of a store and of all."""
    command = [sys.executable, "-c", OTHER, str(folder / "artifacts"), KEY, *map(str, groups)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[:2]


ROOT_ONLY = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that everybody may enter, which those of `tmp_path` are not."""
    with tempfile.TemporaryDirectory() as above:
        Path(above).chmod(0o777)
        yield Path(above)


@ROOT_ONLY
@pytest.mark.parametrize("name", ["notes.txt", "manifest.json"])
def test_what_another_user_may_not_read_is_one_line_and_is_not_removed(shared: Path, name: str) -> None:
    _, artifact = committed(shared)
    for one in (shared / "artifacts", artifact.folder):
        one.chmod(0o777)
    (artifact.folder / name).chmod(0o600)
    first, second = as_nobody(shared)
    asked = "you may not read it; you share no group with root: have root put a copy where you may read it: cp -r"
    assert (
        first == f"cannot read {artifact.folder / name}: it belongs to root, and {asked} {shared / 'artifacts'} PLACE"
    )
    assert second.endswith("; left out") == (name == "manifest.json")
    assert verify(artifact.folder) == artifact.manifest


@ROOT_ONLY
@pytest.mark.parametrize(("group", "begins"), [(0, "chmod -R g+rX "), (12345, "chgrp -R root ")])
def test_the_command_that_the_owner_is_to_give_lets_the_group_in(shared: Path, group: int, begins: str) -> None:
    _, artifact = committed(shared)
    for one in (shared / "artifacts", artifact.folder):
        one.chmod(0o777)
    for one in (path for path in artifact.folder.rglob("*") if path.is_file()):
        one.chmod(0o600)
        os.chown(one, 0, group)
    said, _, command = as_nobody(shared, 0)[0].partition("; root lets your group in with: ")
    assert said.endswith("it belongs to root, and you may not read it") and command.startswith(begins)
    subprocess.run(command, shell=True, check=True)
    assert as_nobody(shared, 0)[0].startswith("Artifact(")


def test_a_link_in_the_output_is_refused(tmp_path: Path) -> None:
    output = filled(tmp_path / "output")
    (output / "link").symlink_to(output / "notes.txt")
    with pytest.raises(RunError, match="link is a link; copy the file instead"):
        ArtifactStore(tmp_path / "artifacts", say=print).commit(output, manifest())


def test_people_may_name_an_artifact_by_the_beginning_of_its_name_or_key(tmp_path: Path) -> None:
    store, artifact = committed(tmp_path)
    second = store.commit(filled(tmp_path / "second"), manifest("cd" * 32, created="2026-01-01"))
    assert store.named("policy-ab") == artifact
    assert store.named("cdcd") == second
    with pytest.raises(UserError, match=r"'policy' fits several artifacts; choose from: policy-ab.*, policy-cd"):
        store.named("policy")
    with pytest.raises(UserError, match="'reward' is no artifact here; choose from: policy-"):
        store.named("reward")


def test_the_manifest_on_disk_reads_as_plain_json(tmp_path: Path) -> None:
    _, artifact = committed(tmp_path)
    values = json.loads((artifact.folder / "manifest.json").read_text())
    assert values["config"] == {"epochs": 2} and values["key"] == KEY


def test_a_folder_that_is_no_artifact_is_refused_when_opened(tmp_path: Path) -> None:
    with pytest.raises(InvalidArtifactError, match="it has no manifest"):
        Artifact.at(tmp_path)


def test_a_disk_that_fills_up_during_the_commit_leaves_no_artifact_and_says_so_in_one_line(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        output = filled(disk / "output")
        with (disk / "ballast").open("wb", buffering=0) as ballast, pytest.raises(OSError, match="No space"):
            while True:
                ballast.write(bytes(4096))
        store = ArtifactStore(disk / "artifacts", say=print)
        with pytest.raises(RunError, match=r"^disk full while writing .*free some space") as caught:
            store.commit(output, manifest())
        assert "\n" not in str(caught.value)
        assert store.find(KEY) is None
    finally:
        subprocess.run(["umount", disk], check=True)
