"""Assent's evaluation: win rates, intervals and lab truth."""
