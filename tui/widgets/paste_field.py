"""A field of one line that takes a paste of many: line breaks are kept, and shown as ⏎."""

from __future__ import annotations

from textual import events
from textual.widgets import Input

BREAK = "⏎"
MAX_PASTE = 1 << 20


class PasteField(Input):
    """`text` is what was typed or pasted, with its line breaks."""

    @property
    def text(self) -> str:
        return self.value.replace(BREAK, "\n")

    def on_mount(self) -> None:
        self.cursor_blink = self.app.animation_level != "none"  # reduced motion

    def _on_paste(self, event: events.Paste) -> None:
        # Textual's own keeps the first line only
        event.stop()
        event.prevent_default()
        pasted = event.text.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
        shown = "".join(c if c.isprintable() else BREAK if c == "\n" else " " for c in pasted)
        self.insert_text_at_cursor(shown[:MAX_PASTE])
