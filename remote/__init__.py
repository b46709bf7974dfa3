"""Carrying the work to another machine. Imports `core`, never `tui`."""
