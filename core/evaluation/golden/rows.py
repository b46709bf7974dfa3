"""One row of a golden file into a question; what is wrong with it as faults with line and field."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from core.evaluation.golden.model import (
    CATEGORIES,
    QUERY_TYPES,
    Fault,
    GoldenQuestion,
    KeyFact,
)
from core.near_duplicates import words

FIELDS: tuple[str, ...] = tuple(f.name for f in fields(GoldenQuestion))
"""Names of all fields, in the order of the file."""
LIST_FIELDS = ("key_facts", "expected_sources", "expected_tools", "forbidden", "paraphrases")
FLAG_FIELDS = ("citation_expected", "canary")


def show(value: object) -> str:
    """A value for a message: escaped (the file may be hostile) and short."""
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."


class RowReader:
    """Checks of one row; gathers faults instead of stopping at the first."""

    def __init__(self, file: str, line: int) -> None:
        self.file = file
        self.line = line
        self.faults: list[Fault] = []

    def fault(self, field: str, what: str, try_next: str) -> None:
        self.faults.append(Fault(self.file, self.line, field, what, try_next))

    def parse(self, line: str) -> dict[str, Any] | None:
        """The JSON object of this line, or None when `faults` says why not."""
        repeated: list[str] = []

        def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
            repeated.extend(k for k, n in Counter(k for k, _ in items).items() if n > 1)
            return dict(items)

        try:
            row = json.loads(line, object_pairs_hook=pairs)
        except json.JSONDecodeError as e:
            self.fault("", f"not JSON at column {e.colno}: {e.msg}", "one JSON object a line")
            return None
        except (RecursionError, ValueError):  # nested too deep; an integer of 5,000 digits
            self.fault("", "JSON that cannot be read", "one flat JSON object a line")
            return None
        if not isinstance(row, dict):
            self.fault("", f"a {type(row).__name__}, not an object", "one JSON object a line")
            return None
        for name in dict.fromkeys(repeated):
            self.fault(show(name)[1:-1], "stands twice in one object", "keep one of the two")
        return row

    def question(self, row: dict[str, Any]) -> GoldenQuestion | None:
        """The question of this row, or None when `faults` says why not."""
        for name in row.keys() - set(FIELDS):
            near = get_close_matches(name, [k for k in FIELDS if k not in row], 1, 0.8)
            if near:
                self.fault(show(name)[1:-1], "unknown field", f"did you mean {near[0]!r}?")

        values: dict[str, Any] = {
            "id": self.text(row, "id"),
            "category": self.choice(row, "category", CATEGORIES),
            "question": self.text(row, "question"),
            "expected_answer": self.text(row, "expected_answer"),
            "key_facts": self.key_facts(row),
            "expected_sources": self.texts(row, "expected_sources", _source_fault),
            "expected_tools": self.texts(row, "expected_tools"),
            "query_type": self.choice(row, "query_type", QUERY_TYPES),
            "citation_expected": self.flag(row, "citation_expected"),
        }
        for name in ("forbidden", "paraphrases"):
            if name in row:
                values[name] = self.texts(row, name)
        if "canary" in row:
            values["canary"] = self.flag(row, "canary")
        for name in ("cluster", "set"):
            if name in row:
                values[name] = self.text(row, name)
        if values["query_type"] == "DYNAMIC" and values["citation_expected"]:
            self.fault(
                "citation_expected",
                "true on a DYNAMIC question: a deferral has nothing to cite",
                "set it to false, or query_type to STATIC",
            )
        if values.get("canary"):
            self.canary(values)
        self.wordings([values["question"], *values.get("paraphrases", ())])
        return None if self.faults else GoldenQuestion(**values)

    def canary(self, values: dict[str, Any]) -> None:
        """A canary asks for what does not exist: there is no fact, source or tool to be right."""
        for name in ("key_facts", "expected_sources", "expected_tools", "citation_expected"):
            if values[name]:
                hint = "drop it, or drop canary"
                self.fault(name, "given for a canary: nothing invented can have it", hint)
        if values["query_type"] == "DYNAMIC":
            self.fault("query_type", "DYNAMIC for a canary: no tool knows it", "use STATIC")

    def wordings(self, texts: list[Any]) -> None:
        """Question and paraphrases must differ by more than case and punctuation."""
        said: dict[tuple[str, ...], int] = {}
        for n, text in enumerate(texts):
            if isinstance(text, str) and text:
                first = said.setdefault(tuple(words(text)), n)
                if first != n:
                    other = f"paraphrases[{first - 1}]" if first else "the question"
                    self.fault(f"paraphrases[{n - 1}]", f"same words as {other}", "say it anew")

    def field(self, row: dict[str, Any], name: str, kind: type, word: str, at: str = "") -> Any:
        """`row[name]` when it is there and of `kind`, else None and a fault. `at`: outer field."""
        if name not in row:
            self.fault(at + name, "is missing", f"add {name!r} ({word})")
            return None
        value = row[name]
        if type(value) is not kind:
            self.fault(at + name, f"{show(value)} is not {word}", f"make it {word}")
            return None
        return value

    def text(self, row: dict[str, Any], name: str) -> str:
        value = self.field(row, name, str, "a text")
        return value if value is not None and self.good_text(name, value) else ""

    def good_text(self, name: str, value: object) -> bool:
        if not isinstance(value, str):
            self.fault(name, f"{show(value)} is not a text", "make it a text")
        elif not value.strip():
            self.fault(name, "is empty", f"write the {name.split('[')[0].replace('_', ' ')}")
        elif any("\ud800" <= c <= "\udfff" for c in value):
            self.fault(name, "holds half a surrogate pair", "write the character itself, in UTF-8")
        else:
            return True
        return False

    def choice(self, row: dict[str, Any], name: str, valid: tuple[str, ...]) -> str:
        value = self.field(row, name, str, "a text")
        if value is None or value in valid:
            return value or ""
        near = get_close_matches(value, valid, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        self.fault(name, f"{show(value)} is not known", f"{hint}one of: {', '.join(valid)}")
        return ""

    def flag(self, row: dict[str, Any], name: str) -> bool:
        return bool(self.field(row, name, bool, "true or false"))

    def texts(
        self,
        row: dict[str, Any],
        name: str,
        wrong: Callable[[str], str] = lambda _: "",
        at: str = "",
    ) -> tuple[str, ...]:
        """A list of non-empty texts; `wrong` gives the fault of one, or "". `at`: outer field."""
        values = self.field(row, name, list, "a list of texts", at)
        for n, value in enumerate(values or ()):
            where = f"{at}{name}[{n}]"
            if self.good_text(where, value) and (what := wrong(value)):
                self.fault(where, f"{show(value)} {what}", "write it as domain:entity_id")
        return tuple(values or ())

    def key_facts(self, row: dict[str, Any]) -> tuple[KeyFact, ...]:
        facts = self.field(row, "key_facts", list, "a list") or []
        for n, fact in enumerate(facts):
            where = f"key_facts[{n}]"
            if isinstance(fact, dict):
                self.number(fact, where)
            elif not isinstance(fact, list):
                hint = 'a list of alternatives, or {"type": "number", "value": …, "unit": …}'
                self.fault(where, f"{show(fact)} is neither a list nor an object", hint)
            elif not fact:
                self.fault(where, "has no alternative", "list the accepted texts, or drop it")
            else:
                for value in fact:
                    self.good_text(where, value)
        return tuple(facts)

    def number(self, fact: dict[str, Any], where: str) -> None:
        if fact.get("type") != "number":
            self.fault(f"{where}.type", f"{show(fact.get('type'))} is not known", "use 'number'")
        extra = sorted(fact.keys() - {"type", "value", "unit", "tolerance", "aliases"})
        if extra:
            self.fault(f"{where}.{show(extra[0])[1:-1]}", "unknown field", "drop it")
        if not _is_number(fact.get("value")):
            what = f"{show(fact.get('value'))} is not a finite number"
            self.fault(f"{where}.value", what, "give the number without its unit")
        if not isinstance(fact.get("unit"), str):
            self.fault(f"{where}.unit", "is missing or no text", 'use "" for a bare number')
        tolerance = fact.get("tolerance", 0)
        if not _is_number(tolerance) or not 0 <= tolerance < 1:
            self.fault(f"{where}.tolerance", f"{show(tolerance)} is not in 0…1", "0.01 is 1 %")
        if "aliases" in fact:
            self.texts(fact, "aliases", at=f"{where}.")


def _is_number(value: object) -> bool:
    # True is an int to Python; an integer too large for a float cannot be compared with a reading.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _source_fault(source: str) -> str:
    """What is wrong with a `domain:entity_id`, or "" (the grammar of the citation markers)."""
    if re.fullmatch(r"[^:<>\s]+:[^\r\n]+", source) and not re.search("<<|>>", source):
        return ""
    return "is not a source id"
