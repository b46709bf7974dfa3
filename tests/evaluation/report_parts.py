"""A dossier with every field that the report may draw, and ways to spoil it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from html.parser import HTMLParser
from typing import Any

from core.evaluation.pages.dossier import Dossier
from tests.ui.fakes import measure, scores

# what decides how a document is read; everything else is text for people
STRUCTURE = frozenset("system candidate verdict grade class metric gate cause expects".split())
VOID = frozenset("meta img source".split())


def full_scores(version: str = "access-qa-v1.1.0") -> dict[str, Any]:
    """Five systems, and all that later scorers may add."""
    s = scores(version)
    tuned = s["systems"]["tuned"]
    s["systems"]["base+retrieval"] = dict(tuned, accuracy=measure(143, 170))
    s["systems"]["previous"] = dict(tuned, accuracy=measure(104, 170), latency_p95_low=0.8)
    names = list(s["systems"])
    for g in s["gates"]:
        g |= {"estimate": 0.74, "low": 0.67, "high": 0.8, "n": 170}
    s["categories"] |= {
        "retrieval": {k: measure(m["n"] - 3, m["n"]) for k, m in s["categories"]["tuned"].items()},
        "previous": dict(s["categories"]["tuned"]),
    }
    s["canaries"] = {n: measure(4, 20) for n in names}
    s["confabulated"] = {"tuned": measure(31, 170)}
    s["tool_named"] = {"tuned": measure(21, 30)}
    cells = {"deferred_right": 28, "answered_wrongly": 2, "false_refusals": 4, "answered": 136}
    s["deferral_table"] = {n: dict(cells) for n in names}
    s["comparisons"] = {
        f"tuned_vs_{n}": {
            "metric": "accuracy", "n": 170, "wins": 7, "losses": 31, "p_value": 0.0004,
            "holm_p": 0.0016, "detectable": 0.09, "mdd": 0.1,
            "bootstrap": {"difference": -0.14, "low": -0.21, "high": -0.07},
        }
        for n in names if n != "tuned"
    }  # fmt: skip
    s["causes"] = {"tuned": {"never_learned": 5, "invented": 3, "refused": 2, "odd_one": 1, "x": 0}}
    s["curves"] = [
        {"step": n * 100, "recall": n / 10, "fabricated": 0.2 - n / 50, "refusal": 0.9}
        for n in range(7)
    ]
    s["contamination"] = {
        "pairs": 1458, "golden": 170,
        "strata": {"trained fact, new wording": {"n": 120, "share": 0.7059}, "untrained fact": 50},
        "tests": {"exact": {"n": 2, "share": 0.0118}},
    }  # fmt: skip
    s["strata"] = {n: {"trained fact, new wording": measure(60, 120)} for n in names}
    latency = {p: {"s": 1.2, "low": 1.1, "high": 1.4} for p in ("p50", "p95", "p99")}
    served = {"n": 900, "failed": 2, "latency": latency, "first_token": latency, "tokens_per_s": 51}
    less = {"paired": True, "n": 160, "p50": {"s": -0.3, "low": -0.4, "high": -0.2}}
    more = {"paired": False, "n": [9, 9], "p95": {"s": 0.1, "low": -0.4, "high": 0.6}}
    s["about"] = {
        "systems": {
            "tuned": {"base_model": "mistral-7b", "notes": ["on one GPU"]},
            "base": {"reused": 170},
        },
        "left_out": {"previous": "its adapter is gone"},
        "golden_files": [{"name": "design", "items": 170}, {"name": "team", "items": 12}],
        "serving": {
            "results": [{"target": version, "rate": r, **served} for r in (1, 4.5)],
            "recorded": {"mcp": {"n": 30, "failed": 0, "latency": latency}},
            "differences": [{"target": version, "against": "mcp", "rate": 1, **less}],
        },
        "live_tools": {"n": 30, "latency": latency, "differences": {"tuned": more}},
    }
    s["probe_set"] = {"sha256": "5a" * 32, "n": 40}
    for n, q in enumerate(s["questions"]):
        q |= {
            "prompt": [{"role": "system", "content": "Answer and cite."},
                       {"role": "user", "content": q["question"]}],
            "cause": "invented" if n % 2 else "never_learned", "matched": ["Delta"],
            "forbidden": ["as an AI"], "confabulated": ["A900"], "unsupported": ["eight GPUs"], "tokens": 41,
            "latency_s": 0.87, "finish": "length", "rule": "key_facts",
            "nearest": [{"id": "p-1", "question": "GPU memory of Delta?", "answer": "256 GB.",
                         "similarity": 0.71}],
        }  # fmt: skip
    return s


def full() -> Dossier:
    s = full_scores()
    flip = {"id": "rs-003", "category": "software", "question": "Is OpenFOAM on Anvil?",
            "before": "Yes, version 11.", "after": "No."}  # fmt: skip
    return Dossier(
        scores=s,
        version={
            "model_version": "access-qa-v1.1.0", "status": "deployed", "base_model": "mistral-7b",
            "dataset_version": "dataset-2026-11-22-ab12", "created_at": "2026-11-22T10:00:00.000Z",
            "created_by": "jsmith", "bump_part": "minor", "bump_reason": "12 % new pairs",
            "parent_version": "access-qa-v1.0.0", "note": "pilot",
            "training_config": {"lora": {"r": 64, "targets": ["q", "k"]}, "lr": 2e-05},
            "reproducibility": {"seed": 0, "code_commit": "c0" * 20, "torch": "2.12",
                                "cuda": "not recorded", "data_sha256": "da" * 32},
            "adapter_sha256": "4b" * 32,
        },
        snapshot={
            "dataset_version": "dataset-2026-11-22-ab12", "created_at": "2026-11-22T09:00:00.000Z",
            "pair_count": 1458, "manifest_hash": "ab" * 32,
            "source_breakdown": {f"source-{n}": 100 - n for n in range(20)},
            "domain_breakdown": {"compute-resources": 1400, "refusal": 58},
        },
        evaluation={"at": "2026-11-22T12:00:00.000Z", "job_id": "eval-1", "verdict": "NO-GO",
                    "scores_sha256": "5c" * 32},
        approvals=[
            {"environment": "staging", "at": "2026-11-22T13:00:00.000Z", "who": "mkim",
             "reason": "looked at all answers", "void_at": None, "void_why": None},
            {"environment": "staging", "at": "2026-11-22T12:30:00.000Z", "who": "old",
             "reason": "too early", "void_at": "2026-11-22T12:40:00.000Z", "void_why": "new scores"},
        ],
        releases=[
            {"environment": "production", "kind": "promotion", "who": "jsmith", "ended_at": None,
             "started_at": "2026-11-22T14:00:00.000Z", "verdict": "NO-GO", "reason": "x",
             "override_reason": "the director asked for it", "evidence": {"gates_sha256": "6a" * 32}},
        ],
        decision={"at": "2026-11-22T15:00:00.000Z", "who": "director", "decision": "NO-GO",
                  "reason": "facts first"},
        live_in=("production",),
        flips={
            "n": 170, "accuracy": {"a": measure(104, 170), "b": measure(126, 170)}, "p_value": 0.021,
            "flips": {"regressions": [flip] * 30, "improvements": [dict(flip, id="rs-009")],
                      "severe": ["rs-003"]},
        },
        flips_from="access-qa-v1.0.0",
        loss=tuple((float(n), 2 / (n + 1)) for n in range(50)),
        audit_head="17:" + "7d" * 32,
        made_at="2026-11-22T16:00:00Z",
    )  # fmt: skip


def spoiled(d: Dossier, spoil: Callable[[str], str], *, structure: bool) -> Dossier:
    """Every text replaced, keys too; what the page is built by only with `structure`."""
    return replace(d, **{f.name: _spoil(getattr(d, f.name), spoil, structure) for f in fields(d)})


def _spoil(value: Any, spoil: Callable[[str], str], structure: bool) -> Any:
    if isinstance(value, str):
        return spoil(value)
    if isinstance(value, Mapping):
        return {
            (spoil(k) if structure else k): v
            if k in STRUCTURE and not structure
            else _spoil(v, spoil, structure)
            for k, v in value.items()
        }
    if isinstance(value, list | tuple):
        return type(value)(_spoil(v, spoil, structure) for v in value)
    return value


class Reader(HTMLParser):
    """What a browser would find: elements, attributes, text; complains about what does not close."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []  # element, name, value
        self.texts: list[str] = []
        self.titles: list[str] = []
        self.style = ""
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == [], self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)
        if tag == "h2":
            self.titles.append("")
        if tag in ("small", "td", "th", "li", "dd", "p"):  # stand apart on the page
            self.texts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "style":
            self.style += data
            return
        self.texts.append(data)
        if self._open and self._open[-1] == "h2":
            self.titles[-1] += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data[:80]}")

    def handle_pi(self, data: str) -> None:
        raise AssertionError(f"an instruction: {data[:80]}")

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())

    def all(self, name: str) -> list[str]:
        return [v for _, n, v in self.attributes if n == name]
