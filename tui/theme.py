"""Colours by role. Rows name a role ("ok", "dim"); the theme in use decides how it looks."""

from __future__ import annotations

from collections.abc import Mapping

from rich.color import Color as RichColor
from rich.color import ColorParseError
from rich.style import Style
from rich.theme import Theme as RoleTheme
from textual.color import Color
from textual.color import ColorParseError as TextualColorParseError
from textual.theme import Theme

DEFAULT = "access-dark"

THEMES = (
    Theme(
        name="access-dark",
        primary="#7fb0e0",
        secondary="#8fa3bf",
        accent="#c3a6e8",
        success="#86c28b",
        warning="#e0b25c",
        error="#ec7d7d",
        foreground="#d8dce3",
        background="#12151a",
        surface="#171b21",
        panel="#222831",
        dark=True,
        variables={
            "border": "#7fb0e0",
            "border-blurred": "#39424f",
            "block-cursor-background": "#264260",
            "block-cursor-foreground": "#ffffff",
            "block-cursor-text-style": "none",
            "block-cursor-blurred-background": "#232b35",
            "footer-key-foreground": "#7fb0e0",
        },
    ),
    Theme(
        name="access-light",
        primary="#1f5f9f",
        secondary="#51657d",
        accent="#7546a8",
        success="#22743a",
        warning="#8f5d00",
        error="#b3261e",
        foreground="#1d232b",
        background="#f7f7f4",
        surface="#efefea",
        panel="#e2e3dd",
        dark=False,
        variables={
            "border": "#1f5f9f",
            "border-blurred": "#c3c7c9",
            "block-cursor-background": "#c9dcf0",
            "block-cursor-foreground": "#10151b",
            "block-cursor-text-style": "none",
            "block-cursor-blurred-background": "#e3e8ec",
            "footer-key-foreground": "#1f5f9f",
        },
    ),
    Theme(  # blue, orange and yellow stay apart for the common kinds of colour blindness
        name="access-colour-blind",
        primary="#8ab4d8",
        secondary="#9aa5b1",
        accent="#cc99bb",
        success="#56b4e9",
        warning="#f0e442",
        error="#e8853d",
        foreground="#e2e2e2",
        background="#101316",
        surface="#171a1e",
        panel="#23272d",
        dark=True,
        variables={
            "border": "#8ab4d8",
            "border-blurred": "#3b4046",
            "block-cursor-background": "#2f4358",
            "block-cursor-foreground": "#ffffff",
            "block-cursor-text-style": "none",
            "block-cursor-blurred-background": "#262c33",
            "footer-key-foreground": "#8ab4d8",
        },
    ),
)

# role → theme variable; a role's meaning is also always carried by a shape or a word
ROLES = {
    "ok": "success",
    "bad": "error",
    "warn": "warning",
    "unsure": "accent",
    "accent": "primary",
    "key": "primary",
}


def roles(theme: Theme) -> RoleTheme:
    """Rich styles by role name in the colours of a Textual theme."""
    variables = theme.to_color_system().generate()
    styles = {role: _style(variables.get(name, "")) for role, name in ROLES.items()}
    styles["dim"] = _muted(variables)
    styles["faint"] = _muted(variables, 0.32)
    styles["strong"] = Style(bold=True)
    styles["loud"] = styles["bad"] + Style(bold=True)
    styles["title"] = styles["accent"] + Style(bold=True)
    return RoleTheme(styles, inherit=True)


def _style(value: str) -> Style:
    name = value.removeprefix("ansi_")
    try:
        return Style(color=RichColor.parse(name))
    except ColorParseError:
        pass
    try:
        return Style(color=Color.parse(value).rich_color)
    except TextualColorParseError:
        return Style()


def _muted(variables: Mapping[str, str], share: float = 0.58) -> Style:
    """Foreground mixed into the background; `dim` where the terminal's own colours are used."""
    try:
        fore, back = Color.parse(variables["foreground"]), Color.parse(variables["background"])
    except (KeyError, TextualColorParseError):
        return Style(dim=True)
    if fore.ansi is not None or back.ansi is not None:
        return Style(dim=True)
    return Style(color=back.blend(fore, share).rich_color)
