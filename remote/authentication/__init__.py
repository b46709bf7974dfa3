"""Logging in on one hop: which keys there are, what is asked, and in which order."""
