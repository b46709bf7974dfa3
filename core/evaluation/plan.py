"""What an evaluation is to do, and whether it can: all inputs are read before a model is loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from core import base_models
from core.citations import SourceIndex
from core.errors import MissingComponent, RegistryNotLoaded, UsageError
from core.evaluation.gates import Gates, gates_from, load_gates, pick_candidate
from core.evaluation.golden import golden_sha256, load_golden
from core.evaluation.scores import QuestionSet

MODEL_SYSTEMS = ("base", "tuned", "previous")
KNOWN_SYSTEMS = (*MODEL_SYSTEMS, "retrieval")
DEFAULT_MODEL = "smollm2-135m"
MAX_NEW_TOKENS = 96
"""An answer ends in its citation: one that is cut off has lost it. Of the sample corpus' answers 8 %
are longer than 64 tokens, 1 % longer than 96."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to evaluate, settled before it starts.

    systems: of KNOWN_SYSTEMS; stored: system → file of answers given elsewhere.  sources: rows of
    the source registry, or a JSONL file of them.  latency_sample: questions a model is asked alone.
    reason: stated for releasing a candidate that is not better than retrieval.
    """

    golden: Path
    out: Path
    systems: tuple[str, ...] = ()
    stored: Mapping[str, Path] = field(default_factory=dict)
    probe: Path | None = None
    sources: Path | Sequence[Mapping[str, Any]] | None = None
    pairs: tuple[Path, ...] = ()
    base_model: str = DEFAULT_MODEL
    adapter: Path | None = None
    previous_adapter: Path | None = None
    version: str | None = None
    gates: Gates | None = None
    candidate: str | None = None
    reason: str = ""
    max_new_tokens: int = MAX_NEW_TOKENS
    batch_size: int = 16
    latency_sample: int = 12
    limit: int | None = None
    dtype: str = "bfloat16"
    reuse: Mapping[str, Path] = field(default_factory=dict)

    @classmethod
    def from_settings(cls, s: Mapping[str, Any], out: Path) -> Plan:
        """The plan in a job's spec.json. Raises SettingsError for gates that are none."""

        def path(name: str) -> Path | None:
            return Path(s[name]) if s.get(name) else None

        pairs = s.get("pairs")
        return cls(
            golden=Path(s["golden"]),
            out=out,
            systems=tuple(s.get("systems") or ("base", "retrieval", "tuned")),
            probe=path("probe"),
            sources=path("sources"),
            pairs=tuple(map(Path, [pairs] if isinstance(pairs, str) else pairs or ())),
            base_model=str(s.get("base_model") or s.get("model_name") or DEFAULT_MODEL),
            adapter=path("adapter"),
            previous_adapter=path("previous_adapter"),
            version=s.get("version"),
            gates=gates_from(s["gates"], "settings.gates") if s.get("gates") else None,
            candidate=s.get("candidate"),
            reason=str(s.get("reason") or ""),
            max_new_tokens=int(s.get("max_new_tokens") or MAX_NEW_TOKENS),
            batch_size=int(s.get("batch_size") or 16),
            latency_sample=int(s.get("latency_sample", 12)),
            limit=s.get("limit"),
            dtype=str(s.get("dtype") or "bfloat16"),
            reuse={k: Path(v) for k, v in (s.get("reuse") or {}).items() if v},
        )


@dataclass(frozen=True, slots=True)
class Inputs:
    """The plan's files, read."""

    golden: QuestionSet
    probe: QuestionSet | None
    index: SourceIndex
    gates: Gates


def check(plan: Plan) -> Inputs:
    """Everything that can be wrong with the inputs is found before minutes are spent."""
    names = [*plan.systems, *plan.stored]
    if not names:
        raise UsageError(
            "no system to evaluate",
            try_next="name some with --systems, or give stored answers with --answers NAME=FILE",
        )
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise UsageError(f"the system {twice[0]!r} is named twice", try_next="name it once")
    for name in plan.systems:
        if name not in KNOWN_SYSTEMS:
            raise UsageError(
                f"unknown system {name!r}",
                try_next=f"one of: {', '.join(KNOWN_SYSTEMS)}; others with --answers NAME=FILE",
            )
    if "retrieval" in plan.systems and not plan.pairs:
        raise UsageError(
            "retrieval has no pairs to search", try_next="give the snapshot's pairs with --pairs"
        )
    for system, adapter, option in (
        ("tuned", plan.adapter, "--adapter"),
        ("previous", plan.previous_adapter, "--previous-adapter"),
    ):
        if system in plan.systems and adapter is None:
            raise UsageError(
                f"the system {system!r} needs an adapter", try_next=f"give {option} DIR"
            )
        if adapter is not None and not (adapter / "adapter_config.json").is_file():
            raise UsageError(
                f"{adapter}: not an adapter",
                why="there is no adapter_config.json",
                try_next="give the folder that qa-train wrote (…/artifacts/adapter)",
            )
    pick_candidate(names, plan.candidate)
    if any(name in MODEL_SYSTEMS for name in plan.systems):
        _need_packages()
        base_models.resolve(plan.base_model, verify=False)
    golden = _questions(plan.golden, plan.limit)
    return Inputs(
        golden=golden,
        probe=_questions(plan.probe, plan.limit) if plan.probe else None,
        index=_index(plan.sources),
        gates=plan.gates or load_gates(),
    )


def _need_packages() -> None:
    for name in ("torch", "transformers", "peft"):
        if find_spec(name) is None:
            raise MissingComponent(
                f"a model cannot be run here: {name} is not installed",
                try_next="pip install -c constraints.txt -e '.[train]', or score stored answers "
                "with --answers NAME=FILE.jsonl",
            )


def _questions(path: Path, limit: int | None) -> QuestionSet:
    questions = load_golden(path)
    if limit is not None and limit < len(questions):
        step = len(questions) / max(1, limit)  # spread over the file, so over the categories
        questions = [questions[int(n * step)] for n in range(max(1, limit))]
    return QuestionSet(questions, golden_sha256(path))


def _index(sources: Path | Sequence[Mapping[str, Any]] | None) -> SourceIndex:
    if sources is None or isinstance(sources, Path):
        if sources is None or not sources.is_file():
            raise RegistryNotLoaded(
                "the source registry is not loaded, so no citation can be judged",
                why=f"{sources}: no such file" if sources else "no sources were given",
                try_next="give the registry's sources with --sources FILE",
            )
        rows = []
        for number, line in enumerate(sources.read_bytes().decode("utf-8-sig").split("\n"), 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                row["source_id"]
            except (ValueError, TypeError, KeyError):
                raise UsageError(
                    f"{sources}:{number}: not a source",
                    try_next="one object {source_id, display_name, url, status, renamed_to} a line",
                ) from None
            rows.append(row)
        return SourceIndex.load(rows)
    return SourceIndex.load(sources)
