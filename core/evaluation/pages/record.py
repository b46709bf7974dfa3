"""The sections of record: data, configuration, who decided what, and the hashes of all of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from core.evaluation.pages import words
from core.evaluation.pages.dossier import Dossier
from core.evaluation.pages.fields import (
    DASH,
    candidate,
    count,
    mapping,
    moment,
    number,
    one_line,
    rows,
    share,
    system_name,
    texts,
)
from core.evaluation.pages.fields import words as spaced
from core.evaluation.pages.model import Block, Facts, Line, Para, Points, Section, Table, line

MOST = 12  # rows of a breakdown; the rest is one row
SETTINGS = 80
SHA256 = 64
NOT_RECORDED = "not recorded"


# ── data and configuration ──────────────────────────────────────────────────────────────────────


def data(d: Dossier) -> Iterator[Section]:
    blocks: list[Block] = []
    snapshot = d.snapshot
    name = snapshot.get("dataset_version") or d.version.get("dataset_version")
    if name:
        pairs = count(snapshot.get("pair_count"))
        text = f", {pairs:,} pairs, frozen {moment(snapshot.get('created_at'))}" if pairs else ""
        blocks.append(Para(line("Snapshot ", (one_line(name, 80), "code"), text + ".")))
    for key, title in (
        ("source_breakdown", "pairs by source"),
        ("domain_breakdown", "pairs by domain"),
    ):
        blocks += _breakdown(title, mapping(snapshot.get(key)))
    blocks += _contamination(mapping(d.scores.get("contamination")))
    golden, probe = (mapping(d.scores.get(k)) for k in ("golden", "probe_set"))
    asked = [line(f"golden set: {count(golden.get('n')):,} questions")] if golden else []
    if probe:
        asked.append(line(f"probe on unseen wording: {count(probe.get('n')):,} questions"))
    asked += _asked(mapping(d.scores.get("about")), candidate(d.scores))
    rules = sorted({str(r.get("rule")) for r in rows(d.scores.get("questions")) if r.get("rule")})
    if rules:
        asked.append(line(f"graded by: {', '.join(spaced(r) for r in rules[:12])}"))
    if asked:
        blocks.append(Points(tuple(asked)))
    if blocks:
        yield Section("Data", tuple(blocks))


def _asked(about: Mapping[str, Any], own: str) -> list[Line]:
    """Which files the questions came from, whose answers are older, and who was not asked."""
    parts = rows(about.get("golden_files"))
    out = []
    if len(parts) > 1:
        named = (f"{one_line(p.get('name') or DASH, 40)} {count(p.get('items'))}" for p in parts)
        out.append(line(f"golden files: {', '.join(named)}"))
    reused = {
        system_name(str(n), own): count(mapping(m).get("reused"))
        for n, m in mapping(about.get("systems")).items()
    }
    if any(reused.values()):
        told = ", ".join(f"{one_line(n, 40)} {k}" for n, k in reused.items() if k)
        out.append(line(f"answers taken from earlier evaluations on the host: {told}"))
    out += [
        line(f"{system_name(str(name), own)} was not asked: {one_line(why, 200)}")
        for name, why in mapping(about.get("left_out")).items()
    ]
    return out


def _breakdown(title: str, counts: Mapping[str, Any]) -> list[Block]:
    found = sorted(((one_line(k, 60), count(v)) for k, v in counts.items()), key=lambda r: -r[1])
    total = sum(n for _, n in found)
    if not total:
        return []
    kept, rest = found[:MOST], found[MOST:]
    if rest:
        kept = [*kept, (f"{len(rest)} others", sum(n for _, n in rest))]
    body = tuple((line(k), line(f"{n:,}"), line(f"{share(n / total)} %")) for k, n in kept)
    return [Table((title, "pairs", "share"), body)]


def _contamination(found: Mapping[str, Any]) -> list[Block]:
    """How many golden questions the snapshot gives away, and how."""
    out: list[Block] = []
    total = count(found.get("golden"))
    for key, title in (
        ("strata", "golden questions by what was trained"),
        ("tests", "same wording by test"),
    ):
        body = []
        for name, m in mapping(found.get(key)).items():
            n = count(m.get("n") if isinstance(m, Mapping) else m)
            part = number(mapping(m).get("share")) if isinstance(m, Mapping) else None
            part = part if part is not None else n / total if total else None
            body.append((line(one_line(name, 60)), line(f"{n:,}"), line(f"{share(part)} %")))
        if body:
            out.append(Table((title, "questions", "share"), tuple(body)))
    return out


def configuration(d: Dossier) -> Iterator[Section]:
    blocks: list[Block] = []
    version = d.version
    facts = [("base model", version.get("base_model")), ("number", _number(version))]
    facts += [("note", version.get("note"))]
    blocks += _pairs("version", [(k, line(one_line(v, 300))) for k, v in facts if v])
    settings = [
        (k, line(one_line(v, 200))) for k, v in _flat(mapping(version.get("training_config")))
    ]
    blocks += _pairs("training setting", settings[:SETTINGS])
    record = mapping(version.get("reproducibility"))
    known = [
        (spaced(k), line(_value(v)))
        for k, v in record.items()
        if isinstance(v, str | int | float) and v != NOT_RECORDED and v != "" and not _is_hash(v)
    ]
    blocks += _pairs("the run", known[:SETTINGS])
    about = mapping(d.scores.get("about"))
    said = []
    for name, system in mapping(about.get("systems")).items():
        system = mapping(system)
        keys = ("base_model", "adapter", "dtype", "max_new_tokens", "threshold", "pairs", "answers")
        parts = [f"{spaced(k)} {_short(system[k])}" for k in keys if system.get(k)]
        said.append((one_line(name, 24), line(", ".join([*parts, *(
            one_line(n, 200) for n in texts(system.get("notes")))]) or DASH)))  # fmt: skip
    blocks += _pairs("system, as it answered", said)
    if blocks:
        yield Section("Configuration", tuple(blocks), brief=False)


def _number(version: Mapping[str, Any]) -> str:
    part, why = version.get("bump_part"), version.get("bump_reason")
    text = f"{part or ''}{': ' if part and why else ''}{why or ''}"
    after = version.get("parent_version")
    return f"{text}; after {after}" if after and text else text


def _pairs(title: str, found: list[tuple[str, Line]]) -> list[Block]:
    return [Facts(title, tuple(found))] if found else []


def _flat(value: Mapping[str, Any], at: str = "", depth: int = 6) -> Iterator[tuple[str, str]]:
    for key, inner in value.items():
        name = one_line(f"{at}{key}", 80)
        if isinstance(inner, Mapping) and depth:
            yield from _flat(inner, f"{name}.", depth - 1)
        elif isinstance(inner, list):
            yield name, ", ".join(_value(v) for v in inner[:20])
        else:
            yield name, _value(inner)


# ── signatures ──────────────────────────────────────────────────────────────────────────────────


def signed(d: Dossier) -> list[dict[str, str]]:
    """Who made, measured, approved, decided and released it, in time: at, what, who, reason, against.

    against: what it went against, "" mostly.
    """
    out: list[dict[str, str]] = []

    def sign(at: object, what: str, who: object, why: object, against: str = "") -> None:
        said = {"at": one_line(at or DASH, 40), "what": what, "who": one_line(who or DASH, 60)}
        out.append({**said, "reason": one_line(why or DASH, 600), "against": against})

    version, measured = d.version, d.evaluation
    if version.get("created_at"):
        by, number_ = version.get("created_by"), _number(version)
        sign(version["created_at"], "trained and registered", by, number_)
    if measured.get("at"):
        job = f"job {measured['job_id']}" if measured.get("job_id") else ""
        sign(measured["at"], f"evaluated: {one_line(measured.get('verdict'), 12)}", "", job)
    for a in d.approvals:
        what = f"approved for {one_line(a.get('environment'), 20)}"
        if a.get("void_at"):
            what += f"; void since {moment(a['void_at'])}: {one_line(a.get('void_why'), 200)}"
        sign(a.get("at"), what, a.get("who"), a.get("reason"))
    for r in d.releases:
        kind = one_line(r.get("kind") or r.get("action") or "released", 20)
        what = f"{kind} to {one_line(r.get('environment'), 20)}"
        what += f", gates {one_line(r['verdict'], 12)}" if r.get("verdict") else ""
        why = r.get("override_reason")
        at = r.get("started_at") or r.get("at")
        sign(at, what, r.get("who"), why or r.get("reason"), "against the gates" if why else "")
    if d.decision:
        what = f"decision on the pilot: {one_line(d.decision.get('decision'), 10)}"
        sign(d.decision.get("at"), what, d.decision.get("who"), d.decision.get("reason"))
    return sorted(out, key=lambda row: row["at"])


def signatures(d: Dossier) -> Iterator[Section]:
    body = tuple(
        (
            line(moment(row["at"])),
            line(row["what"], (f" · {row['against']}", "bad") if row["against"] else ""),
            line(row["who"]),
            line(row["reason"]),
        )
        for row in signed(d)
    )
    blocks: list[Block] = []
    if body:
        blocks.append(Table(("when (UTC)", "what", "who", "reason"), body, numeric=4))
    missing = []
    if not d.decision:
        missing.append(line("No decision on the pilot is recorded."))
    if not d.approvals:
        missing.append(line("Nobody has approved this version."))
    if d.version and not d.releases:
        missing.append(line("It has never been live."))
    if not d.version:
        missing = [line("This version is not in the registry: nobody has signed for it.")]
    if missing:
        blocks.append(Points(tuple(missing)))
    yield Section("Signatures", tuple(blocks))


def digests(d: Dossier) -> list[tuple[str, str]]:
    """What it all rests on, by SHA-256."""
    record, version = mapping(d.version.get("reproducibility")), d.version
    evidence: Mapping[str, Any] = next((mapping(r.get("evidence")) for r in d.releases), {})
    found = [
        ("scores", d.evaluation.get("scores_sha256")),
        ("golden set", mapping(d.scores.get("golden")).get("sha256")),
        ("probe", mapping(d.scores.get("probe_set")).get("sha256")),
        ("gates at the last release", evidence.get("gates_sha256")),
        ("adapter", version.get("adapter_sha256")),
        ("snapshot manifest", d.snapshot.get("manifest_hash")),
        ("training data", record.get("data_sha256")),
        ("base model", record.get("base_model_sha256")),
        ("tokenizer", record.get("tokenizer_sha256")),
        ("chat template", record.get("chat_template_sha256")),
        ("code, commit", record.get("code_commit")),
        ("code, uncommitted changes", record.get("code_dirty_sha256")),
        ("pinned packages", record.get("pins_sha256")),
        ("head of the audit chain", d.audit_head),
    ]
    return [(k, one_line(v, 100)) for k, v in found if v and v != NOT_RECORDED]


def hashes(d: Dossier) -> Iterator[Section]:
    body = tuple((line(k), line((v, "code"))) for k, v in digests(d))
    if body:
        yield Section("Hashes", (Table(("what", "SHA-256"), body, numeric=2),), brief=False)


def reading(d: Dossier) -> Iterator[Section]:
    """How to read the page."""
    body = tuple((line((term, "strong")), line(text)) for term, text in words.GLOSSARY)
    yield Section("How to read this", (Table(("word", "meaning"), body, numeric=2),), brief=False)


def _is_hash(value: object) -> bool:
    return (
        isinstance(value, str) and len(value) >= 40 and all(c in "0123456789abcdef" for c in value)
    )


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and abs(value) >= 10_000:
        return f"{value:,}"
    return f"{value:.6g}" if isinstance(value, float) else one_line(value, 200)


def _short(value: object) -> str:
    if isinstance(value, list):
        return " ".join(_short(v) for v in value[:10])
    text = one_line(value, 120)
    return text[:12] if len(text) == SHA256 else text
