"""What a key is. The keys of each screen lie in the file of its mode."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Key:
    """key: Textual's name(s), comma-separated.  label: footer word.  help: what it does.

    shown: how the key is written for people.  footer: listed at the bottom of the screen.
    bound: False where the focused list answers the key itself.
    id: "<mode>.<action>", which the operator's key map names; `table` fills it in.
    command: the same act as a `qa` command, "" where there is none.
    writes: changes the registry, a host or a file; refused in read-only mode.
    """

    key: str
    action: str
    label: str
    help: str
    shown: str = ""
    footer: bool = True
    bound: bool = True
    id: str = ""
    command: str = ""
    writes: bool = False

    @property
    def written(self) -> str:
        return self.shown or self.key.split(",")[0]


def table(mode: str, *rows: Key) -> tuple[Key, ...]:
    """The keys of a mode, each with its id: its own word if it has one, else its action."""
    return tuple(replace(k, id=f"{mode}.{k.id or k.action}") for k in rows)
