"""The world: customers of the invented shop Hollybrook write, a mixed crew answers. Any prompt by its number, any seed.

A split's prompts come in blocks that hold every intent once, so that any stretch of them is balanced; the request is
worded in turn. Which split a message belongs to is a matter of its content alone: splits stay apart whatever the seed.
"""

from __future__ import annotations

from dataclasses import dataclass

from assent.core import seeds
from assent.core.errors import ConfigError
from assent.core.types import Conversation, Message, Prompt
from assent.lab.config import DemoQuality
from assent.lab.language import language
from assent.lab.messages import SPLITS, capacity, cells
from assent.lab.numbering import Shuffle
from assent.lab.parse import read_request
from assent.lab.writers import Reply, count_replies, write

__all__ = ["SPLITS", "DemoQuality", "World", "count_conversations", "count_prompts"]


@dataclass(frozen=True)
class World:
    """Prompts, demonstrations and texts of the lab under one seed; the same on every machine.

    Splits: pretrain, sft, reward, ppo, eval, test.
    """

    seed: int = 0

    def prompt(self, split: str, index: int) -> Prompt:
        """Prompt number `index` of a split; no two numbers give the same text.

        `meta` holds intent, kind (ordinary, dangerous, lookalike), slots, split and index. Raises ConfigError for an
        unknown split or an index beyond what the split holds.
        """
        intents = list(language().intents)
        self._check(split, index)
        block, place = divmod(index, len(intents))
        name = intents[Shuffle.of(len(intents), self.seed, "block", split, block)[place]]
        of_intent = cells()[name]
        turn, ask = divmod(block, len(of_intent))
        cell = of_intent[Shuffle.of(len(of_intent), self.seed, "turn", split, name, turn)[ask]]
        text, slots = cell.message(cell.in_split(split, turn, seed=self.seed))
        meta = {"intent": name, "kind": cell.intent.kind, "slots": slots, "split": split, "index": index}
        return Prompt.of(text, **meta)

    def prompts(self, split: str, n: int, *, start: int = 0) -> list[Prompt]:
        """`n` prompts of a split in order."""
        return [self.prompt(split, index) for index in range(start, start + n)]

    def reply(self, prompt: Prompt, index: int = 0, *, quality: DemoQuality | None = None) -> Reply:
        """What one of the crew writes to a prompt; `index` numbers independent replies to the same prompt."""
        random = seeds.stream(self.seed, "reply", prompt.id, index)
        return write(read_request(prompt), quality or DemoQuality(), random)

    def demonstration(self, split: str, index: int, quality: DemoQuality | None = None) -> Conversation:
        """Prompt number `index` of a split with a reply of the crew; `meta` also holds the reply's moves."""
        prompt = self.prompt(split, index)
        reply = self.reply(prompt, quality=quality)
        messages = (*prompt.messages, Message(role="assistant", content=reply.text))
        return Conversation(messages=messages, meta={**prompt.meta, "moves": list(reply.moves)})

    def demonstrations(
        self, split: str, n: int, *, start: int = 0, quality: DemoQuality | None = None
    ) -> list[Conversation]:
        """`n` demonstrations of a split in order."""
        return [self.demonstration(split, index, quality) for index in range(start, start + n)]

    def corpus(self, split: str, n: int, *, quality: DemoQuality | None = None) -> list[str]:
        """Plain texts, message and reply on a line each, for a tokenizer or for pre-training."""
        conversations = self.demonstrations(split, n, quality=quality)
        return ["\n".join(message.content for message in c.messages) for c in conversations]

    @staticmethod
    def capacity(split: str) -> int:
        """How many prompts a split holds, every intent and wording equally often."""
        if split not in SPLITS:
            raise ConfigError(f"the lab has no split {split!r}; its splits are {', '.join(SPLITS)}")
        return capacity(split)

    def _check(self, split: str, index: int) -> None:
        held = self.capacity(split)
        if not 0 <= index < held:
            raise ConfigError(f"the lab's split {split!r} has no prompt {index}; it holds prompts 0 to {held - 1}")


def count_prompts() -> int:
    """How many different customer messages the world holds, over all splits; exact."""
    return sum(cell.size for of_intent in cells().values() for cell in of_intent)


def count_conversations() -> int:
    """How many different conversations of one message and one reply of the crew the world holds; exact."""
    return sum(
        sum(cell.size for cell in cells()[name]) * count_replies(intent) for name, intent in language().intents.items()
    )
