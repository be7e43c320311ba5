"""Operators: ways to ask for the same thing otherwise. Each is a pure function of a script and a stream of chance."""
