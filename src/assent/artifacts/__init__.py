"""Assent's artifacts: what was made, from what, under which key; stages that run once."""
