"""URL patterns of domains, e.g. compute-resources → https://…/{entity_id}: an address to propose."""

from __future__ import annotations

from collections.abc import Mapping

from core.citations import SourceIndex
from core.errors import UsageError
from core.registry import audit
from core.registry.store import Registry, utc_now
from core.source_files import fill, pattern_problem


def patterns(reg: Registry) -> dict[str, str]:
    """domain → URL template."""
    return {r[0]: r[1] for r in reg.rows("SELECT domain, template FROM source_patterns")}


def set_pattern(reg: Registry, domain: str, template: str, *, who: str | None = None) -> None:
    """Add or replace the pattern of a domain. Raises UsageError."""
    problem = pattern_problem(domain, template)
    if problem:
        raise UsageError(problem, try_next="e.g. https://example.org/resources/{entity_id}")
    with reg.writing():
        before = reg.value("SELECT template FROM source_patterns WHERE domain = ?", (domain,))
        reg.execute(
            "INSERT INTO source_patterns VALUES (?, ?, ?) ON CONFLICT (domain) DO UPDATE"
            " SET template = excluded.template, updated_at = excluded.updated_at",
            (domain, template, utc_now()),
        )
        audit.append(reg, "sources.pattern", domain, who=who, before=before, after=template)


def take_samples(reg: Registry, found: Mapping[str, str]) -> None:
    """Those of sources.yaml, where there is none yet."""
    for domain, template in found.items():
        reg.execute(
            "INSERT INTO source_patterns VALUES (?, ?, ?) ON CONFLICT (domain) DO NOTHING",
            (domain, template, utc_now()),
        )


def proposed_url(reg: Registry, source_id: str) -> str | None:
    """Where the page of a source probably lies; None for a domain without a pattern."""
    domain, _, entity = source_id.partition(":")
    template = reg.value("SELECT template FROM source_patterns WHERE domain = ?", (domain,))
    return fill(template, entity) if template and entity else None


def astray(reg: Registry, index: SourceIndex) -> tuple[str, ...]:
    """Ids of sources whose address is not the one their domain's pattern gives."""
    known = patterns(reg)
    return tuple(
        s.source_id
        for s in index.by_id.values()
        if s.domain in known and s.url != fill(known[s.domain], s.source_id.partition(":")[2])
    )
