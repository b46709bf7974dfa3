"""One answer in full, over Evaluate: read it, label it, go on to the next one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui import clean
from tui.bindings import ANSWER, bindings
from tui.desk.api_opinions import OpinionsView
from tui.present import answers, opinions
from tui.present.answers import Question

if TYPE_CHECKING:
    from tui.app import ControlCentre


class AnswerPage(ModalScreen[int]):
    """Answers with the place in the list where it was closed.

    questions: the list it was opened from.  give: takes a label of one of them; the page below keeps
    it, since this one may be closed before it is stored, and says `looked` once it is.
    """

    DEFAULT_CSS = """
    AnswerPage {
        align: center middle;
        background: $background 60%;
        & > #box {
            width: 96%; max-width: 132; height: auto; max-height: 94%;
            border: round $primary; border-title-color: $primary;
            border-subtitle-color: $text-muted; background: $surface; padding: 0 1;
        }
        & #scroll { height: auto; max-height: 100%; padding: 0 1; scrollbar-size-vertical: 1; }
        & #body { height: auto; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings(ANSWER)

    def __init__(
        self,
        version: str,
        questions: Sequence[Question],
        at: int,
        view: OpinionsView,
        give: Callable[[str, Question, str], None],
    ) -> None:
        super().__init__()
        self.version, self._questions, self._at = version, questions, at
        self._view, self._give = view, give

    @property
    def centre(self) -> ControlCentre:
        return self.app  # type: ignore[return-value]

    def compose(self) -> ComposeResult:
        with Vertical(id="box"), VerticalScroll(id="scroll"):
            yield Static(id="body")

    def on_mount(self) -> None:
        self.query_one("#scroll").focus()
        self._draw()

    def _draw(self) -> None:
        question = self._questions[self._at]
        box = self.query_one("#box")
        name = clean.line(question.get("id") or "–", 40)
        box.border_title = Content(f"{name} · {self._at + 1} of {len(self._questions)}")
        roomy = self.app.size.width >= 100
        hint = "y right · n wrong · u not tried · h l other answers · esc closes"
        box.border_subtitle = Content(f"what do you say?  {hint}" if roomy else hint)
        told = opinions.told(self._view, question)
        self.query_one("#body", Static).update(answers.answer(question, told))

    def on_resize(self) -> None:
        self._draw()

    def action_leave(self) -> None:
        self.dismiss(self._at)

    def action_scroll(self, direction: str) -> None:
        scroll = self.query_one("#scroll", VerticalScroll)
        move = scroll.scroll_down if direction == "down" else scroll.scroll_up
        move(animate=False)

    def action_go(self, step: int) -> None:
        at = self._at + step
        if 0 <= at < len(self._questions):
            self._at = at
            self._draw()
            self.query_one("#scroll", VerticalScroll).scroll_home(animate=False)

    def action_label(self, label: str) -> None:
        if self.centre.read_only:
            self.notify("read-only mode: nothing is changed", severity="warning", markup=False)
            return
        if not self.version:
            self.notify(
                "no version was evaluated here: labels are kept with a version",
                severity="warning",
                markup=False,
            )
            return
        self._give(self.version, self._questions[self._at], label)

    def looked(self, view: OpinionsView) -> None:
        self._view = view
        if self.is_mounted:
            self._draw()
