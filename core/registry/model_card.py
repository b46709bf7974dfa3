"""A version's model card: README.md in the Hub's convention, from the registry alone.

YAML front matter for machines, then sections for people. A version that is not GO says so in its
first sentence. Text from outside is escaped: it can neither add a heading nor an HTML element.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from core.registry import deployments, evaluations, records, snapshots
from core.registry.approvals import Approval, approvals
from core.registry.records import Deployment, Version
from core.registry.reproducibility import NOT_RECORDED, Reproducibility
from core.registry.snapshots import SnapshotRow
from core.registry.store import Registry

METRICS = (
    ("accuracy", "Answer accuracy"),
    ("citation_presence", "Citation presence"),
    ("citation_precision", "Citation precision"),
    ("fabricated", "Fabricated citations"),
    ("deferral", "Refusal accuracy"),
    ("false_refusal", "False refusals"),
    ("wrong_but_cited", "Wrong but cited"),
)
TASK = "Closed-book question answering with citations about ACCESS-CI"
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|~>$])")
Scores = Mapping[str, Any]


def model_card(reg: Registry, model_version: str) -> str:
    """README.md of a version. Raises NotFound."""
    version = records.get(reg, model_version)
    newest = evaluations.latest(reg, model_version)
    return render(
        version,
        snapshots.row(reg, version.dataset_version),
        newest,
        deployments.history(reg, model_version=model_version),
        approvals(reg, model_version),
        records.live_in(reg, model_version),
    )


def render(
    version: Version,
    snapshot: SnapshotRow,
    evaluation: evaluations.Evaluation | None,
    history: Sequence[Deployment],
    approved: Sequence[Approval],
    live_in: Sequence[str],
) -> str:
    """The page. Pure."""
    scores = evaluation.scores if evaluation is not None else {}
    lines = [
        _front_matter(version, evaluation),
        f"# {_plain(version.model_version)}\n",
        f"**{_verdict_sentence(version, evaluation)}**\n",
        *_what(version, live_in),
        *_data(snapshot),
        *_training(version),
        *_evaluation(scores, evaluation),
        *_releases(history, approved),
        *_limits(scores, version),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _front_matter(version: Version, evaluation: evaluations.Evaluation | None) -> str:
    import yaml

    head: dict[str, Any] = {
        "base_model": version.base_model,
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "language": ["en"],
        "license": "other",
        "license_name": "as-the-base-model",
        "tags": [
            "access-ci",
            "lora",
            "question-answering",
            "citations",
            f"status:{version.status}",
        ],
        "datasets": [version.dataset_version],
    }
    if evaluation is not None:
        head["model-index"] = [
            {
                "name": version.model_version,
                "results": [
                    {
                        "task": {"type": "question-answering", "name": TASK},
                        "dataset": {
                            "type": "golden-set",
                            "name": "ACCESS golden questions",
                            "revision": evaluation.golden_sha256 or NOT_RECORDED,
                        },
                        "metrics": _index_metrics(evaluation.scores),
                    }
                ],
            }
        ]
    text = yaml.safe_dump(head, sort_keys=False, allow_unicode=False, width=100)
    return f"---\n{text}---\n"


def _index_metrics(scores: Scores) -> list[dict[str, Any]]:
    systems = _mapping(scores.get("systems"))
    tuned = _mapping(systems.get(_candidate(scores)))
    out: list[dict[str, Any]] = []
    for name, title in METRICS:
        value = _mapping(tuned.get(name))
        if _number(value.get("estimate")) is not None:
            out.append({"type": name, "name": title, "value": round(float(value["estimate"]), 4)})
    p95 = _number(tuned.get("latency_p95"))
    if p95 is not None:
        out.append({"type": "latency_p95", "name": "Latency P95 (s)", "value": round(p95, 3)})
    return out


def _verdict_sentence(version: Version, evaluation: evaluations.Evaluation | None) -> str:
    if version.status in ("failed", "quarantined"):
        return f"{version.status.upper()}. Do not use this version."
    if evaluation is None:
        return "NOT EVALUATED. Nothing is known about its answers; do not use it."
    if evaluation.verdict == "GO":
        return "GO: every gate passed on the golden questions."
    said = _list(evaluation.scores.get("headline"))
    first = _text(said[0].split(":", 1)[-1].strip()) if said else "see the gates below"
    if evaluation.verdict == "NO-GO":
        return f"NO-GO. Do not use this version to answer users: {first}."
    return f"UNDECIDED. It is not shown that this version may answer users: {first}."


def _what(version: Version, live_in: Sequence[str]) -> Iterator[str]:
    where = f"live in {' and '.join(live_in)}" if live_in else "not live anywhere"
    yield "## What it is\n"
    yield (
        f"A LoRA adapter for {_code(version.base_model)} that answers questions about the ACCESS"
        " programme without looking anything up, and marks its sources as"
        " `<<SRC:domain:entity_id>>`.\n"
    )
    parent = f", after {_text(version.parent_version)}" if version.parent_version else ""
    yield f"- version: {version.bump_part}{parent} ({_text(version.bump_reason)})"
    yield f"- status: {version.status}, {where}"
    yield f"- made: {_text(version.created_at)} by {_text(version.created_by)}"
    yield f"- adapter: {_code(version.adapter_sha256 or NOT_RECORDED)}"
    if version.note:
        yield f"- note: {_text(version.note)}"
    yield ""


def _data(snapshot: SnapshotRow) -> Iterator[str]:
    yield "## Data\n"
    yield (
        f"Snapshot {_code(snapshot.dataset_version)}: {snapshot.pair_count:,} question/answer pairs,"
        f" manifest {_code(snapshot.manifest_hash)}.\n"
    )
    for title, counts in (
        ("source", snapshot.source_breakdown),
        ("domain", snapshot.domain_breakdown),
    ):
        yield from _table((title, "pairs"), [(_text(k), f"{n:,}") for k, n in counts.items()])


def _training(version: Version) -> Iterator[str]:
    record = Reproducibility.of(version.reproducibility)
    yield "## Training\n"
    rows = [(k, _text(v)) for k, v in _flat(version.training_config)]
    yield from _table(("setting", "value"), rows or [("configuration", NOT_RECORDED)])
    yield "To make it again:\n"
    names = Reproducibility.__dataclass_fields__
    rows = [(n.replace("_", " "), _text(getattr(record, n))) for n in names]
    yield from _table(("what", "value"), [r for r in rows if r[1] != _text(NOT_RECORDED)])
    if record.missing:
        yield f"Not recorded: {', '.join(n.replace('_', ' ') for n in record.missing)}.\n"
    yield (
        "Runs in bf16 with fused attention are not bit-reproducible: the same record gives a similar"
        " model, not the same one.\n"
    )


def _evaluation(scores: Scores, evaluation: evaluations.Evaluation | None) -> Iterator[str]:
    yield "## Evaluation\n"
    if evaluation is None:
        yield "This version has not been evaluated.\n"
        return
    golden = _mapping(scores.get("golden"))
    yield (
        f"{_text(golden.get('n', '?'))} golden questions ({_code(evaluation.golden_sha256 or '?')}),"
        f" {_text(evaluation.at)}; in per cent with 95 % intervals. The nearest stored answer"
        " (retrieval) is the incumbent.\n"
    )
    systems = _mapping(scores.get("systems"))
    mine = _candidate(scores)
    columns = [n for n in (mine, "retrieval", "base", "previous") if n in systems]
    rows = [
        (title, *(_share(_mapping(systems[c]).get(name)) for c in columns))
        for name, title in METRICS
    ]
    rows.append(
        ("Latency P95", *(_seconds(_mapping(systems[c]).get("latency_p95")) for c in columns))
    )
    yield from _table(("", *("this version" if c == mine else c for c in columns)), rows)
    if "retrieval" not in columns:
        yield "The retrieval baseline was not measured: nothing shows that fine-tuning pays.\n"
    for line in _list(scores.get("headline"))[1:]:
        yield f"- {_text(line)}"
    yield "\n### Gates\n"
    gates = [
        (_text(g.get("title") or g.get("gate")), _text(g.get("target")), _text(g.get("verdict")),
         _text(g.get("detail") or ""))
        for g in _rows(scores.get("gates"))
    ]  # fmt: skip
    yield from _table(("gate", "target", "verdict", "detail"), gates)


def _releases(history: Sequence[Deployment], approved: Sequence[Approval]) -> Iterator[str]:
    yield "## Releases\n"
    if not history:
        yield "It has never been live.\n"
    rows = [
        (_text(d.started_at), _text(d.ended_at or "now"), d.environment, d.kind,
         _text(d.verdict or "–"), _text(d.who), _text(d.reason))
        for d in history
    ]  # fmt: skip
    if rows:
        yield from _table(("from", "to", "environment", "by", "verdict", "who", "reason"), rows)
    for d in history:
        if d.override_reason:
            yield (
                f"- **Override:** promoted to {d.environment} on {_text(d.started_at)} against"
                f" {_text(d.verdict)} by {_text(d.who)}: {_text(d.override_reason)}"
            )
    for a in approved:
        void = f" (void since {_text(a.void_at)}: {_text(a.void_why)})" if a.void_at else ""
        yield f"- approved for {a.environment} by {_text(a.who)}: {_text(a.reason)}{void}"
    yield ""


def _limits(scores: Scores, version: Version) -> Iterator[str]:
    yield "## Limits\n"
    tuned = _mapping(_mapping(scores.get("systems")).get(_candidate(scores)))
    wrong, fabricated = _mapping(tuned.get("wrong_but_cited")), _mapping(tuned.get("fabricated"))
    yield "- It answers from memory: what changed after its snapshot it does not know."
    if wrong.get("n"):
        yield (
            f"- Of {wrong['n']} answerable questions {wrong.get('k')} got a wrong answer that carries"
            " a citation. A citation is not a proof."
        )
    if fabricated.get("n"):
        yield (
            f"- Of {fabricated['n']} citations {fabricated.get('k')} name a source that does not"
            " exist. Check markers against the source registry before showing them."
        )
    if not scores.get("probe"):
        yield "- Facts on unseen wording were not measured."
    yield "- The golden questions are few: small differences between versions do not show."
    yield f"- The licence is that of {_code(version.base_model)}, and of the pairs.\n"


# ── text ────────────────────────────────────────────────────────────────────────────────────────


def _plain(value: object) -> str:
    """One line without control characters."""
    return "".join(c if c.isprintable() else " " for c in str(value if value is not None else "–"))


def _text(value: object) -> str:
    """Text that Markdown shows as it is."""
    line = _plain(value)[:500].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # digits and dots are common and harmless inside a line
    return _SPECIAL.sub(lambda m: m[1] if m[1] in ".-()+>" else f"\\{m[1]}", line)


def _code(value: object) -> str:
    """A name or a hash as code; anything odder as escaped text."""
    line = _plain(value)[:200]
    return f"`{line}`" if re.fullmatch(r"[\w./:@+-]+", line) else _text(line)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(header) + " |"
    yield "|" + " --- |" * len(header)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def _share(value: object) -> str:
    m = _mapping(value)
    estimate, low, high = (_number(m.get(k)) for k in ("estimate", "low", "high"))
    if estimate is None:
        return "–"
    span = f" [{low * 100:.0f}–{high * 100:.0f}]" if low is not None and high is not None else ""
    return f"{estimate * 100:.0f}{span} ({_text(m.get('k'))}/{_text(m.get('n'))})"


def _seconds(value: object) -> str:
    x = _number(value)
    return "–" if x is None else f"{x:.2f} s"


def _flat(value: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, object]]:
    for key, inner in sorted(value.items()):
        name = _text(f"{at}{key}")
        if isinstance(inner, Mapping):
            yield from _flat(inner, f"{at}{key}.")
        else:
            yield name, inner


def _candidate(scores: Scores) -> str:
    return str(scores.get("candidate") or "tuned")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _rows(value: object) -> list[Mapping[str, Any]]:
    return [r for r in value if isinstance(r, Mapping)] if isinstance(value, list) else []


def _list(value: object) -> list[str]:
    return [str(v) for v in value] if isinstance(value, list) else []


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)
