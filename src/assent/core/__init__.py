"""Assent's core: nouns and small tools every floor may use: types, errors, seeds, hashing, files, config, run log."""
