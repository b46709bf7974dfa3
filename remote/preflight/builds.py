"""Which ready-made builds of torch, vLLM and flash-attn can work on a host, by driver, processor and libc.

Facts, not a resolver: they were read from the packages themselves and from NVIDIA's compatibility table
in November 2026, for the versions this product pins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["works", "fails", "source", "unsure"]

# Oldest driver branch per CUDA major version, from NVIDIA's compatibility table.
DRIVER_FOR_CUDA = {11: 450, 12: 525, 13: 580}
CUDA_12 = "torch 2.12 to 2.14 built for CUDA 12.6"
LAST_WITH_CUDA_12 = "2.14"
TORCH_GLIBC = (2, 28)

ROUTE_A = f"ask the administrators for driver {DRIVER_FOR_CUDA[13]} or newer: every current build then works"
ROUTE_B = (
    f"stay on this driver and install {CUDA_12} (not the default one) from PyTorch's own index for that "
    "CUDA: set `torch_index` of this host in hosts.yaml to it, then qa doctor --fix"
)


@dataclass(frozen=True, slots=True)
class Build:
    """One way to get a package, and what to expect of it."""

    package: str
    verdict: Verdict
    why: str


def newest_cuda(driver_branch: int) -> int:
    """The newest CUDA major version a driver branch runs; 0 if none. 555 → 12"""
    return max((c for c, least in DRIVER_FOR_CUDA.items() if driver_branch >= least), default=0)


def builds(machine: str, glibc: tuple[int, ...], driver_branch: int) -> list[Build]:
    """What can be installed on a GPU host. machine: `uname -m`.  glibc: (2, 28), or () if unknown."""
    cuda = newest_cuda(driver_branch)
    old_libc = bool(glibc) and glibc < TORCH_GLIBC
    out = []
    if old_libc:
        out.append(
            Build("torch", "fails", f"its builds need glibc 2.28; this host has {_dots(glibc)}")
        )
    elif cuda >= 13:
        out.append(Build("torch, default build (CUDA 13)", "works", f"driver {driver_branch}"))
    elif cuda == 12:
        out.append(
            Build(
                "torch, default build (CUDA 13)",
                "fails",
                f"CUDA 13 needs driver {DRIVER_FOR_CUDA[13]}, this is {driver_branch}",
            )
        )
        out.append(
            Build(CUDA_12, "works", f"runs on drivers from {DRIVER_FOR_CUDA[12]} on; last in 2.14")
        )
    else:
        out.append(
            Build("torch for CUDA", "fails", f"driver {driver_branch} is too old for CUDA 12")
        )
    out.append(_vllm(cuda, old_libc))
    out.append(
        Build(
            "flash-attn 2.8.3",
            "source",
            f"no ready-made build for {machine}: it compiles for a long time with nvcc of the CUDA torch "
            "was built for; without it training uses PyTorch's own attention (sdpa) and says so",
        )
    )
    return out


def _vllm(cuda: int, old_libc: bool) -> Build:
    name = "vLLM 0.33"
    if old_libc:
        return Build(name, "fails", "its builds need glibc 2.28")
    if cuda >= 13:
        return Build(name, "works", "in an environment of its own: it pins torch 2.14.0")
    if cuda == 12:
        why = "it pins torch 2.14.0; its default build is expected to be for CUDA 13"
        return Build(name, "unsure", why + "; 0.19 (torch 2.10) is the safer choice")
    return Build(name, "fails", "no CUDA that it is built for")


def _dots(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
