"""Assent's lab: a small world with known truth, the instrument for tests, tutorials and science.

world = World(seed=0)
prompt = world.prompt("eval", 7)                     a customer writes to the invented shop Hollybrook
truth = read(prompt, "Any text at all.")             what is true of an answer, by rules
utility(truth, "warm")                               what one group of people would think of it
Scorecard.of([truth])                                means over many answers, with intervals
"""

from assent.lab.config import DemoQuality
from assent.lab.people import GROUPS, Weights, ideal_reply, utility
from assent.lab.scorecard import Scorecard
from assent.lab.truth import Truth, read
from assent.lab.world import SPLITS, World, count_conversations, count_prompts

__all__ = [
    "GROUPS",
    "SPLITS",
    "DemoQuality",
    "Scorecard",
    "Truth",
    "Weights",
    "World",
    "count_conversations",
    "count_prompts",
    "ideal_reply",
    "read",
    "utility",
]
