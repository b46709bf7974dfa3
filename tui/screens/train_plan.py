"""Before a launch: what a training would take, whether it can teach, and what exactly would run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static

from core.errors import QAError
from tui import clean
from tui.asking import Asks
from tui.bindings import PLAN, bindings
from tui.desk.api_plans import PlansDesk, PlanView, PreflightView, RecipeRow, Wish
from tui.present import empty, frame, planned
from tui.present.words import text
from tui.widgets.confirm import Ask, Choose, Page
from tui.widgets.lists import RowList
from tui.widgets.pane import Pane

if TYPE_CHECKING:
    from tui.app import ControlCentre


class PlanPage(Asks, ModalScreen[PlanView]):
    """Answers with the plan that is to be started, or None. Nothing is started here."""

    CSS_PATH = "train_plan.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(PLAN),
        Binding("escape", "leave", "Cancel", show=False),
        Binding("question_mark", "help", "Help", show=False),
    ]

    def __init__(self, there: PlansDesk) -> None:
        super().__init__()
        self.there = there
        self.recipes: Sequence[RecipeRow] = ()
        self.wish: Wish | None = None
        self.plan: PlanView | None = None
        self.failed: QAError | None = None
        self.preflight: PreflightView | QAError | None = None
        self.why = False

    @property
    def centre(self) -> ControlCentre:
        return self.app  # type: ignore[return-value]

    def compose(self) -> ComposeResult:
        with Horizontal(id="plan-panes"):
            with Pane(id="recipes-pane"):
                yield RowList(id="recipes", empty="The recipes are loading…")
            with Pane(id="plan-pane"), VerticalScroll(id="plan-scroll", can_focus=False):
                yield Static(id="plan")

    def on_mount(self) -> None:
        self.query_one("#recipes-pane", Pane).title("recipe")
        self.query_one("#plan-pane", Pane).title("what this keypress costs")
        self.query_one("#recipes").focus()
        self.ask(self.there.recipes, self._recipes_came, group="recipes")
        self.redraw()

    def on_resize(self) -> None:
        self.call_after_refresh(self.redraw)

    # what is asked

    def _recipes_came(self, rows: Sequence[RecipeRow]) -> None:
        self.recipes = rows
        listed = self.query_one("#recipes", RowList)
        listed.empty = "none"
        listed.fill([(r.name, partial(planned.recipe_row, r)) for r in rows])
        self.redraw()

    @on(OptionList.OptionHighlighted, "#recipes")
    def highlighted(self) -> None:
        chosen = self.query_one("#recipes", RowList).chosen
        if chosen is not None and (self.wish is None or chosen != self.wish.recipe):
            self._wants(Wish(chosen, smoke=bool(self.wish and self.wish.smoke)))

    def _wants(self, wish: Wish) -> None:
        """Plan it; what comes late for an earlier wish is dropped."""
        rows = self.wish is None or (wish.recipe, wish.overrides) != (
            self.wish.recipe, self.wish.overrides
        )  # fmt: skip
        self.wish, self.plan, self.failed = wish, None, None
        self.redraw()
        self.ask(
            lambda: self.there.plan(wish), partial(self._plan_came, wish), group="plan",
            failed=self._plan_failed,
        )  # fmt: skip
        if rows:
            self.preflight = None
            self.ask(
                lambda: self.there.preflight(wish), self._preflight_came, group="preflight",
                failed=self._preflight_came,
            )  # fmt: skip

    def _plan_came(self, wish: Wish, plan: PlanView) -> None:
        if wish == self.wish:
            self.plan = plan
            self.redraw()

    def _plan_failed(self, error: QAError) -> None:
        self.failed = error
        self.redraw()

    def _preflight_came(self, found: PreflightView | QAError) -> None:
        self.preflight = found
        self.redraw()

    # how it looks

    def redraw(self) -> None:
        width = max(30, (self.query_one("#plan-scroll").size.width or 60) - 1)
        if self.failed is not None:
            drawn = planned.problem(self.failed, width)
        elif self.plan is not None:
            drawn = planned.page(self.plan, self.preflight, width, why=self.why)
        elif self.wish is not None:
            drawn = planned.waiting(self.wish)
        elif self.query_one("#recipes", RowList).empty == "none" and not self.recipes:
            drawn = empty.state("No recipe found.", "Put one into configs/recipes/.")
        else:
            drawn = text(("…", "dim"))
        self.query_one("#plan", Static).update(drawn)
        starts = planned.verb(self.plan, self.preflight) if self.plan is not None else "starts"
        hint = f"y {starts} · m smoke · p profile · o override · a accept · w why · ?"
        self.query_one("#plan-pane", Pane).subtitle(hint)

    # keys

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_help(self) -> None:
        keys = self.centre.keymap.keys(PLAN)
        width = min(90, self.app.size.width * 96 // 100 - 6)
        body = frame.keys_page(
            "Plan", "Looked at before it starts: nothing starts but by y", keys, width
        )
        self.app.push_screen(Page("Help", body))

    def action_down(self) -> None:
        self.query_one("#plan-scroll", VerticalScroll).scroll_page_down(animate=False)

    def action_up(self) -> None:
        self.query_one("#plan-scroll", VerticalScroll).scroll_page_up(animate=False)

    def action_why(self) -> None:
        self.why = not self.why
        self.redraw()

    def action_smoke(self) -> None:
        if self.wish is not None:
            self._wants(replace(self.wish, smoke=not self.wish.smoke))

    def action_profile(self) -> None:
        row = next((r for r in self.recipes if self.wish and r.name == self.wish.recipe), None)
        if self.wish is None or row is None or len(row.profiles) < 2:
            self._say("this recipe has no other profile")
            return
        now = next((o[8:] for o in self.wish.overrides if o.startswith("profile=")), row.profile)
        at = row.profiles.index(now) if now in row.profiles else -1
        after = row.profiles[(at + 1) % len(row.profiles)]
        kept = tuple(o for o in self.wish.overrides if not o.startswith("profile="))
        self._wants(replace(self.wish, overrides=(f"profile={after}", *kept)))

    def action_overrides(self) -> None:
        wish = self.wish
        if wish is None:
            return

        def take(line: str | None) -> None:
            if line is not None:
                self._wants(replace(wish, overrides=tuple(line.split())))

        body = text(
            "Values that differ from the recipe, with spaces between: ",
            ("lora.r=32 train.epochs=5", "accent"),
            (". An empty line takes the recipe as it is.", "dim"),
        )
        self.app.push_screen(
            Ask("Overrides", body, verb="plans with them", least=0, value=" ".join(wish.overrides)),
            take,
        )

    def action_accept(self) -> None:
        open_now = [f for f in self.plan.lint if f.stops] if self.plan is not None else []
        if not open_now:
            self._say("no error of the lint is open")
            return
        rules = {f.rule: f for f in reversed(open_now)}
        if len(rules) == 1:
            self._accept(next(iter(rules)))
            return
        rows = [(rule, text((f"✘ {rule} ", "bad"), clean.line(f.message, 200)))
                for rule, f in sorted(rules.items())]  # fmt: skip
        body = text("Which error is taken? Each needs its own reason.")
        self.app.push_screen(Choose("Accept", body, rows), lambda r: self._accept(r) if r else None)

    def _accept(self, rule: str) -> None:
        wish, plan = self.wish, self.plan
        if wish is None or plan is None:
            return
        found = next(f for f in plan.lint if f.rule == rule)

        def take(reason: str | None) -> None:
            if reason:
                self._wants(replace(wish, accept={**wish.accept, rule: reason}))

        body = text(
            (f"{rule} ", "bad"), clean.line(found.message, 300), "\n\n",
            (clean.line(found.reason, 500), "dim"),
            ("\n\nThe reason is kept with the job and with the version that comes of it.", "dim"),
        )  # fmt: skip
        self.app.push_screen(Ask(f"Accept {rule}?", body, verb="accepts it"), take)

    def action_start(self) -> None:
        if self.failed is not None or (self.plan is None and self.wish is None):
            self._say("there is no plan to start")
        elif self.plan is None:
            self._say("the plan is still being worked out")
        elif self.plan.blocking:
            rules = ", ".join(self.plan.blocking)
            self._say(f"not before {rules} is mended or accepted: a accepts it with a reason")
        elif planned.rows_at_fault(self.preflight):
            self._say("not before the rows that the preflight names are mended")
        else:
            self.dismiss(self.plan)

    @on(OptionList.OptionSelected, "#recipes")
    def picked(self) -> None:
        self._say("press y to start")

    def _say(self, words: str) -> None:
        self.notify(words, severity="warning", markup=False, timeout=3)
