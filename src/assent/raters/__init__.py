"""Assent's raters: whoever judges answers: simulated people, reward models, functions."""
