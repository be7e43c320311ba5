"""Scores of your own. A run names them as `{kind: python, target: "my_rewards:is_brief"}` under optimize.rewards."""


def is_brief(prompts: list[object], completions: list[str]) -> list[float]:
    """One number for each answer: 1 for at most twelve words, less for longer ones."""
    return [min(1.0, 12 / max(1, len(answer.split()))) for answer in completions]
