"""`assent rate` makes no store in a wrong folder or under a mistyped name, and serves no model that is nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from assent.artifacts.layout import PROJECT
from assent.core.errors import UserError
from assent.pipeline.commands.project import make_project
from assent.service.serve import ServeOptions, refuse_mistaken, serve


def test_no_store_is_made_by_a_wrong_folder_or_a_mistyped_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"no assent\.yaml in this folder .* --new"):
        refuse_mistaken(PROJECT, None, makes_new=False)
    with pytest.raises(UserError, match=r"there is no store .*/rat1ngs\.db; correct --store, or say --new"):
        refuse_mistaken(PROJECT, "rat1ngs.db", makes_new=False)
    refuse_mistaken(PROJECT, "rat1ngs.db", makes_new=True)
    assert list(tmp_path.iterdir()) == []
    make_project(tmp_path / "mine")
    monkeypatch.chdir(tmp_path / "mine")
    Path("feedback.db").unlink()
    refuse_mistaken(PROJECT, None, makes_new=False)  # that of a project


def test_a_model_to_talk_to_that_is_nowhere_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("assent.service.speakers.is_on_hub", lambda model: False)
    with pytest.raises(UserError, match="--model x=nope: there is no such model folder"):
        serve("sqlite:///new.db", ServeOptions(models=("x=nope",)), say=print)
    assert list(tmp_path.iterdir()) == []
