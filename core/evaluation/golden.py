"""The golden set: questions with the labels an answer is scored against.

One JSON object a line. Required fields:

    id                 unique in the file
    category           one of CATEGORIES
    question           what is asked
    expected_answer    a right answer in words (for people; not compared word by word)
    key_facts          list; every entry is required in the answer. An entry is a list of accepted
                       alternatives, or {"type": "number", "value": 256, "unit": "GB"}
    expected_sources   list of "domain:entity_id" an answer may cite
    expected_tools     list of live tools a deferral should name
    query_type         STATIC (answer it) or DYNAMIC (defer to a live tool)
    citation_expected  true or false; never true when DYNAMIC

Optional: `forbidden`, texts that must not occur in an answer. Other fields are passed over (a team
may carry notes in them), unless one looks like a misspelt field.

A number's `unit` is a measured unit ("GB", "Gb/s", "hours") or the noun that is counted ("nodes");
"" is a bare number. `aliases` are texts accepted in place of it ("half a terabyte"); `tolerance` is
relative (0.01 is 1 %).
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

from core.errors import GoldenError

DESIGN_COUNTS: dict[str, int] = {
    "resource_specs": 40,
    "software": 30,
    "comparisons": 20,
    "documentation": 30,
    "dynamic": 30,
    "edge_cases": 20,
}
"""How many questions of each category the design asks for: 170 in all."""

CATEGORIES: tuple[str, ...] = tuple(DESIGN_COUNTS)
QUERY_TYPES = ("STATIC", "DYNAMIC")
MAX_SHOWN_FAULTS = 5


class NumberFact(TypedDict):
    """A number the answer must contain, in the JSON form of the file."""

    type: Literal["number"]
    value: int | float
    unit: str
    tolerance: NotRequired[float]
    aliases: NotRequired[list[str]]


KeyFact = list[str] | NumberFact
"""Accepted alternatives, any one of which will do; or a typed number."""


@dataclass(frozen=True, slots=True)
class GoldenQuestion:
    """One labelled question. `key_facts` keeps the plain JSON shapes; do not change them."""

    id: str
    category: str
    question: str
    expected_answer: str
    key_facts: tuple[KeyFact, ...]
    expected_sources: tuple[str, ...]
    expected_tools: tuple[str, ...]
    query_type: Literal["STATIC", "DYNAMIC"]
    citation_expected: bool
    forbidden: tuple[str, ...] = ()

    @property
    def should_defer(self) -> bool:
        """True when only a live tool can answer."""
        return self.query_type == "DYNAMIC"

    def as_row(self) -> dict[str, Any]:
        """The JSON object of the file; `load_golden` reads it back to an equal question."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a golden file. `line` counts from 1; 0 is the file as a whole."""

    file: str
    line: int
    field: str
    what: str
    try_next: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.field}: {self.what}" if self.field else f"{where}: {self.what}"


class GoldenFileError(GoldenError):
    """A golden file with faults: `file`, `line`, `field` are the first one's, `faults` has all."""

    def __init__(self, faults: list[Fault]) -> None:
        first, rest = faults[0], faults[1:]
        more = [str(f) for f in rest[:MAX_SHOWN_FAULTS]]
        if len(rest) > MAX_SHOWN_FAULTS:
            more.append(f"and {len(rest) - MAX_SHOWN_FAULTS} more faults")
        super().__init__(
            str(first),
            why=("also: " + "; ".join(more)) if more else "",
            try_next=first.try_next,
        )
        self.faults = tuple(faults)
        self.file, self.line, self.field = first.file, first.line, first.field


def load_golden(path: Path | str) -> list[GoldenQuestion]:
    """The questions of a golden file, in file order. A BOM and blank lines are passed over.

    Raises GoldenFileError (a GoldenError): unreadable or empty file, not UTF-8, not JSON, a label
    that is missing, of the wrong type or unknown, a repeated id. All faulty lines are reported.
    """
    path = Path(path)
    file = str(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise _whole(file, "no such file", "give the path of a golden set (JSONL)") from None
    except UnicodeDecodeError as e:
        at = e.object[: e.start].count(b"\n") + 1
        fault = Fault(file, at, "", f"not UTF-8 at byte {e.start}", "save the file as UTF-8")
        raise GoldenFileError([fault]) from None
    except OSError as e:
        raise _whole(file, f"cannot be read ({e.strerror})", "check the path and its rights") from e

    questions: list[GoldenQuestion] = []
    faults: list[Fault] = []
    first_line_of: dict[str, int] = {}
    # Only \n ends a row: U+2028 and friends may stand inside a JSON string.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        row = _Row(file, number)
        question = row.parse(line)
        faults += row.faults
        if question is None:
            continue
        if question.id in first_line_of:
            seen = first_line_of[question.id]
            what = f"{_show(question.id)} is already the id of line {seen}"
            faults.append(Fault(file, number, "id", what, "give every question an id of its own"))
            continue
        first_line_of[question.id] = number
        questions.append(question)
    if faults:
        raise GoldenFileError(faults)
    if not questions:
        raise _whole(file, "holds no question", "write one JSON object a line")
    return questions


def golden_sha256(path: Path | str) -> str:
    """SHA-256 of the file's bytes, 64 hex digits: the golden set's version."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as e:
        what = f"cannot be read ({e.strerror})"
        raise _whole(str(path), what, "check the path and its rights") from e


def category_counts(questions: Iterable[GoldenQuestion]) -> dict[str, int]:
    """Questions per category, all categories in the design's order, zeros included."""
    found = Counter(q.category for q in questions)
    return {name: found[name] for name in CATEGORIES}


def _whole(file: str, what: str, try_next: str) -> GoldenFileError:
    return GoldenFileError([Fault(file, 0, "", what, try_next)])


def _show(value: object) -> str:
    """A value for a message: escaped (the file may be hostile) and short."""
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."


class _Row:
    """Checks of one line; gathers faults instead of stopping at the first."""

    def __init__(self, file: str, line: int) -> None:
        self.file = file
        self.line = line
        self.faults: list[Fault] = []

    def fault(self, field: str, what: str, try_next: str) -> None:
        self.faults.append(Fault(self.file, self.line, field, what, try_next))

    def parse(self, line: str) -> GoldenQuestion | None:
        """The question of this line, or None when `faults` says why not."""
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
            self.fault(_show(name)[1:-1], "stands twice in one object", "keep one of the two")
        known = [f.name for f in fields(GoldenQuestion)]
        for name in row.keys() - set(known):
            near = get_close_matches(name, [k for k in known if k not in row], 1, 0.8)
            if near:
                self.fault(_show(name)[1:-1], "unknown field", f"did you mean {near[0]!r}?")

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
            "forbidden": self.texts(row, "forbidden") if "forbidden" in row else (),
        }
        if values["query_type"] == "DYNAMIC" and values["citation_expected"]:
            self.fault(
                "citation_expected",
                "true on a DYNAMIC question: a deferral has nothing to cite",
                "set it to false, or query_type to STATIC",
            )
        return None if self.faults else GoldenQuestion(**values)

    def field(self, row: dict[str, Any], name: str, kind: type, word: str, at: str = "") -> Any:
        """`row[name]` when it is there and of `kind`, else None and a fault. `at`: outer field."""
        if name not in row:
            self.fault(at + name, "is missing", f"add {name!r} ({word})")
            return None
        value = row[name]
        if type(value) is not kind:
            self.fault(at + name, f"{_show(value)} is not {word}", f"make it {word}")
            return None
        return value

    def text(self, row: dict[str, Any], name: str) -> str:
        value = self.field(row, name, str, "a text")
        return value if value is not None and self.good_text(name, value) else ""

    def good_text(self, name: str, value: object) -> bool:
        if not isinstance(value, str):
            self.fault(name, f"{_show(value)} is not a text", "make it a text")
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
        self.fault(name, f"{_show(value)} is not known", f"{hint}one of: {', '.join(valid)}")
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
                self.fault(where, f"{_show(value)} {what}", "write it as domain:entity_id")
        return tuple(values or ())

    def key_facts(self, row: dict[str, Any]) -> tuple[KeyFact, ...]:
        facts = self.field(row, "key_facts", list, "a list") or []
        for n, fact in enumerate(facts):
            where = f"key_facts[{n}]"
            if isinstance(fact, dict):
                self.number(fact, where)
            elif not isinstance(fact, list):
                hint = 'a list of alternatives, or {"type": "number", "value": …, "unit": …}'
                self.fault(where, f"{_show(fact)} is neither a list nor an object", hint)
            elif not fact:
                self.fault(where, "has no alternative", "list the accepted texts, or drop it")
            else:
                for value in fact:
                    self.good_text(where, value)
        return tuple(facts)

    def number(self, fact: dict[str, Any], where: str) -> None:
        if fact.get("type") != "number":
            self.fault(f"{where}.type", f"{_show(fact.get('type'))} is not known", "use 'number'")
        extra = sorted(fact.keys() - {"type", "value", "unit", "tolerance", "aliases"})
        if extra:
            self.fault(f"{where}.{_show(extra[0])[1:-1]}", "unknown field", "drop it")
        if not _is_number(fact.get("value")):
            what = f"{_show(fact.get('value'))} is not a finite number"
            self.fault(f"{where}.value", what, "give the number without its unit")
        if not isinstance(fact.get("unit"), str):
            self.fault(f"{where}.unit", "is missing or no text", 'use "" for a bare number')
        tolerance = fact.get("tolerance", 0)
        if not _is_number(tolerance) or not 0 <= tolerance < 1:
            self.fault(f"{where}.tolerance", f"{_show(tolerance)} is not in 0…1", "0.01 is 1 %")
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
