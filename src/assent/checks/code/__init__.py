"""What can be found out about code that a policy wrote: whether it parses, passes tests, is clean and safe."""
