"""Looking at a version's adapter where it lies: on this machine, or on the host if the link is up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from core.errors import QAError

if TYPE_CHECKING:
    from core.registry.precheck import Facts
    from core.registry.records import Version
    from tui.desk.workbench import Workbench


def look(bench: Workbench, version: Version) -> Facts | None:
    """Facts for the pre-check; None if nobody can look now. A link that is down is not opened."""
    from core.registry.precheck import local_facts

    here = local_facts(version)
    if here is not None or bench.link().state != "up" or not version.adapter_path:
        return here
    try:
        return _on_host(bench, version, version.adapter_path)
    except (QAError, OSError, ValueError, KeyError, TypeError):
        return None


def _on_host(bench: Workbench, version: Version, folder: str) -> Facts:
    """Sizes and the weights' hash from the host; the configuration comes home with its hash."""
    from core.registry.precheck import CONFIG, WEIGHTS, Facts
    from tui.desk.outcomes import fetch_result

    helper = bench.line.route().helper()
    sizes: dict[str, int] = {}
    for name in (WEIGHTS, CONFIG):
        found = helper.call("stat", path=f"{folder}/{name}")
        if found is not None:
            sizes[name] = int(found["size"])
    (digest,) = helper.call("sha256", paths=[f"{folder}/{WEIGHTS}"])
    config: Any = None
    if version.train_job and CONFIG in sizes:
        job = fetch_result(bench, version.train_job, [f"adapter/{CONFIG}"])
        config = json.loads((job.artifacts / "adapter" / CONFIG).read_text("utf-8"))
    return Facts(
        where=f"{bench.host_name}:{folder}",
        sizes=sizes,
        weights_sha256=digest,
        config=config if isinstance(config, dict) else None,
        header_read=False,
    )
