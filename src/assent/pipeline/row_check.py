"""Whether the base's chat template can take a row: tried where rows are read, so that file and line are known."""

from __future__ import annotations

from pydantic import Field

from assent.artifacts.identity import resolved
from assent.artifacts.outside import hashes
from assent.core.config import Config
from assent.core.errors import DataError, ModelError
from assent.core.hashing import hash_json
from assent.core.types import Comparison, Conversation, Prompt
from assent.data.load import Check
from assent.data.render import Renderer
from assent.pipeline.config import FileData, PretrainedBase, RunConfig


class Template(Config):
    """The tokenizer and the chat template of the base."""

    path: str = Field(json_schema_extra={"outside": "model", "named": "model"})
    """Folder or hub id of the base."""
    revision: str | None = None
    """Commit or tag on the hub."""
    template: str | None = Field(default=None, json_schema_extra={"outside": "template"})
    """Another template than its own."""
    pad_token: str | None = None
    """As `model.pad_token` says."""
    trust_remote_code: bool = Field(default=False, json_schema_extra={"affects_result": False})
    """As `model.trust_remote_code` says."""

    def identity(self) -> dict[str, str]:
        """What decides which rows pass, as the `extra` of a key."""
        return {"rows pass": hash_json([resolved(self), hashes(self)])}

    @classmethod
    def of(cls, config: RunConfig) -> Template | None:
        """Of the run's base; None where it has none yet, or where the lab writes the rows."""
        if not isinstance(config.base, PretrainedBase) or not isinstance(config.data, FileData):
            return None
        model = config.model
        return cls(
            path=config.base.path,
            revision=config.base.revision,
            template=model.template,
            pad_token=model.pad_token,
            trust_remote_code=model.trust_remote_code,
        )


def check_of(template: Template | None) -> Check | None:
    """What raises UserError for a prompt, conversation or comparison that the template cannot take."""
    if template is None:
        return None
    from assent.models.tokenizer import load_tokenizer  # torch comes along

    tokenizer = load_tokenizer(
        template.path,
        pad_token=template.pad_token,
        trust_remote_code=template.trust_remote_code,
        revision=template.revision,
    )
    return check_with(Renderer(tokenizer, template=template.template))


def check_with(renderer: Renderer) -> Check:
    """The check of one renderer."""

    def check(item: Prompt | Conversation | Comparison) -> None:
        try:
            match item:
                case Prompt():
                    renderer.prompt(item)
                case Conversation():
                    renderer.demonstration(item)
                case Comparison():
                    renderer.group(item.prompt, [answer.text for answer in item.completions])
        except ModelError as error:
            raise DataError(str(error)) from None

    return check
