"""What the work is, and what is remembered. Imports neither `remote` nor `tui`."""

__version__ = "0.1.0"
