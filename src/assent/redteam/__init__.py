"""Red team: attacks on a policy as pure functions, a search over them, and what became of each."""
