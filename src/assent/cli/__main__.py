"""`python -m assent.cli` is the command `assent`."""

from assent.cli import main

main()
