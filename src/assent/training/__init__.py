"""Assent's training: one file per training method."""
