"""What the SSH library loads for things we never ask of it, left out: a third of a start.

To be called before paramiko is imported, in a process that does nothing else.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

METADATA = "importlib.metadata"


def lean() -> None:
    """paramiko then runs no commands of ~/.ssh/config (invoke), and learns its own version from the name
    of a folder instead of with a reader of mail (importlib.metadata).
    """
    sys.modules.setdefault("invoke", None)  # type: ignore[arg-type]
    if METADATA not in sys.modules:
        sys.modules[METADATA] = importlib.metadata = _Metadata(METADATA)  # type: ignore[assignment]


class _Metadata(ModuleType):
    """Makes room for the true module as soon as anything but a version is wanted of it."""

    def version(self, name: str) -> str:
        for path in sys.path:
            for found in Path(path).glob(f"{name}-*.dist-info"):
                return found.name.removeprefix(f"{name}-").removesuffix(".dist-info")
        return str(self.__getattr__("version")(name))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the import system looks round
            raise AttributeError(name)
        if sys.modules.get(METADATA) is self:
            del sys.modules[METADATA]
        return getattr(importlib.import_module(METADATA), name)
