"""What the SSH library loads for things we never ask of it, left out: a third of a start.

To be called before dataclasses and paramiko are imported, in a process that does nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

# Where the parts of paramiko are that a link process uses.
PLACES = {
    "Channel": "channel",
    "ChannelException": "ssh_exception",
    "ECDSAKey": "ecdsakey",
    "Ed25519Key": "ed25519key",
    "Message": "message",
    "PKey": "pkey",
    "PasswordRequiredException": "ssh_exception",
    "RSAKey": "rsakey",
    "SSHException": "ssh_exception",
    "Transport": "transport",
}


def lean() -> None:
    """paramiko then gathers its parts as they are asked for, and runs no commands of ~/.ssh/config (invoke);
    dataclasses do without the reader of source code that they write documentation with, and their methods
    are compiled when they are first called.
    """
    sys.modules.setdefault("invoke", None)  # type: ignore[arg-type]
    _without_inspect()
    _compiled_later()
    spec = PathFinder.find_spec("paramiko") if "paramiko" not in sys.modules else None
    if spec is not None and spec.origin and spec.submodule_search_locations:
        package = _Package("paramiko")
        package.__spec__, package.__file__ = spec, spec.origin
        package.__path__ = list(spec.submodule_search_locations)
        sys.modules["paramiko"] = package


class _Package(ModuleType):
    """paramiko before its own `__init__`, which runs as soon as anything but the PLACES is wanted of it."""

    def __getattr__(self, name: str) -> Any:
        value: Any
        if name in PLACES:
            value = getattr(import_module(f"paramiko.{PLACES[name]}"), name)
        elif name == "__version__":
            value = _version(Path(self.__path__[0]).parent)
        elif name.startswith("__") or PathFinder.find_spec(f"paramiko.{name}", self.__path__):
            raise AttributeError(name)  # the import system looks round, and then loads the part
        else:
            self.__class__ = ModuleType  # type: ignore[assignment]
            assert self.__spec__ and self.__spec__.loader
            self.__spec__.loader.exec_module(self)
            return getattr(self, name)
        setattr(self, name, value)
        return value


def _version(folder: Path) -> str:
    """paramiko's, by the name of a folder instead of with a reader of mail (importlib.metadata)."""
    for found in folder.glob("paramiko-*.dist-info"):
        return found.name.removeprefix("paramiko-").removesuffix(".dist-info")
    from importlib.metadata import version

    return version("paramiko")


def _without_inspect() -> None:
    """Whoever else imports it gets the true one."""
    if not {"inspect", "dataclasses"} & sys.modules.keys():
        sys.modules["inspect"] = _Inspect("inspect")
        import_module("dataclasses")
        del sys.modules["inspect"]


def _compiled_later() -> None:
    """The methods of a dataclass are a dozen small programs, of which a link process runs a few."""
    import dataclasses

    create: Callable[..., Callable[..., Any]] | None = getattr(dataclasses, "_create_fn", None)
    if create is None:
        return  # a Python that compiles all of a class at once

    def later(name: str, *how: Any, **more: Any) -> Callable[..., Any]:
        true: Callable[..., Any] | None = None

        def method(*values: Any, **named: Any) -> Any:
            nonlocal true
            if true is None:
                true = create(name, *how, **more)
            return true(*values, **named)

        method.__name__ = name
        return method

    dataclasses._create_fn = later  # type: ignore[attr-defined]


class _Inspect(ModuleType):
    """As far as dataclasses use it: for the first line of the documentation of those that have none."""

    def signature(self, of: object) -> str:
        return "(…)"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(import_module("inspect"), name)
