"""How answers are to be drawn by a model's own generation_config.json: what is stated, and nothing that is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from assent.core.errors import ModelError
from assent.models.suggested import suggested_sampling


def _folder(place: Path, **values: Any) -> Path:
    place.mkdir()
    (place / "generation_config.json").write_text(json.dumps(values), encoding="utf-8")
    return place


def test_what_is_stated_is_told_and_a_top_k_of_0_is_none(tmp_path: Path) -> None:
    usual = {"do_sample": True, "temperature": 0.7, "top_p": 0.8, "eos_token_id": [1, 2]}
    assert suggested_sampling(_folder(tmp_path / "a", **usual, top_k=0)) == {"temperature": 0.7, "top_p": 0.8}
    assert suggested_sampling(_folder(tmp_path / "b", top_k=20, temperature=None)) == {"top_k": 20}
    (tmp_path / "c").mkdir()
    assert suggested_sampling(tmp_path / "c") == {}


def test_an_adapter_has_the_file_of_its_base_unless_it_has_its_own(tmp_path: Path) -> None:
    base = _folder(tmp_path / "base", temperature=0.6)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "base_model_name_or_path": str(base)}), encoding="utf-8"
    )
    assert suggested_sampling(adapter) == {"temperature": 0.6}
    (adapter / "generation_config.json").write_text('{"top_p": 0.9}', encoding="utf-8")
    assert suggested_sampling(adapter) == {"top_p": 0.9}


@pytest.mark.parametrize("text", ["{half", "[1]"])
def test_a_file_that_is_no_json_object_is_an_error_of_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "generation_config.json").write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match="holds no JSON object; mend it"):
        suggested_sampling(tmp_path)
