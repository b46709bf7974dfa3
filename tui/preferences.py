"""What the operator chose for the app: command line, then settings file; and the key map."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from core.errors import QAError
from tui import keymap, settings_file
from tui.keymap import KeyMap
from tui.settings_file import AppSettings


@dataclass(frozen=True, slots=True)
class Preferences:
    """locked: read-only for as long as the app runs.  problems: what the files say that cannot hold.
    remember: notices, a chosen theme and first steps outlive the app; not in tests and pictures.
    given: settings that the command line named.
    """

    settings: AppSettings = field(default_factory=AppSettings)
    keymap: KeyMap = field(default_factory=KeyMap)
    locked: bool = False
    problems: Sequence[QAError] = ()
    remember: bool = False
    given: frozenset[str] = frozenset()

    @property
    def still(self) -> bool:
        """Reduced motion: nothing moves by itself."""
        return self.settings.reduced_motion or os.environ.get("QA_REDUCED_MOTION", "") not in (
            "",
            "0",
        )


def load(*, read_only: bool = False) -> Preferences:
    """From the operator's files. Never raises: what is wrong with them is told."""
    settings, faults = settings_file.load()
    keys, more = keymap.load()
    return Preferences(settings, keys, read_only, [*faults, *more], remember=True)
