"""What all screens share: the frame, asking the desk, saying why a key cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen

from tui.asking import Asks
from tui.bindings import Key, Place, place
from tui.desk.api import Desk
from tui.opening import StyledOnce
from tui.screens.sized import Sized
from tui.widgets.frame import KeyBar, StatusStrip, TabRow
from tui.widgets.lists import RowList

if TYPE_CHECKING:
    from tui.app import ControlCentre

WIDE = 100  # from here on panes stand side by side
HUGE = 160  # from here on there is room for one more


class DeskScreen(StyledOnce, Sized, Asks, Screen[None]):
    """Subclasses set MODE and give `body`, `reload` and `redraw`."""

    MODE: ClassVar[str]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]  # noqa: RUF012

    @property
    def place(self) -> Place:
        """This screen and its keys, as the operator has them."""
        return self.centre.keymap.place(place(self.MODE))

    def key(self, action: str) -> str:
        """How the operator writes the key of an action, of this screen or of the app."""
        found = (k.written for k in self.place.keys if k.action == action)
        return next(found, None) or self.centre.key(action)

    @property
    def centre(self) -> ControlCentre:
        return self.app  # type: ignore[return-value]

    @property
    def desk(self) -> Desk:
        return self.centre.desk

    @property
    def in_sight(self) -> bool:
        """Also below a dialog; not when another screen is shown."""
        return self in self.app.screen_stack

    @property
    def wide(self) -> bool:
        return self.app.size.width >= WIDE

    def compose(self) -> ComposeResult:
        self.take_width()
        yield StatusStrip()
        yield TabRow(self.MODE)
        with Vertical(id="body"):
            yield from self.body()
        yield KeyBar()

    def body(self) -> ComposeResult:
        raise NotImplementedError

    def reload(self) -> None:
        """Ask the desk for what this screen shows."""

    def redraw(self) -> None:
        """Draw what is known again: after a resize or in a new theme's colours."""

    def recolour(self) -> None:
        """Draw everything again in a new theme's colours."""
        for rows in self.query(RowList):
            rows.redraw(all_rows=True)
        self.redraw()
        self.query("*").refresh()

    def go_back(self) -> bool:
        """One level back inside the screen; False if already at the top."""
        return False

    def jump(self, word: str, name: str) -> None:
        """Show what the palette was told by name; word: the first one of a `tui.jumps.Jump`."""

    def why_not(self, action: str) -> str | None:
        """Why `action` cannot be used now; None if it can."""
        return None

    def blocked(self, key: Key) -> str | None:
        """Why a key cannot be used now, read-only mode counted in; None if it can."""
        if key.writes and self.centre.read_only:
            return f"read-only mode: nothing is changed; {self.centre.key('read_only')} ends it"
        return self.why_not(key.action)

    def refused(self, action: str) -> bool:
        """Say why not, if so."""
        key = next((k for k in self.place.keys if k.action == action), None)
        reason = self.why_not(action) if key is None else self.blocked(key)
        if reason is not None:
            self.notify(reason, severity="warning", markup=False)
        return reason is not None

    def copyable(self) -> tuple[str, str] | None:
        """(what it is, the text itself) of what the operator would want to copy now."""
        chosen = getattr(self.focused, "chosen", None)
        return (chosen, chosen) if isinstance(chosen, str) else None

    def file_behind(self) -> tuple[Path, int] | None:
        """(file of this machine, line from 1) behind what is highlighted, to be opened outside."""
        return None

    def overview_changed(self) -> None:
        self.set_class(self.centre.production, "-production")
        self.query(StatusStrip).refresh()
        self.keys_changed()

    def keys_changed(self) -> None:
        self.query(KeyBar).refresh()

    def crumb(self, value: str) -> None:
        self.query_one(TabRow).show(value)

    def on_mount(self) -> None:
        self.set_class(self.centre.production, "-production")
        self.give_sizes()
        self.call_after_refresh(self.reload)
        self.set_timer(2.0, self.centre.settled)

    def on_screen_resume(self) -> None:
        if self.is_mounted:
            self.set_class(self.centre.production, "-production")
            self.reload()

    def on_resize(self) -> None:
        self.set_class(self.app.size.width >= HUGE, "-huge")
        if self.is_mounted:
            self.give_sizes()
            self.call_after_refresh(self.redraw)

    def no_route(self) -> str | None:
        """The reason shown by every key that needs the host."""
        state = self.desk.link().state
        if state == "up":
            return None
        word = {"connecting": "still connecting to", "lost": "the link is lost to"}.get(
            state, "no route to"
        )
        return f"{word} {self.desk.host_name}; {self.centre.key('reconnect')} opens it again"
