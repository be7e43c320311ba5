"""A model behind an OpenAI-compatible address as a writer: messages in, free text out, every reply kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from assent.core.errors import RunError
from assent.core.types import Asked, Message, Prompt
from assent.generation.config import Sampling
from assent.generation.writer import SoFar, Written
from assent.raters.config import EndpointJudgeConfig
from assent.raters.endpoint_budget import BudgetSpentError
from assent.raters.endpoint_cache import ReplyCache
from assent.raters.endpoint_client import EndpointClient, OutageError, StoppedError, UnansweredError


@dataclass(frozen=True)
class EndpointWriter:
    """Writes one answer to each list of messages. Temperature and length are those of the address's settings."""

    client: EndpointClient = field(repr=False)

    @classmethod
    def of(cls, config: EndpointJudgeConfig, key: str, cache: ReplyCache, versions: dict[str, str]) -> EndpointWriter:
        """A writer of free text: no reply is held to JSON."""
        return cls(EndpointClient(config.model_copy(update={"structured": "none"}), key, cache, versions))

    @property
    def name(self) -> str:
        """What the model is called, and where."""
        return self.client.config.name

    @property
    def context(self) -> None:
        """Not known."""
        return None

    def room(self, asked: Asked) -> None:
        """Not known."""
        return

    def write(
        self,
        asked: Sequence[Asked],
        *,
        num_samples: int,
        sampling: Sampling,
        seed: int,
        on_progress: Callable[[int], None] | None = None,
        on_token: Callable[[SoFar], None] | None = None,
    ) -> list[list[Written]]:
        """One answer each; where the model gives no text, an empty one. Nothing is shown while it grows.

        Raises RunError where the address fails or the budget is spent; replies that came are kept for the next time.
        """
        if num_samples != 1:
            raise ValueError(f"an address is asked for one answer each, not for {num_samples}")
        found: list[list[Written]] = []
        with ThreadPoolExecutor(self.client.config.concurrency, thread_name_prefix="writer") as pool:
            try:
                for written in pool.map(self._written, asked):
                    found.append([written])
                    if on_progress is not None:
                        on_progress(1)
            except BaseException:
                self.client.stop()
                pool.shutdown(cancel_futures=True)
                raise
        return found

    def _written(self, asked: Asked) -> Written:
        messages: Sequence[Message] = asked.messages if isinstance(asked, Prompt) else asked
        try:
            reply = self.client.ask(messages, {})
        except UnansweredError:
            return Written("", finished=True)
        except (OutageError, BudgetSpentError, StoppedError) as error:
            raise RunError(f"{self.name} cannot go on: {error}; run the same command again to go on") from None
        return Written(reply.text, finished=reply.is_whole)
