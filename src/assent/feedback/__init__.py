"""Assent's feedback: the store of human (and simulated) judgments."""
