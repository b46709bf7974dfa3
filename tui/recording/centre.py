"""The app over a recording: the same screens, a line that tells the moment, and keys that move it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widget import Widget

from tui.app import ControlCentre
from tui.present import words
from tui.present.words import text
from tui.recording.player import Player
from tui.screens.base import DeskScreen

STEP_S = 10.0
KEYS = "f5 pauses   f6 f7 ten seconds   shift+f6 shift+f7 a minute   f8 f9 speed"


class ReplayLine(Widget, can_focus=False):
    """Where the replay is, as a bar over the whole recording."""

    DEFAULT_CSS = """
    ReplayLine { height: 1; dock: bottom; background: $panel; padding: 0 1; }
    """

    def __init__(self, player: Player) -> None:
        super().__init__()
        self._player = player

    def on_mount(self) -> None:
        self.set_interval(0.25, self.refresh)

    def render(self) -> Text:
        return line(self._player, self.size.width)


def line(player: Player, width: int) -> Text:
    """`▶ replay ━━━━╸──── 12:04 of 45:10  ×4  14:22` with the keys where there is room."""
    shape = ("‖ ", "warn") if player.paused else ("▶ ", "accent")
    moment, length = player.moment, player.length
    tail = f" {words.duration(moment)} of {words.duration(length)}  ×{player.speed:g}  "
    tail += words.moment(player.now(), way="local")
    room = max(6, min(40, width - len(tail) - 12))
    share = moment / length if length else 1.0
    left = Text.assemble(text(shape, "replay "), words.bar(share, room), (tail, "strong"), end="")
    right = text((KEYS, "dim"))
    return words.join(left, right, width) if left.cell_len + len(KEYS) + 3 < width else left


class ReplayCentre(ControlCentre):
    """`ReplayCentre(player).run()`; the player is closed by whoever made it."""

    TITLE = "ACCESS QA Control, a recording"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5", "pause", show=False),
        Binding("f6", f"step({-STEP_S})", show=False),
        Binding("f7", f"step({STEP_S})", show=False),
        Binding("shift+f6", f"step({-6 * STEP_S})", show=False),
        Binding("shift+f7", f"step({6 * STEP_S})", show=False),
        Binding("f8", "faster(-1)", show=False),
        Binding("f9", "faster(1)", show=False),
    ]

    def __init__(self, player: Player) -> None:
        super().__init__(player.desk(), clock=player.now)
        self.player = player

    def on_mount(self) -> None:
        self.set_interval(0.2, self._line_everywhere)

    def _line_everywhere(self) -> None:
        """Screens are made when they are first shown."""
        if isinstance(self.screen, DeskScreen) and not self.screen.query(ReplayLine):
            self.screen.mount(ReplayLine(self.player))

    def offer_first_steps(self) -> None:
        """Nobody begins in a recording."""

    def action_pause(self) -> None:
        self.player.pause()

    def action_step(self, seconds: float) -> None:
        self.player.seek(self.player.moment + seconds)
        self._again()

    def action_faster(self, steps: int) -> None:
        self.player.faster(steps)

    def _again(self) -> None:
        """Ask for everything as of the new moment."""
        self.poll_overview()
        if isinstance(self.screen, DeskScreen):
            self.screen.reload()


def show(path: Path, *, speed: float, start: float) -> None:
    """Show a recording until the operator leaves."""
    with tempfile.TemporaryDirectory(prefix="qa-replay-") as jobs:
        player = Player(path, Path(jobs), speed=speed)
        try:
            player.seek(start)
            ReplayCentre(player).run()
        finally:
            player.close()
