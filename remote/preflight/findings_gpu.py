"""Is there an accelerator, does its driver fit the builds, and does torch really compute on it?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from remote.helper_client import plain
from remote.preflight.builds import DRIVER_FOR_CUDA, ROUTE_A, ROUTE_B, builds, newest_cuda
from remote.preflight.findings import Facts, Finding, text_of, version_of

FREE_SHARE = 0.9  # of the accelerator's memory; less means that somebody else is using it


def judge_accelerator(facts: Facts) -> Iterator[Finding]:
    yield _seen(facts)
    gpus = _gpus(facts)
    if gpus:
        yield _memory(gpus)
    yield _cuda(facts)
    if gpus:
        yield _builds(facts)


def _gpus(facts: Facts) -> list[dict[str, Any]]:
    gpus = facts.get("gpus")
    return [g for g in gpus if isinstance(g, dict)] if isinstance(gpus, list) else []


def _seen(facts: Facts) -> Finding:
    gpus = _gpus(facts)
    problem = plain(facts.get("smi_problem") or "", 200)
    if problem:
        return Finding(
            "gpu",
            "GPU",
            "fail",
            problem,
            "the GPU is not well: a job on it would hang or fail",
            "tell the administrators; the node may need a restart",
        )
    if not gpus:
        return Finding(
            "gpu",
            "GPU",
            "warn",
            "none seen (no nvidia-smi, or no device)",
            "jobs run on the CPU: the small model only",
            "on a GPU host: ask the administrators to load the driver",
        )
    names = ", ".join(
        f"{plain(g.get('name'), 80)} {plain(g.get('memory_mib'), 20)} MiB" for g in gpus
    )
    return Finding("gpu", "GPU", "pass", names)


def _cuda(facts: Facts) -> Finding:
    """Does the driver carry the CUDA that torch was built for?"""
    gpus, built = _gpus(facts), facts.get("torch_cuda")
    built = plain(built, 20) if built else ""
    if not gpus:
        return Finding("cuda", "Driver and CUDA", "info", "no GPU, nothing to match")
    driver = plain(gpus[0].get("driver"), 40)
    branch = (version_of(driver) or (0,))[0]
    newest = newest_cuda(branch)
    speaks = plain(facts.get("cuda_driver_api") or "", 20)
    detail = f"driver {driver}" + (f" (CUDA {speaks})" if speaks else "")
    limit = f"this driver runs builds for CUDA {newest}.x and older" if newest else ""
    if facts.get("torch_cuda") is None:
        return Finding(
            "cuda",
            "Driver and CUDA",
            "info" if newest >= max(DRIVER_FOR_CUDA) else "warn",
            detail + "; torch is not installed yet",
            limit,
            f"install a torch built for CUDA {newest}.x" if newest < max(DRIVER_FOR_CUDA) else "",
        )
    detail += f"; torch is built for CUDA {built or 'none'}"
    if not built:
        return Finding(
            "cuda",
            "Driver and CUDA",
            "fail",
            detail,
            "the GPU would not be used",
            f"install a torch built for CUDA {newest}.x",
        )
    wanted = (version_of(built) or (0,))[0]
    if wanted > newest:
        return Finding(
            "cuda",
            "Driver and CUDA",
            "fail",
            detail,
            f"torch will not see the GPU: CUDA {wanted} needs driver "
            f"{DRIVER_FOR_CUDA.get(wanted, 'a newer one')} or newer",
            f"install a torch built for CUDA {newest}.x, or ask the administrators for the driver",
        )
    return Finding("cuda", "Driver and CUDA", "pass", detail, limit)


def _memory(gpus: list[dict[str, Any]]) -> Finding:
    """Free memory, partitions and memory errors of each GPU."""
    title, parts, odd = "GPU memory", [], []
    for n, g in enumerate(gpus):
        free, total = version_of(g.get("free_mib")), version_of(g.get("memory_mib"))
        if not free or not total or not total[0]:
            parts.append("unknown")
            continue
        parts.append(f"{free[0] / 1024:.1f} of {total[0] / 1024:.1f} GiB free")
        if free[0] < FREE_SHARE * total[0]:
            odd.append(f"GPU {n} is in use by something else")
    for n, g in enumerate(gpus):
        if plain(g.get("mig") or "", 20) == "Enabled":
            odd.append(
                f"GPU {n} is split (MIG): a job gets a part of it, and utilisation is not known"
            )
        errors = version_of(g.get("ecc"))
        if errors and errors[0]:
            odd.append(f"GPU {n} has {errors[0]} uncorrected memory errors")
    outcome: Any = "warn" if odd else "pass"
    hint = "see who uses it with nvidia-smi; memory errors: tell the administrators" if odd else ""
    return Finding("hbm", title, outcome, "; ".join(parts), "; ".join(odd), hint)


def _builds(facts: Facts) -> Finding:
    """Which packages can work on this driver, processor and libc; two ways out where they do not."""
    driver = _gpus(facts)[0].get("driver")
    branch = (version_of(plain(driver, 40)) or (0,))[0]
    libc = text_of(facts, "libc")
    glibc = version_of(libc.removeprefix("glibc ")) if libc.startswith("glibc ") else ()
    found = builds(text_of(facts, "machine"), glibc, branch)
    words = {
        "works": "works",
        "fails": "cannot work",
        "source": "source only",
        "unsure": "not sure",
    }
    detail = "; ".join(f"{b.package}: {words[b.verdict]}" for b in found)
    reasons = "; ".join(f"{b.package}: {b.why}" for b in found if b.verdict != "works")
    if newest_cuda(branch) >= max(DRIVER_FOR_CUDA):
        return Finding("builds", "Builds that can work", "pass", detail, reasons)
    ways = f"two ways: (1) {ROUTE_A}; (2) {ROUTE_B}"
    built = (version_of(facts.get("torch_cuda") or "") or (0,))[0]
    outcome: Any = "info" if 0 < built <= newest_cuda(branch) else "warn"  # the right one is there
    return Finding("builds", "Builds that can work", outcome, detail, reasons, ways)


def judge_torch(said: Any, why: str) -> Finding:
    """The answer of `core.probes torch`, or why there is none."""
    title = "torch at work"
    if not isinstance(said, dict):
        return Finding(
            "torch", title, "fail", why or "no answer", "jobs would end at once", "qa doctor --fix"
        )
    detail = f"torch {plain(said.get('torch'), 40)} on {plain(said.get('device'), 80)}"
    if not said.get("bf16_matmul"):
        return Finding(
            "torch",
            title,
            "fail",
            detail + ", a bf16 product came out wrong",
            "training would learn noise",
            "tell the administrators; try another build of torch",
        )
    detail += ", bf16 right"
    if not said.get("cuda_available"):
        built = said.get("cuda_build")
        reason = "a build without CUDA" if not built else f"built for CUDA {plain(built, 20)}"
        return Finding(
            "torch",
            title,
            "warn",
            detail,
            f"torch.cuda.is_available() is false ({reason}): jobs run on the CPU",
            "on a GPU host: see “Builds that can work”",
        )
    return Finding("torch", title, "pass", detail)
