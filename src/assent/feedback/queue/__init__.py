"""The queue: tasks in, each to so many raters, judgments accepted and read back."""
