"""What a user writes about data: a list of sources for demonstrations, one for prompts, one for comparisons.

data:
  demonstrations: [{path: answers.jsonl}]
  prompts:        [{path: questions.parquet, columns: {prompt: question}}]
  comparisons:    [{hub: org/name, split: train, limit: 5000}, {path: pairs.jsonl, format: hh, skip_bad: true}]
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from assent.core.config import Config

FormatName = Literal[
    "auto",
    "assent",
    "trl",
    "hh",
    "ultrafeedback",
    "oasst",
    "ukp",
    "argilla",
    "label_studio",
    "ranking",
    "arena",
    "saferlhf",
    "helpsteer",
    "nectar",
    "webgpt",
    "shp",
    "kto",
    "alpaca",
    "dolly",
    "messages",
    "qa",
    "prompts",
]


class Source(Config):
    """One place that rows are read from: either `path` (a file or folder) or `hub` (a Hugging Face dataset)."""

    path: Path | None = Field(default=None, json_schema_extra={"outside": "data", "word": "{}"})
    """A .jsonl, .json, .csv, .tsv (also .gz) or .parquet file, a folder of them, or a folder saved by `datasets`."""
    hub: str | None = Field(default=None, json_schema_extra={"outside": "dataset"})
    """A dataset on the Hugging Face hub (org/name), or a folder saved by `datasets`."""
    split: str = "train"
    """Which split of a hub dataset, or of a saved dataset that has several."""
    subset: str | None = None
    """Which configuration of a hub dataset, where it has several."""
    format: FormatName = "auto"
    """What the columns mean; `auto` decides by the names and contents of the columns."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Renames, expected name: name in the file, for example {prompt: question, completion: answer}."""
    ignore: tuple[str, ...] = ()
    """Columns that are left unread although they could change what a row means; `messages.name` is a key of
    turns."""
    limit: PositiveInt | None = None
    """Take only the first so many items."""
    weight: float = Field(default=1.0, gt=0, le=100)
    """How often each item is used. 0.5 takes half of the items, the same half each time; 2.5 (demonstrations and
    texts only) takes each item twice and half of them a third time. Applies after `limit`."""
    skip_bad: bool = False
    """Put rows that cannot be used into the quarantine file and count them. Otherwise the first one is an error."""

    @model_validator(mode="after")
    def _one_place(self) -> Source:
        if (self.path is None) == (self.hub is None):
            raise ValueError("a source needs exactly one of `path` and `hub`")
        if self.subset is not None and self.hub is None:
            raise ValueError("`subset` belongs to `hub`; remove it or give `hub` instead of `path`")
        return self

    @property
    def name(self) -> str:
        """The place in words."""
        return str(self.path) if self.path is not None else str(self.hub)


class DataConfig(Config):
    """Everything a run learns from that is not produced by the run itself."""

    demonstrations: tuple[Source, ...] = ()
    """Conversations whose assistant turns the model should learn to say."""
    prompts: tuple[Source, ...] = ()
    """Conversations that the model has to answer. From files that hold more than prompts, only the prompts are
    taken."""
    comparisons: tuple[Source, ...] = ()
    """Answers that people ranked."""
