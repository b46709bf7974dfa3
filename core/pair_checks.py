"""What makes one line of a pairs file good or faulty. Pure: bytes or a decoded row in, faults out.

One fault is reported per row, the main one, in the order of the checks below; warnings (a byte
order mark, CR LF, a citation flag that disagrees with the answer) do not make a row unusable.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from core import citations

Severity = Literal["error", "warning"]

SOURCES = ("mcp_extraction", "user_qa", "doc_generated")
ROLES = ("user", "assistant")
COMPLEXITIES = ("simple", "moderate", "complex")
GRANULARITIES = ("comprehensive", "comparison")
KNOWN_DOMAINS = frozenset(
    {
        *("compute-resources", "software-discovery", "allocations", "doc", "affinity-groups"),
        "comparisons",
        # domains whose questions are handed to a live tool
        *("system-status", "events", "announcements", "xdmod", "nsf-awards", "support"),
        "refusal",
    }
)
MAX_CONTENT_BYTES = 1024 * 1024


class _Any(Container[str]):
    def __contains__(self, _: object) -> bool:
        return True


ANY_DOMAIN = _Any()
"""For rows whose domains were judged before."""

_BOM = b"\xef\xbb\xbf"
_CONTROL = re.compile("[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a row. field is a path such as `messages[1].content`, None if none."""

    code: str
    field: str | None
    what: str
    severity: Severity = "error"


@dataclass(frozen=True, slots=True)
class Line:
    """One decoded line: the row if it can be used so far, and what was found on the way."""

    row: dict[str, Any] | None
    faults: tuple[Fault, ...]


def check_line(raw: bytes, domains: Container[str] = KNOWN_DOMAINS) -> Line:
    """All checks that need nothing but the line itself (so not the uniqueness of the id)."""
    raw, warnings = _unwrap(raw)
    row, fault = _decode(raw)
    if row is not None:
        fault = _check_fields(row, domains)
        if fault is None:
            return Line(row, (*warnings, *_row_warnings(row)))
    return Line(None, (*warnings, *((fault,) if fault else ())))


def check_row(row: Mapping[str, Any], domains: Container[str] = KNOWN_DOMAINS) -> Fault | None:
    """The main fault of a decoded row, or None."""
    return _check_strings(row) or _check_fields(row, domains)


def _check_fields(row: Mapping[str, Any], domains: Container[str]) -> Fault | None:
    return (
        _check_shape(row)
        or _check_values(row, domains)
        or _check_turns(row["messages"])
        or _check_contents(row["messages"], domains)
    )


def _unwrap(raw: bytes) -> tuple[bytes, tuple[Fault, ...]]:
    """The line without LF, CR and byte order mark; a warning for each of the last two."""
    warnings = []
    raw = raw.removesuffix(b"\n")
    if raw.startswith(_BOM):
        raw = raw.removeprefix(_BOM)
        warnings.append(
            Fault("bom", None, "starts with a UTF-8 byte order mark; it was dropped", "warning")
        )
    if raw.endswith(b"\r"):
        raw = raw.removesuffix(b"\r")
        warnings.append(Fault("crlf", None, "ends in CR LF; the CR was dropped", "warning"))
    return raw, tuple(warnings)


def _decode(raw: bytes) -> tuple[dict[str, Any] | None, Fault | None]:
    if b"\x00" in raw:
        where = _locate(raw, lambda s: "\x00" in s)
        return None, Fault("nul_byte", where, "a raw NUL byte")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as e:
        where = _locate(raw, lambda s: any("\udc80" <= c <= "\udcff" for c in s))
        what = f"byte 0x{raw[e.start]:02X} at {e.start} is not valid UTF-8"
        return None, Fault("invalid_utf8", where, what)
    try:
        row = _DECODER.decode(text)
    except RecursionError:
        return None, Fault("invalid_json", None, "nested too deeply")
    except ValueError as e:
        return None, Fault("invalid_json", None, f"not valid JSON: {e}")
    if not isinstance(row, dict):
        kind = {list: "an array", str: "a string", type(None): "null"}.get(type(row), "a value")
        return None, Fault("not_an_object", None, f"{kind} and not an object")
    # Escapes can bring in what the bytes did not show; most lines need no second look.
    if "\\u0000" in text or "\\ud" in text or "\\uD" in text:
        fault = _check_strings(row)
        if fault:
            return None, fault
    return row, None


def _check_strings(row: Mapping[str, Any]) -> Fault | None:
    """No NUL and nothing that UTF-8 cannot carry, anywhere."""
    where = _first_string(row, lambda s: "\x00" in s)
    if where is not None:
        return Fault("nul_byte", where, "an escaped NUL character (\\u0000)")
    where = _first_string(row, _has_lone_surrogate)
    if where is not None:
        return Fault("invalid_utf8", where, "half of a surrogate pair")
    return None


def _check_shape(row: Mapping[str, Any]) -> Fault | None:
    """Fields present and of the right type."""
    for name in ("id", "source", "source_ref", "domain", "messages", "metadata"):
        if name not in row:
            return Fault("missing_field", name, f"the {name} field is missing")
    for name in ("id", "source", "source_ref", "domain"):
        if not isinstance(row[name], str):
            return _wrong_type(name, row[name], "a string")
    if not isinstance(row["messages"], list):
        return _wrong_type("messages", row["messages"], "a list")
    for i, message in enumerate(row["messages"]):
        at = f"messages[{i}]"
        if not isinstance(message, dict):
            return _wrong_type(at, message, "an object")
        for name in ("role", "content"):
            if name not in message:
                return Fault("missing_field", f"{at}.{name}", f"the {name} field is missing")
            if not isinstance(message[name], str):
                return _wrong_type(f"{at}.{name}", message[name], "a string")
    if not isinstance(row["metadata"], dict):
        return _wrong_type("metadata", row["metadata"], "an object")
    return None


def _check_values(row: Mapping[str, Any], domains: Container[str]) -> Fault | None:
    pair_id = row["id"]
    if not pair_id.strip() or _CONTROL.search(pair_id):
        return Fault("invalid_value", "id", "the id is blank or holds control characters")
    if row["source"] not in SOURCES:
        return Fault("invalid_value", "source", f"{_short(row['source'])}: not {_one_of(SOURCES)}")
    if row["domain"] not in domains:
        return Fault("unknown_domain", "domain", f"{_short(row['domain'])} is not a known domain")
    metadata = row["metadata"]
    for name, allowed in (("complexity", COMPLEXITIES), ("granularity", GRANULARITIES)):
        value = metadata.get(name)
        if value is not None and value not in allowed:
            what = f"{_short(value)}: not {_one_of(allowed)}"
            return Fault("invalid_value", f"metadata.{name}", what)
    flag = metadata.get("has_citation")
    if flag is not None and not isinstance(flag, bool):
        return _wrong_type("metadata.has_citation", flag, "true or false")
    return None


def _check_turns(messages: list[dict[str, Any]]) -> Fault | None:
    """user, assistant, user, assistant …: begins with the user, ends with the assistant."""
    roles = [m["role"] for m in messages]
    for i, role in enumerate(roles):
        if role not in ROLES:
            what = f"role {_short(role)} is not {_one_of(ROLES)}"
            return Fault("unknown_role", f"messages[{i}].role", what)
    for i, role in enumerate(roles):
        if role != ROLES[i % 2]:
            what = f"turn {i + 1} is {role}; user and assistant take turns, the user first"
            return Fault("role_order", "messages", what)
    if len(roles) < 2 or len(roles) % 2:
        what = "the last user turn has no answer" if roles else "there are no messages"
        return Fault("turn_count", "messages", f"{len(roles)} turns: {what}")
    return None


def _check_contents(messages: list[dict[str, Any]], domains: Container[str]) -> Fault | None:
    for i, message in enumerate(messages):
        at, content = f"messages[{i}].content", message["content"]
        kind = "answer" if message["role"] == "assistant" else "question"
        if not content.strip():
            return Fault(f"empty_{kind}", at, f"the {kind} is empty or only white space")
        # len() first: encoding a short text is not worth it
        if len(content) * 4 > MAX_CONTENT_BYTES and len(content.encode()) > MAX_CONTENT_BYTES:
            return Fault(f"{kind}_too_long", at, f"the {kind} is longer than 1 MiB")
        if kind == "question":
            continue
        for m in citations.scan(content):
            if isinstance(m, citations.Malformed):
                return Fault("malformed_marker", at, f"{_short(m.text)}: {m.what}")
            if m.domain not in domains:
                return Fault("unknown_domain", at, f"cites the unknown domain {_short(m.domain)}")
    return None


def _row_warnings(row: Mapping[str, Any]) -> tuple[Fault, ...]:
    flag = row["metadata"].get("has_citation")
    if flag is None:
        return ()
    # What opens like this and got past _check_contents is a marker.
    cites = any("<<SRC:" in m["content"] for m in row["messages"] if m["role"] == "assistant")
    if cites == flag:
        return ()
    what = f"has_citation is {str(flag).lower()} and the answer has {'a' if cites else 'no'} marker"
    return (Fault("citation_flag", "metadata.has_citation", what, "warning"),)


def _wrong_type(at: str, value: object, wanted: str) -> Fault:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    got = kinds.get(type(value), "null" if value is None else "a number")
    return Fault("wrong_type", at, f"{got} and not {wanted}")


def _short(value: object, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[:limit] + "…"


def _one_of(names: tuple[str, ...]) -> str:
    return "one of " + ", ".join(names)


def _has_lone_surrogate(text: str) -> bool:
    return any("\ud800" <= c <= "\udfff" for c in text)


def _locate(raw: bytes, test: Callable[[str], bool]) -> str | None:
    """Where in a damaged line the damage sits, if the line can be read at all otherwise."""
    try:
        return _first_string(json.loads(raw.decode("utf-8", "surrogateescape"), strict=False), test)
    except (ValueError, RecursionError):
        return None


def _first_string(data: Any, test: Callable[[str], bool]) -> str | None:
    """Path of the first string (in document order, keys included) that passes `test`."""
    for path, text in _strings(data):
        if test(text):
            return path
    return None


def _strings(data: Any) -> Iterator[tuple[str, str]]:
    stack: list[tuple[str, Any]] = [("", data)]  # not recursive: rows may be nested deeply
    while stack:
        path, value = stack.pop()
        if isinstance(value, str):
            yield path, value
        elif isinstance(value, dict):
            inner: list[tuple[str, Any]] = []
            for key, item in value.items():
                inner += [(path, key), (f"{path}.{key}" if path else key, item)]
            stack.extend(reversed(inner))
        elif isinstance(value, list):
            stack.extend(reversed([(f"{path}[{i}]", v) for i, v in enumerate(value)]))


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"number {text[:20]} is too large")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_no_constant)
