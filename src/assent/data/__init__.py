"""Assent's data: reading what people have, writing it back, splitting, checking and rendering it into tokens."""
