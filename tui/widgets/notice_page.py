"""Every notice so far: the newest first, the highlighted one in full below."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static

from tui.notices import Notice, Notices
from tui.present import notices as present
from tui.present.words import text
from tui.widgets.confirm import Dialog
from tui.widgets.lists import RowList

if TYPE_CHECKING:
    from tui.app import ControlCentre


class NoticePage(Dialog[None]):
    DEFAULT_CSS = """
    NoticePage > #box { width: 110; height: 90%; padding: 0 1; }
    NoticePage RowList { height: 2fr; max-height: 100%; margin: 0; }
    NoticePage #scroll { height: 1fr; border-top: solid $border-blurred; padding: 0 1; }
    NoticePage #body { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy", "Copy", show=False),
        Binding("q,exclamation_mark", "leave", "Close", show=False),
    ]

    def __init__(self, notices: Notices) -> None:
        super().__init__("Notices", text(), hint="y copies · / finds · esc closes")
        self._notices = notices
        self._shown: list[Notice] = notices.session[::-1]

    def compose(self) -> ComposeResult:
        with Vertical(id="box") as box:
            box.border_title = Content(self._title)
            box.border_subtitle = Content(self._hint)
            yield RowList(id="notices", empty="No notice yet.")
            with VerticalScroll(id="scroll", can_focus=False):
                yield Static(id="body")

    def on_mount(self) -> None:
        self.query_one(RowList).focus()
        self._fill()
        centre = cast("ControlCentre", self.app)
        centre.ask(self._notices.earlier, self._earlier_came, group="notices")

    def _earlier_came(self, earlier: Sequence[Notice]) -> None:
        if self.is_attached and earlier:
            self._shown = [*self._notices.session[::-1], *earlier[::-1]]
            self._fill()

    def _fill(self) -> None:
        rows = self.query_one(RowList)
        rows.fill([(str(n), partial(present.row, each)) for n, each in enumerate(self._shown)])

    @property
    def _chosen(self) -> Notice | None:
        chosen = self.query_one(RowList).chosen
        return None if chosen is None else self._shown[int(chosen)]

    @on(OptionList.OptionHighlighted)
    def described(self) -> None:
        notice = self._chosen
        self.query_one("#body", Static).update(text() if notice is None else present.whole(notice))

    def action_copy(self) -> None:
        notice = self._chosen
        if notice is not None:
            whole = "\n".join(x for x in (notice.title, notice.text) if x)
            cast("ControlCentre", self.app).copy(whole, "the notice")
