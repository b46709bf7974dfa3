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
    Theme(  # quiet words too are 7 : 1 or better against what is behind them
        name="access-contrast",
        primary="#8fd0ff",
        secondary="#ffffff",
        accent="#f0b8ff",
        success="#7dff9a",
        warning="#ffe14d",
        error="#ffaaaa",
        foreground="#ffffff",
        background="#000000",
        surface="#000000",
        panel="#1c1c1c",
        dark=True,
        variables={
            "border": "#ffffff",
            "border-blurred": "#b0b0b0",
            "text-muted": "#e0e0e0",
            "block-cursor-background": "#0a3a66",
            "block-cursor-foreground": "#ffffff",
            "block-cursor-text-style": "bold",
            "block-cursor-blurred-background": "#2c2c2c",
            "dim-share": "0.82",
            "faint-share": "0.66",
            "footer-key-foreground": "#8fd0ff",
        },
    ),
    Theme(  # the terminal's own sixteen colours
        name="access-ansi",
        ansi=True,
        primary="ansi_cyan",
        secondary="ansi_blue",
        accent="ansi_magenta",
        success="ansi_green",
        warning="ansi_yellow",
        error="ansi_red",
        foreground="ansi_default",
        background="ansi_default",
        surface="ansi_default",
        panel="ansi_default",
        boost="ansi_default",
        dark=True,
        variables={
            "border": "ansi_cyan",
            "border-blurred": "ansi_bright_black",
            "ansi-background": "ansi_black",
            "ansi-foreground": "ansi_white",
            "block-cursor-background": "ansi_cyan",
            "block-cursor-foreground": "ansi_black",
            "block-cursor-text-style": "none",
            "block-cursor-blurred-background": "ansi_bright_black",
            "block-hover-background": "ansi_bright_black",
            "input-cursor-background": "ansi_white",
            "input-cursor-foreground": "ansi_black",
            "input-selection-background": "ansi_blue",
            "input-selection-foreground": "ansi_white",
            "scrollbar": "ansi_bright_black",
            "scrollbar-background": "ansi_default",
            "footer-key-foreground": "ansi_cyan",
        },
    ),
)

# what the operator is offered, in this order
OFFERED = tuple(
    zip(
        THEMES,
        (
            "dark, quiet; the default",
            "light, for bright rooms",
            "blue, orange and yellow instead of green and red",
            "white on black, strong colours",
            "the sixteen colours of your terminal",
        ),
        strict=True,
    )
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


def chosen(name: str) -> str:
    """The theme of that name: one of ours or of Textual's; the default one for any other word."""
    from textual.theme import BUILTIN_THEMES

    return name if name in BUILTIN_THEMES or any(name == t.name for t in THEMES) else DEFAULT


def roles(theme: Theme) -> RoleTheme:
    """Rich styles by role name in the colours of a Textual theme."""
    variables = theme.to_color_system().generate()
    styles = {role: _style(variables.get(name, "")) for role, name in ROLES.items()}
    styles["dim"] = _muted(variables, float(theme.variables.get("dim-share", 0.58)))
    styles["faint"] = _muted(variables, float(theme.variables.get("faint-share", 0.32)))
    styles["strong"] = Style(bold=True)
    styles["loud"] = styles["bad"] + Style(bold=True)
    styles["chip"] = styles["warn"] + Style(reverse=True, bold=True)
    styles["alarm"] = styles["bad"] + Style(reverse=True, bold=True)
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


def _muted(variables: Mapping[str, str], share: float) -> Style:
    """Foreground mixed into the background; `dim` where the terminal's own colours are used."""
    try:
        fore, back = Color.parse(variables["foreground"]), Color.parse(variables["background"])
    except (KeyError, TextualColorParseError):
        return Style(dim=True)
    if fore.ansi is not None or back.ansi is not None:
        return Style(dim=True)
    return Style(color=back.blend(fore, share).rich_color)
