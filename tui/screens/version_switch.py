"""Promote and roll back: what is asked before a version goes live or leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui import clean
from tui.desk.api import VersionRow
from tui.present import versions, words
from tui.present.versions import ENVIRONMENTS
from tui.present.words import text
from tui.widgets.confirm import Ask, Choose, TypeName

if TYPE_CHECKING:
    from tui.screens.versions import VersionsScreen

Reasons = dict[str, str | None]


def promote(screen: VersionsScreen, version: VersionRow) -> None:
    """Ask where to, then for the name; against the gates for a reason too."""
    name = version.model_version

    def read() -> Reasons:
        return {e: screen.desk.why_not_promote(name, e) for e in ENVIRONMENTS}

    screen.ask(read, lambda reasons: _choose_environment(screen, version, reasons), group="promote")


def _choose_environment(screen: VersionsScreen, version: VersionRow, reasons: Reasons) -> None:
    rows = []
    for environment, reason in reasons.items():
        now = screen.live_in(environment)
        label = text(f"{environment:<12}", (f"now {words.short_version(now or '–')}", "dim"))
        if reason is not None:
            label.append(f"   ▲ {clean.line(reason, 60)}", "warn")
        rows.append((environment, label))
    body = versions.gate_evidence(version)
    title = f"Promote {version.model_version} to"

    def chosen(environment: str | None) -> None:
        if environment is not None:
            _confirm_promotion(screen, version, environment, reasons[environment])

    screen.app.push_screen(Choose(title, body, rows), chosen)


def _confirm_promotion(
    screen: VersionsScreen, version: VersionRow, environment: str, refusal: str | None
) -> None:
    name = version.model_version
    now = screen.live_in(environment)
    body = text(
        (environment, "strong"),
        ": ",
        words.short_version(now or "nothing"),
        (" → ", "key"),
        (words.short_version(name), "strong"),
        "\n\n",
    )
    body.append_text(versions.gate_evidence(version))
    if refusal is not None:
        body.append("\n\n▲ not allowed: ", "loud")
        body.append(clean.block(refusal))
        reason = "override reason (it is recorded with your name)"
    else:
        reason = ""

    def promote(answer: str | None) -> None:
        if answer is None:
            return
        override = answer if refusal is not None else None
        screen.ask(
            lambda: screen.desk.promote(
                name, environment, override_reason=override, expected_live=now or ""
            ),
            lambda _: screen.done(f"{name} is live in {environment}"),
            group="promote",
        )

    verb = "overrides and promotes" if refusal is not None else "promotes"
    title = "Promote against the gates?" if refusal is not None else "Promote?"
    dialog = TypeName(title, body, name, verb=verb, reason=reason).acting_on(environment)
    screen.app.push_screen(dialog, promote)


def roll_back(screen: VersionsScreen) -> None:
    """Put the version before back; where there is a choice, ask which environment."""
    live = [e for e in ENVIRONMENTS if e in screen.live]

    def read() -> Reasons:
        return {e: screen.desk.why_not_roll_back(e) for e in live}

    screen.ask(read, lambda reasons: _choose_roll_back(screen, reasons), group="roll-back")


def _move(screen: VersionsScreen, environment: str) -> tuple[str, str | None]:
    now = screen.live_in(environment) or ""
    return now, versions.previous(screen.events, environment, now)


def _choose_roll_back(screen: VersionsScreen, reasons: Reasons) -> None:
    open_ = [e for e, reason in reasons.items() if reason is None]
    if not open_:
        lines = [f"{e}: {reason}" for e, reason in reasons.items()]
        screen.centre.say("\n".join(lines), title="Cannot roll back", bad=True)
        return
    if len(open_) == 1 and len(reasons) == 1:
        _confirm_roll_back(screen, open_[0])
        return
    rows = []
    for environment, reason in sorted(reasons.items(), key=lambda pair: pair[1] is not None):
        now, before = _move(screen, environment)
        label = text(f"{environment:<12}", words.short_version(now), (" → ", "key"))
        label.append(words.short_version(before or "?"))
        if reason is not None:
            label = text(f"{environment:<12}", (f"not now: {clean.line(reason, 60)}", "dim"))
        rows.append((environment, label))

    def chosen(environment: str | None) -> None:
        if environment in open_:
            _confirm_roll_back(screen, environment)
        elif environment is not None:
            screen.notify(str(reasons[environment]), severity="warning", markup=False)

    screen.app.push_screen(Choose("Roll back", text("Which environment?"), rows), chosen)


def _confirm_roll_back(screen: VersionsScreen, environment: str) -> None:
    now, before = _move(screen, environment)
    body = text(
        (environment, "strong"),
        ": ",
        (words.short_version(now), "strong"),
        (" → ", "key"),
        (words.short_version(before or "the version before"), "strong"),
        "\n\nThe version before becomes live at once. Nothing is deleted; you can promote "
        "again at any time. The reason is recorded with your name.",
    )

    def roll_back(reason: str | None) -> None:
        if reason:
            screen.ask(
                lambda: screen.desk.roll_back(environment, reason),
                lambda back: screen.done(f"{environment} is back on {back}"),
                group="roll-back",
            )

    dialog = Ask("Roll back?", body, verb="rolls back", placeholder="reason")
    screen.app.push_screen(dialog.acting_on(environment), roll_back)
