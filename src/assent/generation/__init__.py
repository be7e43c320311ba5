"""Assent's generation: sampling answers from a policy."""
