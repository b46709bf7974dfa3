"""Jobs of a host that has Slurm in front of its GPUs. Importing this costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote.slurm.settings import SlurmSettings

if TYPE_CHECKING:
    from remote.helper_client import Carrier
    from remote.slurm.survey import SlurmInfo

__all__ = ["SlurmSettings", "info"]


def info(route: Carrier, settings: SlurmSettings | None = None) -> SlurmInfo:
    """What Slurm offers on the host: see `survey.SlurmInfo`. settings: default, the host's."""
    from remote.slurm.survey import survey

    return survey(route, settings)
