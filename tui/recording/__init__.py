"""A day at the desk, kept as a file and shown again: what the desk answered, and what jobs wrote."""
