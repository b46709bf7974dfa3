"""The log view and its parts; `tui.widgets.log.view` is what screens use."""
