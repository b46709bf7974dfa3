"""Which launcher a host's jobs go through."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remote.helper_client import Carrier
    from remote.launch import Launcher


def launcher_for(route: Carrier) -> Launcher:
    """By the `launcher` of the route's host."""
    host = getattr(route, "host", None)
    if getattr(host, "launcher", "direct") == "slurm":
        from remote.slurm.launcher import SlurmLauncher

        return SlurmLauncher(route)
    from remote.launch import DirectLauncher

    return DirectLauncher(route)
