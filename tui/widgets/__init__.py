"""Widgets of our own; each works alone."""
