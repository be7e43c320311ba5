"""Our losses beside TRL's on the same tensors: value and gradient. `PYTHONPATH=src python benchmarks/trl_losses.py`.

Needs an environment of its own:

    pip install -c constraints.txt torch==2.13.0 trl==1.16.0 jaxtyping peft pydantic rich scipy threadpoolctl

TRL's trainers compute their losses inside one method each, from a model's output; so each trainer is made without its
set-up, given a stand-in for a model that returns our log-probabilities of tokens, and its own method is called. Nothing
of TRL is copied. For each loss the largest difference of values and of gradients by the log-probability of every token,
or by the score of every answer, is printed.
"""

from __future__ import annotations

import argparse

import torch
import trl
import trl_policy_losses
import trl_preference_losses
import trl_supervised_losses
from trl_sides import Row

FAMILIES = (trl_preference_losses, trl_supervised_losses, trl_policy_losses)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--float64", action="store_true", help="so that what remains is no rounding of float32")
    arguments = parser.parse_args()
    torch.set_default_dtype(torch.float64 if arguments.float64 else torch.float32)
    print(f"TRL {trl.__version__}, torch {torch.__version__}, {arguments.seeds} draws\n")
    print(
        "| loss | largest value | largest difference of values | largest gradient | largest difference of gradients |"
    )
    print("|---|---|---|---|---|")
    for row in (row for family in FAMILIES for row in family.ROWS):
        found = [compared(row, seed) for seed in range(arguments.seeds)]
        value, apart, size, gradient = (max(column) for column in zip(*found, strict=True))
        print(f"| {row.name} | {value:.4f} | {apart:.1e} | {size:.1e} | {gradient:.1e} |")


def compared(row: Row, seed: int) -> tuple[float, float, float, float]:
    """Our value, difference of values, size of the gradient, difference of gradients."""
    drawn, found = row.draw(seed), []
    for loss in (row.ours, row.theirs):
        leaf = drawn.leaf.clone().requires_grad_()
        value = loss(drawn, leaf)
        found.append((value.item(), torch.autograd.grad(value, leaf)[0]))
    (a, by_a), (b, by_b) = found
    return a, abs(a - b), by_a.abs().max().item(), (by_a - by_b).abs().max().item()


if __name__ == "__main__":
    main()
