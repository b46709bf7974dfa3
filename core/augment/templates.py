"""Wordings per attribute, from configs/augment/*.yaml: one template serves every entity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from pydantic import Field, field_validator

from core import locations
from core.augment.about import TOPIC, About
from core.errors import SettingsError
from core.settings import Settings, read_yaml, validate

HELD_OUT = "held_out"


FACT = "fact"


class File(Settings):
    """domain: of the pairs the wordings are for.  fields: field → family → wordings.  facts: entity
    id → topic → wordings of that one fact, without placeholders.
    """

    domain: str
    fields: dict[str, dict[str, list[str]]] = Field(default_factory=dict)
    facts: dict[str, dict[str, list[str]]] = Field(default_factory=dict)

    @field_validator("fields")
    @classmethod
    def _named(cls, fields: dict[str, dict[str, list[str]]]) -> dict[str, dict[str, list[str]]]:
        for name, families in fields.items():
            for family, wordings in families.items():
                for text in wordings:
                    if "{name}" not in text:
                        raise ValueError(f"{name}.{family}: {text!r} does not say {{name}}")
                    left = text.replace("{name}", "").replace("{node}", "")
                    if "{" in left or "}" in left:
                        raise ValueError(f"{name}.{family}: {text!r}: only {{name}} and {{node}}")
        return fields


@dataclass(frozen=True, slots=True)
class Wording:
    """family: "ask:interconnect"; number: which of its wordings, from 1."""

    family: str
    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Templates:
    """by_domain: domain → field → family → wordings.  facts: (domain, entity, topic) → wordings."""

    by_domain: dict[str, dict[str, dict[str, list[str]]]] = field(default_factory=dict)
    facts: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)

    def wordings(self, domain: str, it: About, *, held_out: bool = False) -> Iterator[Wording]:
        """Every wording that fits the fields of `it`; the held-out ones instead where asked for."""
        fields = self.by_domain.get(domain, {})
        for name in it.fields if it.name else ():
            for family, texts in fields.get(name, {}).items():
                if (family == HELD_OUT) != held_out:
                    continue
                for n, text in enumerate(texts, 1):
                    if "{node}" in text and not it.node:
                        continue
                    said = text.replace("{name}", it.name).replace("{node}", it.node)
                    yield Wording(f"{family}:{name}", n, said)
        for name in it.fields if not held_out else ():
            topic = name.removeprefix(TOPIC)
            for n, text in enumerate(self.facts.get((domain, it.entity, topic), ()), 1):
                yield Wording(f"{FACT}:{topic}", n, text)


def kind(family: str) -> str:
    """ "ask" of "ask:interconnect"."""
    return family.partition(":")[0]


def folder() -> Path:
    return locations.configs() / "augment"


def load(path: Path | None = None) -> Templates:
    """All files of a folder (default configs/augment). Raises SettingsError."""
    return _load(path or folder())


@lru_cache(maxsize=8)
def _load(path: Path) -> Templates:
    by_domain: dict[str, dict[str, dict[str, list[str]]]] = {}
    facts: dict[tuple[str, str, str], list[str]] = {}
    for file in sorted(path.glob("*.yaml")):
        data, lines = read_yaml(file)
        read = validate(data, File, origin=str(file), lines=lines)
        known = by_domain.setdefault(read.domain, {})
        ours = {(read.domain, e, t): w for e, of in read.facts.items() for t, w in of.items()}
        twice = sorted(known.keys() & read.fields.keys()) + sorted(facts.keys() & ours.keys())
        if twice:
            raise SettingsError(
                f"{file}: {twice[0]} has wordings in another file",
                try_next="put them into one file",
            )
        known |= read.fields
        facts |= ours
    return Templates(by_domain, facts)
