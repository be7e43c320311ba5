"""Which processors compute in bfloat16, and what is done on one that does not."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
import torch

from assent.core import processor
from assent.models.config import ModelConfig

AVX512 = "fpu sse2 avx2 avx512f avx512dq avx512bw avx512vl"


@pytest.mark.parametrize(
    ("text", "machine", "expected"),
    [
        (f"processor : 0\nflags : {AVX512}\n", "x86_64", True),
        ("processor : 0\nflags : fpu sse2 avx2\n", "x86_64", False),
        ("processor : 0\nflags : fpu sse2 avx512f\n", "x86_64", False),
        ("processor : 0\nflags : fpu sse2 avx2\n", "aarch64", True),
        ("processor : 0\n", "x86_64", True),
    ],
)
def test_products_are_read_from_the_flags(tmp_path: Path, text: str, machine: str, expected: bool) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert processor.has_bfloat16_products(tmp_path / "cpuinfo", machine) is expected


def test_what_cannot_be_read_is_believed(tmp_path: Path) -> None:
    assert processor.has_bfloat16_products(tmp_path / "nothing", "x86_64")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="flags are read on x86 only")
def test_torch_says_the_same_of_this_machine() -> None:
    here = processor.has_bfloat16_products(Path("/proc/cpuinfo"), "x86_64")
    assert here is torch.ops.mkldnn._is_mkldnn_bf16_supported()


def test_models_are_held_in_float32_where_bfloat16_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ModelConfig.model_validate({"lora": {}, "dtype": "bfloat16"})
    monkeypatch.setattr(processor, "_here", lambda: False)
    assert asked.held_on("cpu") == asked.model_copy(update={"dtype": "float32"})
    assert asked.held_on("cuda") is asked
    monkeypatch.setattr(processor, "_here", lambda: True)
    assert asked.held_on("cpu") is asked
