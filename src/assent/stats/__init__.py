"""Assent's statistics: one estimate with its interval, and the ways to make one."""
