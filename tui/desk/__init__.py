"""What an operator can do, without widgets: the same functions serve the screens and the `qa` commands."""
