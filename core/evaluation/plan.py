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
from core.evaluation.engines import ENGINES, EngineName
from core.evaluation.gates import Gates, gates_from, load_gates, pick_candidate
from core.evaluation.golden.sets import Mount, Part, load_set
from core.evaluation.recorded import Recorded, read_recorded
from core.evaluation.scores import QuestionSet

MODEL_SYSTEMS = ("base", "base+retrieval", "previous", "tuned")
KNOWN_SYSTEMS = (*MODEL_SYSTEMS, "retrieval")
DEFAULT_MODEL = "smollm2-135m"
BATCH: dict[EngineName, int] = {"transformers": 256, "endpoint": 8, "vllm": 512}
"""Questions at a time at most, unless told otherwise. The weights are read once for all rows of a batch,
so more is faster until memory is short; a server is somebody else's too; vLLM keeps its own batch full."""
BASELINE_SAMPLE = 4
"""Questions that a base model is asked alone. Its latency decides nothing, and one answer at a time is
what an evaluation spends most of its time on."""
MAX_NEW_TOKENS = 96
"""An answer ends in its citation: one that is cut off has lost it. Of the sample corpus' answers 8 %
are longer than 64 tokens, 1 % longer than 96."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to evaluate, settled before it starts.

    systems: of KNOWN_SYSTEMS; stored: system → file of answers given elsewhere.  also: further
    golden files, mounted beside the first.  sets: names of the sets of golden and also, in their order;
    empty: as configs/golden.yaml names these files.  trained: pairs that the adapters
    under this one were trained on; rewordings: as its training had them (core.evaluation.trained).
    sources: rows of the source registry, or a JSONL file of them.
    latency_sample: questions a model is asked alone; check_batches: ask them in a batch too,
    and report whose answer differs.  reason: stated for releasing a candidate that is not better
    than retrieval.  endpoint: address of an OpenAI-compatible API; serve: system → what it is called
    there; api_key_env: name of the variable with its key.  stall_s, timeout_s: seconds a request may
    be silent, and last.  accept_unanswered: score what an endpoint did not answer as not attempted.
    latency: what `qa-eval latency` measured, to go with the scores.  mcp_latency: what the live
    tools took, recorded elsewhere.  shared: folder of answers that all
    evaluations on this machine share.  left_out: system → why it is not among `systems`, for the record.
    given: system → the version or folder it was named by.
    """

    golden: Path
    out: Path
    systems: tuple[str, ...] = ()
    stored: Mapping[str, Path] = field(default_factory=dict)
    probe: Path | None = None
    sources: Path | Sequence[Mapping[str, Any]] | None = None
    pairs: tuple[Path, ...] = ()
    trained: tuple[Path, ...] = ()
    rewordings: int = 0
    base_model: str = DEFAULT_MODEL
    adapter: Path | None = None
    previous_adapter: Path | None = None
    version: str | None = None
    gates: Gates | None = None
    candidate: str | None = None
    reason: str = ""
    max_new_tokens: int = MAX_NEW_TOKENS
    batch_size: int = BATCH["transformers"]
    latency_sample: int = 12
    limit: int | None = None
    dtype: str = "bfloat16"
    also: tuple[Path, ...] = ()
    sets: tuple[str, ...] = ()
    paraphrases: bool = False
    engine: EngineName = "transformers"
    endpoint: str | None = None
    serve: Mapping[str, str] = field(default_factory=dict)
    api_key_env: str = ""
    stall_s: float = 60.0
    timeout_s: float = 300.0
    accept_unanswered: bool = False
    check_batches: bool = True
    latency: Path | None = None
    mcp_latency: Path | None = None
    shared: Path | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_settings(cls, s: Mapping[str, Any], out: Path) -> Plan:
        """The plan in a job's spec.json. Raises SettingsError for gates that are none."""

        def path(name: str) -> Path | None:
            return Path(s[name]) if s.get(name) else None

        def paths(name: str) -> tuple[Path, ...]:
            given = s.get(name)
            return tuple(map(Path, [given] if isinstance(given, str) else given or ()))

        engine: EngineName = s.get("engine") or (
            "endpoint" if s.get("endpoint") else "transformers"
        )
        return cls(
            golden=Path(s["golden"]),
            out=out,
            systems=tuple(s.get("systems") or ("base", "retrieval", "tuned")),
            probe=path("probe"),
            sources=path("sources"),
            pairs=paths("pairs"),
            trained=paths("trained"),
            rewordings=int(s.get("rewordings") or 0),
            base_model=str(s.get("base_model") or s.get("model_name") or DEFAULT_MODEL),
            adapter=path("adapter"),
            previous_adapter=path("previous_adapter"),
            version=s.get("version"),
            gates=gates_from(s["gates"], "settings.gates") if s.get("gates") else None,
            candidate=s.get("candidate"),
            reason=str(s.get("reason") or ""),
            max_new_tokens=int(s.get("max_new_tokens") or MAX_NEW_TOKENS),
            batch_size=int(s.get("batch_size") or BATCH.get(engine, 1)),
            latency_sample=int(s.get("latency_sample", 12)),
            limit=s.get("limit"),
            dtype=str(s.get("dtype") or "bfloat16"),
            also=paths("also"),
            sets=tuple(s.get("sets") or ()),
            paraphrases=bool(s.get("paraphrases")),
            engine=engine,
            endpoint=s.get("endpoint"),
            serve=dict(s.get("serve") or {}),
            api_key_env=str(s.get("api_key_env") or ""),
            stall_s=float(s.get("stall_s") or 60.0),
            timeout_s=float(s.get("timeout_s") or 300.0),
            accept_unanswered=bool(s.get("accept_unanswered")),
            check_batches=bool(s.get("check_batches", True)),
            latency=path("latency"),
            mcp_latency=path("mcp_latency"),
            shared=path("shared"),
            left_out=dict(s.get("left_out") or {}),
        )

    def asked_alone(self, system: str) -> int:
        """How many questions this system is asked one at a time."""
        names = [*self.systems, *self.stored]
        judged = pick_candidate(names, self.candidate)
        few = system.startswith("base") and system != judged
        return min(BASELINE_SAMPLE, self.latency_sample) if few else self.latency_sample


@dataclass(frozen=True, slots=True)
class Inputs:
    """The plan's files, read. parts: the golden files, with the version of each."""

    golden: QuestionSet
    probe: QuestionSet | None
    index: SourceIndex
    gates: Gates
    parts: tuple[Part, ...] = ()
    latency: Mapping[str, Any] | None = None
    live_tools: Recorded | None = None


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
    searching = [name for name in plan.systems if "retrieval" in name]
    if searching and not plan.pairs:
        raise UsageError(
            f"{searching[0]} has no pairs to search",
            try_next="give the snapshot's pairs with --pairs",
        )
    pick_candidate(names, plan.candidate)
    if any(name in MODEL_SYSTEMS for name in plan.systems):
        _check_engine(plan)
    golden, parts = _questions(plan, plan.golden, *plan.also, names=plan.sets)
    return Inputs(
        golden=golden,
        probe=_questions(plan, plan.probe)[0] if plan.probe else None,
        index=_index(plan.sources),
        gates=plan.gates or load_gates(),
        parts=parts,
        latency=_measured(plan.latency),
        live_tools=read_recorded(plan.mcp_latency) if plan.mcp_latency else None,
    )


def _check_engine(plan: Plan) -> None:
    if plan.engine not in ENGINES:
        raise UsageError(
            f"unknown engine {plan.engine!r}", try_next=f"one of: {', '.join(ENGINES)}"
        )
    if plan.engine == "endpoint":
        from core.evaluation.openai_http import server

        if not plan.endpoint:
            raise UsageError("the engine 'endpoint' needs an address", try_next="--endpoint URL")
        server(plan.endpoint, plan.api_key_env)
        strangers = sorted(set(plan.serve) - set(plan.systems) - {"base"})
        if strangers:
            raise UsageError(
                f"--serve {strangers[0]}: no such system is to answer",
                try_next=f"one of: {', '.join(n for n in plan.systems if n in MODEL_SYSTEMS)}",
            )
        return
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
    if plan.engine == "vllm":
        from core.evaluation.vllm_offline import need_vllm

        need_vllm()
    _need_packages()
    base_models.resolve(plan.base_model, verify=False)


def _need_packages() -> None:
    for name in ("torch", "transformers", "peft"):
        if find_spec(name) is None:
            raise MissingComponent(
                f"a model cannot be run here: {name} is not installed",
                try_next="pip install -c constraints.txt -e '.[train]', or score stored answers "
                "with --answers NAME=FILE.jsonl",
            )


def _questions(
    plan: Plan, *files: Path, names: Sequence[str] = ()
) -> tuple[QuestionSet, tuple[Part, ...]]:
    mounted = [Mount(f, n) for f, n in zip(files, names, strict=True)] if names else files
    found = load_set(mounted, paraphrases=plan.paraphrases)
    questions = found.questions
    if plan.limit is not None and plan.limit < len(questions):
        step = len(questions) / max(1, plan.limit)  # spread over the file, so over the categories
        questions = [questions[int(n * step)] for n in range(max(1, plan.limit))]
    return QuestionSet(questions, found.sha256), found.parts


def _measured(path: Path | None) -> Mapping[str, Any] | None:
    """What `qa-eval latency` wrote."""
    if path is None:
        return None
    try:
        document = json.loads(path.read_text("utf-8"))
        document["targets"]
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise UsageError(
            f"{path}: no latency measurement", why=str(e), try_next="measure with `qa-eval latency`"
        ) from None
    return dict(document)


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
