"""What else can be done on the Versions screen: return, approve, compare, look back, read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tui import clean
from tui.present import moments, versions, words
from tui.present.versions import ENVIRONMENTS
from tui.present.words import text
from tui.widgets.confirm import Ask, Choose, Confirm, Page
from tui.widgets.markdown_page import MarkdownPage

if TYPE_CHECKING:
    from tui.screens.versions import VersionsScreen

Reasons = Mapping[str, str | None]


def return_(screen: VersionsScreen) -> None:
    """Undo the last switch where its window is open; y confirms, no reason is asked."""
    open_ = [e for e, reason in screen.returns.items() if reason is None]
    if len(open_) == 1:
        _confirm_return(screen, open_[0])
        return
    rows = [(e, text(f"{e:<12}", *_move(screen, e))) for e in open_]

    def chosen(environment: str | None) -> None:
        if environment is not None:
            _confirm_return(screen, environment)

    screen.app.push_screen(Choose("Return", text("Which environment?"), rows), chosen)


def _move(screen: VersionsScreen, environment: str) -> tuple[str | tuple[str, str], ...]:
    now = screen.live_in(environment)
    left = next(
        (versions.replaced(r) for r in screen.events if r.get("environment") == environment), None
    )
    back = words.short_version(left or "the version just left")
    return (words.short_version(now or "–"), (" → ", "key"), (back, "strong"))


def _confirm_return(screen: VersionsScreen, environment: str) -> None:
    body = text((environment, "strong"), ": ", *_move(screen, environment))
    body.append(
        "\n\nThe last switch is undone. The version is still loaded; the audit tells of it."
    )

    def answered(yes: bool | None) -> None:
        if yes:
            screen.ask(
                lambda: screen.desk.return_(environment),
                lambda back: screen.done(f"{environment} has returned to {back}"),
                group="return",
            )

    dialog = Confirm("Return?", body, verb="returns").acting_on(environment)
    screen.app.push_screen(dialog, answered)


def approve(screen: VersionsScreen, name: str) -> None:
    """Agree to a promotion that somebody else will make."""

    def read() -> Reasons:
        return {e: screen.desk.why_not_approve(name, e) for e in ENVIRONMENTS}

    def choose(reasons: Reasons) -> None:
        rows = []
        for environment, reason in reasons.items():
            label = text(f"{environment:<12}")
            if reason is not None:
                label.append(f"not now: {clean.line(reason, 90)}", "dim")
            rows.append((environment, label))

        def chosen(environment: str | None) -> None:
            if environment is None:
                return
            if reasons[environment] is not None:
                screen.notify(str(reasons[environment]), severity="warning", markup=False)
            else:
                _ask_approval(screen, name, environment)

        screen.app.push_screen(
            Choose(f"Approve {name} for", text("Somebody else then promotes it."), rows), chosen
        )

    screen.ask(read, choose, group="approve")


def _ask_approval(screen: VersionsScreen, name: str, environment: str) -> None:
    version = screen.version
    body = text((name, "strong"), f" for {environment}, with the scores it has now\n\n")
    if version is not None and version.model_version == name:
        body.append_text(versions.gate_evidence(version))

    def answered(reason: str | None) -> None:
        if reason:
            screen.ask(
                lambda: screen.desk.approve(name, environment, reason),
                lambda _: screen.done(f"{name} is approved for {environment}"),
                group="approve",
            )

    screen.app.push_screen(
        Ask("Approve?", body, verb="approves", placeholder="what you looked at").acting_on(
            environment
        ),
        answered,
    )


def compare(screen: VersionsScreen, a: str, b: str) -> None:
    from tui.screens.version_compare import ComparePage

    screen.ask(
        lambda: screen.desk.compare(a, b),
        lambda found: screen.app.push_screen(ComparePage(found)),
        group="compare",
    )


def look_back(screen: VersionsScreen) -> None:
    """Ask for a moment; show what was live then."""
    body = text(
        "What was live at that moment, and what was known of it?\n\n",
        ("2026-01-14T09:00  local time, or with Z or +02:00; a date alone is its start", "dim"),
    )

    def answered(moment: str | None) -> None:
        if moment:
            show_moment(screen, moment)

    screen.app.push_screen(
        Ask("Look back", body, verb="looks", placeholder="2026-01-14T09:00", least=4), answered
    )


def show_moment(screen: VersionsScreen, moment: str) -> None:
    """What was live at a moment, as an operator writes it."""
    screen.ask(
        lambda: screen.desk.live_at(moment),
        lambda found: screen.app.push_screen(Page("At that time", moments.page(found))),
        group="at",
    )


def read_card(screen: VersionsScreen, name: str) -> None:
    def show(card: str) -> None:
        screen.app.push_screen(MarkdownPage(f"Model card of {name}", versions.card(card)))

    screen.ask(lambda: screen.desk.model_card(name), show, group="card")


def read_trail(screen: VersionsScreen, name: str) -> None:
    from tui.screens.version_trail import TrailScreen

    screen.app.push_screen(TrailScreen(name))
