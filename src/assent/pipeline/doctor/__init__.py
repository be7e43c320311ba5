"""What can be known about a run before anything is trained."""
