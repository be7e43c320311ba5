"""Assent's service: rating pages on a store, samples while people rate, and talks with a policy."""
