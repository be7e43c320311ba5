"""Suites, one file each: those on a run's own held-out answers (`own.py`), and those with questions of their own."""
