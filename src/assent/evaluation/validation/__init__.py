"""Judges under test: what must be known of a rater that is no person before anything depends on its word."""
