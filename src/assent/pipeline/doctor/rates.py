"""What `assent doctor` measures of this machine, and counts in the data, for its estimate of time."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from statistics import fmean
from typing import TypeVar, assert_never

import torch
import torch.nn.functional as F

from assent.core import processor
from assent.core.errors import DataError, ModelError
from assent.core.findings import Finding, note
from assent.core.group import Group
from assent.core.lazy import Chained
from assent.core.types import Conversation
from assent.data.config import Source
from assent.data.render import Renderer
from assent.models.shape import DecoderShape
from assent.pipeline.config import FileData, LabData, RunConfig
from assent.pipeline.device import device_of
from assent.pipeline.doctor.data import Material
from assent.pipeline.doctor.reader import Reader
from assent.pipeline.memory_needs import shape_of
from assent.pipeline.time_needs import Known, Texts
from assent.pipeline.time_plan import Rates, TimePlan

LOOKED_AT = 200
"""Items of each kind whose tokens are counted, spread evenly over all."""
_WIDEST = 1024
"""Wider products than these are no faster for each operation."""
_ROWS = 256
_SECONDS = 0.2
"""For each of the two or three things that are measured."""
_READ = 2**24
"""Numbers that are read to time the memory: 64 MiB, more than a cache holds."""

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


def check_time(config: RunConfig, material: Material, reader: Reader | None, *, imported: int) -> Iterator[Finding]:
    """About how long each stage will take, and what is assumed."""
    shape = shape_of(config)
    if config.compute.kind == "ray":
        yield note("time", "is not estimated for a cluster here", "see assent doctor --cluster")
    elif shape is None or reader is None:
        yield note("time", "is not estimated: the base is not here yet, so its size is not known")
    else:
        known = counted(config, material, reader.renderer, imported=imported)
        yield from TimePlan.of(config, shape, known, rates_of(config, shape)).findings()


def rates_of(config: RunConfig, shape: DecoderShape) -> Rates:
    """Measured now, on the device and with the threads of the run, in what the run's products are computed in."""
    device, threads = device_of(config.compute), torch.get_num_threads()
    try:
        torch.set_num_threads(config.compute.threads or threads)
        model = config.model.held_on(device.type)
        wanted = "bfloat16" if model.dtype == "bfloat16" else model.products
        kinds = {"float32": torch.float32, "bfloat16": torch.bfloat16}
        found = {kind: _rate(shape, device, dtype) for kind, dtype in kinds.items() if wanted in (kind, "auto")}
        kind = wanted if wanted != "auto" else processor.chosen(**found)
        reading = _reading(device)
        said = device.type if device.type != "cpu" else f"{torch.get_num_threads()} threads"
    finally:
        torch.set_num_threads(threads)
    return Rates(found[kind], reading, f"{said} in {kind}")


def counted(config: RunConfig, material: Material, renderer: Renderer, *, imported: int) -> Known:
    """Tokens of the texts at hand. Of the lab they are a sample, and the settings say how many there are."""

    def tuned(items: Sequence[Conversation]) -> Texts | None:
        return _texts(items, lambda one: renderer.demonstration(one)[0])

    imitated = () if isinstance(config.data, LabData) else material.demonstrations
    corpus, taught = tuned(Chained(material.corpus, imitated)), tuned(material.demonstrations)
    ranked = _texts(material.comparisons, lambda one: renderer.group(one.prompt, [a.text for a in one.completions]))
    prompts = [len(ids) for ids in _tried(material.prompts, renderer.prompt)]
    means = [one for one in (ranked, taught) if one is not None]
    asked = fmean(prompts) if prompts else max((one.prompt for one in means), default=0.0)
    answer = fmean(one.answer for one in means) if means else None
    match config.data:
        case LabData() as lab:
            corpus, taught = _of(corpus, lab.corpus), _of(taught, lab.demonstrations)
        case FileData() as data:
            corpus = None if _on_hub(data.corpus) or _on_hub(data.demonstrations) else corpus
            taught = None if _on_hub(data.demonstrations) else taught
            ranked = None if _on_hub(data.comparisons) else _of(ranked, len(material.comparisons) + imported)
        case _ as never:
            assert_never(never)
    # Of a corpus every token is learned.
    whole = None if corpus is None else Texts(corpus.number, 0, corpus.prompt + corpus.answer)
    return Known(whole, taught, ranked, asked, answer)


def _texts(items: Sequence[_Item], render: Callable[[_Item], Group]) -> Texts | None:
    groups = _tried(items, render)
    if not groups:
        return None
    answers = fmean(len(one.continuations) for one in groups)
    answer = fmean(len(ids) for one in groups for ids in one.continuations)
    return Texts(len(items), fmean(len(one.prompt) for one in groups), answer, answers)


def _tried(items: Sequence[_Item], render: Callable[[_Item], _Made]) -> list[_Made]:
    """Some of them in tokens; what cannot be rendered is told elsewhere."""
    found = []
    for item in items[:: max(1, len(items) // LOOKED_AT)]:
        with contextlib.suppress(DataError, ModelError):
            found.append(render(item))
    return found


def _of(texts: Texts | None, number: int) -> Texts | None:
    return None if texts is None else dataclasses.replace(texts, number=number)


def _on_hub(sources: Sequence[Source]) -> bool:
    return any(source.hub is not None for source in sources)


def _rate(shape: DecoderShape, device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of products as wide as the feed-forward layers, up to a width from which on they are no faster."""
    into, out = min(shape.hidden, _WIDEST), min(shape.ffn, _WIDEST)
    given = torch.ones(_ROWS, into, device=device, dtype=dtype)
    weight = torch.ones(out, into, device=device, dtype=dtype)
    with torch.inference_mode():
        return 2 * _ROWS * into * out / _fastest(lambda: F.linear(given, weight), device)


def _reading(device: torch.device) -> float:
    """Bytes a second."""
    numbers = torch.ones(_READ, device=device)
    return 4 * _READ / _fastest(numbers.sum, device)


def _fastest(turn: Callable[[], object], device: torch.device) -> float:
    """Seconds of the fastest of all turns for a while: what others on the machine take slows some of them only."""
    best, start = float("inf"), time.perf_counter()
    while (begin := time.perf_counter()) - start < _SECONDS or best == float("inf"):
        turn()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - begin)
    return best
