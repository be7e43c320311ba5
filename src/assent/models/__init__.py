"""Assent's models: loading models and computing the group batch."""
