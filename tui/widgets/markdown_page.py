"""A long page of Markdown over the whole screen. Its links go nowhere: the text is hostile."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Markdown

from tui import clean


class MarkdownPage(ModalScreen[None]):
    """text: Markdown whose foreign parts are escaped already."""

    DEFAULT_CSS = """
    MarkdownPage {
        align: center middle;
        background: $background 60%;
        & > #box {
            width: 100%; max-width: 132; height: 96%;
            border: round $primary; border-title-color: $primary;
            border-subtitle-color: $text-muted; background: $surface;
        }
        & #scroll { padding: 0 1; scrollbar-size-vertical: 1; }
        & Markdown { padding: 0 1; background: $surface; }
        & MarkdownH1 { content-align: left middle; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "leave", "Close", show=False),
        Binding("j", "scroll('down')", show=False),
        Binding("k", "scroll('up')", show=False),
        Binding("g", "scroll('home')", show=False),
        Binding("G", "scroll('end')", show=False),
    ]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title, self._text = title, text

    def compose(self) -> ComposeResult:
        with Vertical(id="box") as box:
            box.border_title = Content(clean.line(self._title, 64))
            box.border_subtitle = Content("j k scroll · g G ends · esc closes")
            with VerticalScroll(id="scroll"):
                yield Markdown(clean.block(self._text, 100_000, 20_000), open_links=False)

    def on_mount(self) -> None:
        self.query_one("#scroll").focus()

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_scroll(self, where: str) -> None:
        scroll = self.query_one("#scroll", VerticalScroll)
        getattr(scroll, f"scroll_{where}")(animate=False)
