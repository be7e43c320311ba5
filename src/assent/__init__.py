"""Assent: the whole of RLHF as one program that a team can run and trust."""

__version__ = "0.1.0"
