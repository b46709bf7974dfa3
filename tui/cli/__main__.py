"""`python -m tui.cli`: the same as `qa`."""

from tui.cli import main

main()
