"""Assent's algorithms: pure mathematics of alignment: tensors in, per-element tensors out."""
