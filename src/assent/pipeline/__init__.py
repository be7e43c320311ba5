"""Assent's pipeline: one YAML = one run: artifacts, stages, rounds."""
