"""Domain rows to drawn text: pure functions, no screen, no clock of their own, no I/O.

Styles are role names ("ok", "dim"; see tui.theme), so a row looks right in every theme. All words
that were not written here go through tui.clean.
"""
