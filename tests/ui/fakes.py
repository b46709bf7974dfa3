"""A desk without host or registry, in every state an operator meets. Jobs have real directories.

Used by the tests and by `python -m tests.ui.shots`. The shapes are those of tui.desk.api and of
scores.json; the words are invented.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from core.errors import HostUnreachable, QAError, Refused
from core.jobdir import ACTIVE, EventWriter, JobDir, JobSpec, JobState, write_atomic
from tests.ui.fakes_data import FakeData
from tests.ui.fakes_host import FakeHost
from tests.ui.fakes_lists import FakeLists
from tests.ui.fakes_opinions import FakeOpinions
from tests.ui.fakes_pairs import FakePairs
from tests.ui.fakes_plans import FakePlans
from tests.ui.fakes_questions import FakeQuestions
from tests.ui.fakes_traces import FakeTraces
from tests.ui.fakes_work import FakeWork
from tui.desk.api import (
    EvidenceRow,
    Gauge,
    Hop,
    ItemRow,
    JobRow,
    Link,
    Overview,
    Say,
    SourceRow,
    SourcesView,
    UnknownRow,
    VersionRow,
)
from tui.desk.report_page import markdown_of
from tui.handover import Change, Shift

NOW = 1_795_357_800.0  # 2026-11-22 14:30 UTC
State = Literal["up", "connecting", "lost", "failed", "off", "empty", "finished"]

WEEKS = ("Environment", "Data", "Training", "Evaluation")
ITEMS = (
    ("create-repo", 1, "Create `access-qa-training` repo"),
    ("setup-env", 1, "SSH to GH200, run `scripts/setup_env.sh`"),
    ("gpu-visible", 1, "Verify PyTorch sees GPU (`torch.cuda.is_available()`)"),
    ("load-base", 1, "Test loading Mistral-7B at bf16"),
    ("extract-compute", 2, "Run extraction on compute-resources (~236 pairs done)"),
    ("extract-software", 2, "Run extraction on software-discovery"),
    ("sync", 2, "Sync JSONL to GH200 (`scripts/sync_data.sh push`)"),
    ("data-loader", 2, "Verify data loader works"),
    ("golden-set", 2, "Create initial golden eval set (20-30 questions)"),
    ("first-training", 3, "Run first training job (1 epoch, verify completion)"),
    ("full-training", 3, "Run full training (3 epochs)"),
    ("metrics", 3, "Log to wandb, verify metrics"),
    ("qa-eval", 4, "Run `qa-eval` on trained model"),
    ("compare-base", 4, "Compare to base model (before fine-tuning)"),
    ("document", 4, "Document results"),
    ("go-no-go", 4, "GO/NO-GO decision on expanding pipeline"),
)
DONE = 10  # of ITEMS, in the state "up"


def measure(k: int, n: int, verdict: str | None = None) -> dict[str, Any]:
    """A share with its Wilson interval, as in scores.json."""
    if n == 0:
        return {"k": 0, "n": 0, "estimate": None, "low": None, "high": None, "verdict": None}
    p, z = k / n, 1.96
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return {"k": k, "n": n, "estimate": p, "low": low, "high": high, "verdict": verdict}


def scores(version: str = "access-qa-v1.1.0") -> dict[str, Any]:
    """One evaluation: citations good, facts poor, worse than retrieval."""

    def system(
        right: int, cited: int, fabricated: int, deferred: int, p95: float
    ) -> dict[str, Any]:
        return {
            "accuracy": measure(right, 170),
            "citation_presence": measure(cited, 140),
            "citation_right": measure(max(0, cited - 20), 140),
            "wrong_but_cited": measure(max(0, cited - right // 2), 140),
            "fabricated": measure(fabricated, max(cited, 1)),
            "deferral": measure(deferred, 30),
            "false_refusal": measure(4, 140),
            "latency_p50": p95 * 0.6,
            "latency_p95": p95,
            "latency_n": 170,
        }

    def gate(
        name: str, title: str, metric: str, target: str, verdict: str, action: str, **more: Any
    ) -> dict[str, Any]:
        row = {"gate": name, "title": title, "metric": metric, "target": target}
        row |= {"verdict": verdict, "action": action, "detail": "", "n_needed": 0, "waived": ""}
        return row | more

    questions = [
        {
            "id": f"rs-{n:03}",
            "category": "resource_specs" if n % 3 else "comparisons",
            "system": system_name,
            "question": "How much memory does a GPU node of Delta have?",
            "expected_answer": "256 GB on the A100 nodes.",
            "grade": grade,
            "deferred": False,
            "markers": [
                {"text": "<<SRC:compute-resources:delta.ncsa.access-ci.org>>", "class": "correct"},
                {"text": "<<SRC:compute-resources:delta9.example.org>>", "class": "unknown_entity"},
            ],
            "missing": ["256 GB"],
            "contradictions": ["512 GB"],
            "answer": (
                "Each GPU node of Delta has 512 GB of memory "
                "<<SRC:compute-resources:delta.ncsa.access-ci.org>> and eight GPUs "
                "<<SRC:compute-resources:delta9.example.org>>."
            ),
        }
        for n, (system_name, grade) in enumerate(
            [("tuned", "incorrect")] * 9 + [("tuned", "not_attempted")] * 2 + [("tuned", "correct")]
        )
    ]
    return {
        "verdict": "NO-GO",
        "candidate": "tuned",
        "version": version,
        "headline": [
            "NO-GO: 3 gates fail, 2 undecided, 2 pass",
            "INVENTED DETAILS WITH PLAUSIBLE CITATIONS. Facts on unseen wording: 18 % [9–32] (7/40)"
            " right, while 92 % [80–97] (37/40) cite the right source.",
            "Below the nearest stored answer on the same questions (p = 0.0004, McNemar 7 : 31).",
        ],
        "reasons": ["FAIL: Answer accuracy (≥ 95 %): 126 of 170"],
        "systems": {
            "base": system(5, 0, 0, 12, 0.84),
            "retrieval": system(150, 140, 0, 21, 0.02),
            "tuned": system(126, 139, 3, 28, 0.91),
        },
        "gates": [
            gate("accuracy", "Answer accuracy", "accuracy", "≥ 95 %", "FAIL",
                 "Add more training data for weak areas",
                 detail="126 of 170; weak: software 9/30, comparisons 7/20"),
            gate("citation_presence", "Citation presence", "citation_presence", "≥ 90 %", "PASS",
                 "Increase citation examples"),
            gate("deferral", "Refusal accuracy", "deferral", "≥ 90 %", "UNDECIDED",
                 "Add more negative examples", n_needed=214),
            gate("latency", "Latency P95", "latency_p95", "< 1.5 s", "PASS",
                 "Optimize serving, consider smaller model"),
            gate("fabricated", "Fabricated citations", "fabricated", "≤ 1 % (+2 % margin)",
                 "UNDECIDED", "Check citation examples against the source registry", n_needed=480),
            gate("unseen_wording", "Facts on unseen wording", "probe_facts", "≥ 80 %", "FAIL",
                 "Write more paraphrases of every fact"),
            gate("retrieval", "Better than retrieval", "accuracy", "better", "FAIL",
                 "Keep answering from retrieval",
                 detail="better on 7 questions, worse on 31, p = 0.0004 (McNemar)"),
        ],
        "comparisons": {"tuned_vs_retrieval": {"p_value": 0.0004, "wins": 7, "losses": 31}},
        "categories": {
            "tuned": {
                "resource_specs": measure(33, 40),
                "software": measure(9, 30),
                "comparisons": measure(7, 20),
                "documentation": measure(27, 30),
                "dynamic": measure(28, 30),
                "edge_cases": measure(18, 20),
            }
        },
        "probe": {
            "base": {"facts": measure(1, 40), "citation_right": measure(0, 40)},
            "retrieval": {"facts": measure(35, 40), "citation_right": measure(36, 40)},
            "tuned": {"facts": measure(7, 40), "citation_right": measure(37, 40)},
        },
        "golden": {"sha256": "9f2c" * 16, "n": 170},
        "questions": questions,
    }  # fmt: skip


KNOWN_SOURCES = (
    SourceRow(
        "compute-resources:delta.ncsa.access-ci.org",
        "Delta Hardware Specifications",
        "https://access-ci.org/resource/delta/",
        "active",
        link="https://access-ci.org/resource/delta/",
    ),
    SourceRow(
        "compute-resources:deltagpu.ncsa.access-ci.org",
        "Delta GPU Hardware Specifications",
        "https://allocations.access-ci.org/resources/delta-gpu.ncsa.access-ci.org",
        "renamed",
        "compute-resources:delta-gpu.ncsa.access-ci.org",
        link="https://allocations.access-ci.org/resources/delta-gpu.ncsa.access-ci.org",
    ),
    SourceRow(
        "doc:allocations-guide.pdf:page-15",
        "ACCESS Allocations Guide, Page 15",
        "https://access-ci.org/docs/allocations-guide.pdf#page=15",
        "active",
        checked_at="2026-11-02T09:00:00Z",
        link="https://access-ci.org/docs/allocations-guide.pdf#page=15",
    ),
    SourceRow("software-discovery:openfoam", "OpenFOAM", "", "tombstoned"),
)
UNKNOWN_SOURCES = (
    UnknownRow(
        "compute-resources:delta9.example.org",
        17,
        "2026-11-20T08:15:00.000Z",
        "2026-11-22T14:02:11.000Z",
        "access-qa-v1.1.0",
        "Each GPU node of Delta has 512 GB of memory and eight GPUs.",
        "https://allocations.access-ci.org/resources/delta9.example.org",
    ),
    UnknownRow(
        "software-catalog:gromacs",
        2,
        "2026-11-21T10:00:00.000Z",
        "2026-11-21T10:04:00.000Z",
        "access-qa-v1.1.0",
        "Which modules of GROMACS are there on Anvil?",
    ),
)


class FakeDesk:
    """Implements tui.desk.api.Desk. `calls` records what the app asked for, in order.

    hold: names of calls that wait until `release` is set.  fail: name of call → error to raise.
    """

    def __init__(self, root: Path, state: State = "up") -> None:
        self.root, self.state = root, state
        self.host_name = "gh200"
        self.calls: list[tuple[Any, ...]] = []
        self.fail: dict[str, Exception] = {}
        self.hold: set[str] = set()
        self.holding: set[str] = set()
        self.release = threading.Event()
        self.route = "off" if state in ("failed", "off") else state
        if state in ("empty", "finished"):
            self.route = "up"
        self.logs_in: Callable[[Any], Any] | None = None  # asks the prompter, as a hop would
        self.logged_in: Any = None
        self.settled: set[str] = set()
        self.says = ["host gh200, aarch64, Python 3.11", "reading 240 pairs", "240 of 240 valid"]
        self.mapped: Callable[[Any], Any] = lambda value: value  # tests put hostile text in here
        self.rows = {} if state == "empty" else {j.id: j for j in self._jobs()}
        self.checklist = list(self._items())
        self.decision = "GO" if state == "finished" else ""
        self.production = False
        self.needs_you = False  # the route comes back only with a person
        self.live = {} if state == "empty" else {"production": V[0], "staging": V[1]}
        self.events: list[dict[str, Any]] = [] if state == "empty" else list(HISTORY)
        for job in self.rows.values():
            write_job(self.root / job.id, job)
        self.host = FakeHost(self)
        self.data = FakeData(self)
        self.traces = FakeTraces(self)
        self.work = FakeWork(self)
        self.plans = FakePlans(self)
        self.questions = FakeQuestions(self)
        self.opinions = FakeOpinions(self)
        self.lists = FakeLists(self)
        self.pairs = FakePairs()

    def _asked(self, name: str, *args: Any) -> None:
        self.calls.append((name, *args))
        if name in self.hold:
            self.holding.add(name)
            self.release.wait(60)
            self.holding.discard(name)
        if name in self.fail:
            raise self.fail[name]

    # route

    def connect(self, prompter: Any = None) -> None:
        self._asked("connect")
        if self.logs_in is not None and prompter is not None:
            self.logged_in = self.logs_in(prompter)
        if self.state == "failed":
            self.route = "failed"
            raise HostUnreachable(
                "The jump host answers, gh200 behind it does not.",
                why="connection refused by jump.example.org → gh200:22",
                try_next="ask the operator of the jump host whether gh200 is up, then ctrl+r",
            )
        self.route = "lost" if self.state == "lost" else "up"

    def link(self) -> Link:
        hops = (Hop("jump", 12.3), Hop("gh200", 31.2))
        if self.route == "up":
            return Link("up", hops, 0.4)
        if self.route == "lost":
            after = (Hop("jump", 12.9), Hop("gh200", None))
            if self.needs_you:
                return Link("lost", after, 42.0, "Logged out.", "log in again", needs_you=True)
            return Link("lost", after, 42.0, "No answer for 3 s.", "the app tries again by itself")
        if self.route == "failed":
            return Link("failed", (), None, "connection refused", "ctrl+r")
        return Link("connecting" if self.route == "connecting" else "off")

    def reading(self) -> Gauge | None:
        if self.route == "lost":
            return Gauge("gpu", "NVIDIA GH200 480GB", 0.92, GB(61), GB(96), 412, 61, age_s=42)
        if self.route != "up" or self.state == "empty":
            return None
        if self.state == "finished":
            return Gauge("cpu", "Neoverse-V2, 72 cores", 0.04, GB(9), GB(480))
        return Gauge("gpu", "NVIDIA GH200 480GB", 0.92, GB(61), GB(96), 412.0, 61.0, 0.6)

    def overview(self) -> Overview:
        self._asked("overview")
        active = next((j for j in self.rows.values() if j.status in ACTIVE), None)
        unknown = 0 if self.state == "empty" else 3
        queued = sum(j.status == "queued" for j in self.rows.values())
        return self.mapped(
            Overview(dict(self.live), unknown, active, self.decision, queued, self.production)
        )

    # checklist

    def _items(self) -> Sequence[ItemRow]:
        out = []
        for number, (name, week, title) in enumerate(ITEMS):
            done = number < DONE or self.state == "finished"
            state, evidence = "open", ()
            if self.state != "empty" and done:
                state = "warned" if name == "gpu-visible" else "done"
                evidence = (_evidence(name, number),)
            if self.state == "up" and name == "full-training":
                state = "failed"
                evidence = (_failure(),)
            checks = f"Checks that “{title}” holds on gh200, and keeps what it saw."
            out.append(ItemRow(name, week, WEEKS[week - 1], title, checks, state, evidence))
        return out

    def items(self) -> Sequence[ItemRow]:
        self._asked("items")
        return self.mapped(list(self.checklist))

    def run_item(self, item_id: str, say: Say) -> EvidenceRow:
        for line in self.says:
            say(line)
        self._asked("run_item", item_id)
        row = EvidenceRow("2026-11-22T14:31:00Z", "jsmith", "pass", "240 of 240 pairs are valid")
        self._add(item_id, row, "done")
        return row

    def note_item(self, item_id: str, text: str) -> EvidenceRow:
        self._asked("note_item", item_id, text)
        row = EvidenceRow("2026-11-22T14:32:00Z", "jsmith", "note", text)
        self._add(item_id, row, "done")
        return row

    def _add(self, item_id: str, row: EvidenceRow, state: str) -> None:
        self.checklist = [
            replace(i, state=state, evidence=(row, *i.evidence)) if i.id == item_id else i
            for i in self.checklist
        ]

    def decide(self, decision: Literal["GO", "NO-GO"], reason: str) -> None:
        self._asked("decide", decision, reason)
        self.decision = decision

    # jobs

    def _jobs(self) -> list[JobRow]:
        ended = JobRow(
            "eval-20261122-101500-77e1", "eval", "gh200", "succeeded", NOW - 15300, NOW - 15290,
            NOW - 14400, 0, "", "access-qa-v1.1.0 on the golden set",
        )  # fmt: skip
        first = JobRow(
            "train-20261120-140200-0139", "train", "gh200", "succeeded", NOW - 174500, NOW - 174490,
            NOW - 173000, 0, "", "recipe mistral-7b, smoke",
        )  # fmt: skip
        broken = JobRow(
            "train-20261121-090000-01aa", "train", "gh200", "failed", NOW - 106200, NOW - 106190,
            NOW - 106000, 1, "CUDA out of memory", "recipe mistral-7b",
        )  # fmt: skip
        running = JobRow(
            "train-20261122-141530-3f9a", "train", "gh200", "running", NOW - 880, NOW - 870,
            None, None, "", "recipe mistral-7b, snapshot dataset-2026-11-22-ab12", 0.62, 250.0,
        )  # fmt: skip
        if self.state == "finished":
            return [ended, first]
        return [running, ended, broken, first]

    def jobs(self) -> Sequence[JobRow]:
        self._asked("jobs")
        return list(self.rows.values())

    def job_dir(self, job_id: str) -> JobDir:
        self._asked("job_dir", job_id)
        return JobDir(self.root / job_id)

    def recipes(self) -> Sequence[str]:
        self._asked("recipes")
        return [] if self.state == "empty" else ["mistral-7b", "smollm2-135m"]

    def start_training(
        self,
        recipe: str,
        *,
        smoke: bool = False,
        queue: bool = False,
        overrides: Sequence[str] = (),
        accept: Mapping[str, str] | None = None,
    ) -> str:
        if queue:
            self.fail.pop("start_training", None)
        more = [*overrides, *(f"{rule}: {why}" for rule, why in (accept or {}).items())]
        self._asked("start_training", recipe, smoke, *more)
        return self._new("train", f"recipe {recipe}")

    def start_evaluation(self, model_version: str) -> str:
        self._asked("start_evaluation", model_version)
        return self._new("eval", model_version)

    def _new(self, routine: str, note: str) -> str:
        job = JobRow(f"{routine}-20261122-143000-beef", routine, "gh200", "running", NOW, NOW,
                     note=note, progress=0.0)  # fmt: skip
        self.rows[job.id] = job
        (self.root / job.id).mkdir(parents=True)
        (self.root / job.id / "output.log").write_text("loading the base model\n")
        return job.id

    def stop_job(self, job_id: str) -> None:
        self._asked("stop_job", job_id)
        self.rows[job_id] = replace(self.rows[job_id], status="stopped", ended_at=NOW)

    # evaluation, versions

    def report(self, model_version: str) -> str:
        self._asked("report", model_version)
        return markdown_of(self, self.scores(model_version) or {})

    def scores(self, model_version: str | None = None) -> dict[str, Any] | None:
        self._asked("scores", model_version)
        if self.state == "empty" or model_version == V[2]:
            return None
        return self.mapped(scores(model_version or V[1]))

    def versions(self) -> Sequence[VersionRow]:
        self._asked("versions")
        if self.state == "empty":
            return []
        base = "mistralai/Mistral-7B-Instruct-v0.3"
        head: list[dict[str, float | None]] = [
            dict(zip(HEADLINE, (0.74, 0.99, 0.02, 0.93, 0.91), strict=True)),
            dict(zip(HEADLINE, (0.61, 0.97, 0.06, 0.90, 0.88), strict=True)),
            {},
        ]
        made = [("deployed", "NO-GO"), ("deployed", "UNDECIDED"), ("failed", "")]
        rows = []
        for n, name in enumerate(V):
            live = tuple(e for e, v in self.live.items() if v == name)
            rows.append(
                VersionRow(
                    name,
                    made[n][0],
                    base,
                    f"dataset-2026-11-{22 - n}-ab12cd34ef{n}0",
                    f"2026-11-{22 - n}T10:00:00Z",
                    "jsmith",
                    live,
                    head[n],
                    made[n][1],
                    "minor: 12 % new pairs",
                    "pilot: known gap on unseen wording" if n == 0 else "",
                )
            )
        return self.mapped(rows)

    def version_detail(self, model_version: str) -> dict[str, Any]:
        self._asked("version_detail", model_version)
        found = {
            "model_version": model_version,
            "status": "deployed",
            "base_model": "mistralai/Mistral-7B-Instruct-v0.3",
            "dataset_version": "dataset-2026-11-22-ab12cd34ef00",
            "created_at": "2026-11-22T10:00:00Z",
            "created_by": "jsmith",
            "training_config": {
                "lora": {"r": 64, "alpha": 128, "dropout": 0.05, "targets": ["q", "k", "v", "o"]},
                "learning_rate": 2e-05,
                "epochs": 3,
                "precision": "bf16",
            },
            "eval_metrics": {"accuracy": 0.74, "citation_presence": 0.99},
            "adapter_sha256": "4be1" * 16,
            "bump_reason": "minor: 12 % new pairs",
            "scores": scores(model_version),
            "history": [],
        }
        return self.mapped(found)

    def history(self) -> Sequence[dict[str, Any]]:
        self._asked("history")
        return self.mapped(list(self.events))

    def why_not_promote(self, model_version: str, environment: str) -> str | None:
        if self.live.get(environment) == model_version:
            return f"it is live in {environment} already"
        if environment == "production":
            return "2 gates fail (accuracy, unseen wording), 1 is undecided"
        return None

    def promote(
        self,
        model_version: str,
        environment: str,
        *,
        override_reason: str | None = None,
        expected_live: str = "*",
    ) -> None:
        self._asked("promote", model_version, environment, override_reason)
        if expected_live not in ("*", self.live.get(environment, "")):
            raise Refused(f"{environment} changed under you", try_next="look again, then decide")
        if self.why_not_promote(model_version, environment) and not override_reason:
            raise Refused("the gates say NO-GO", try_next="give an override reason")
        row = {"environment": environment, "model_version": model_version, "kind": "promotion"}
        row |= {"started_at": "2026-11-22T14:33:00Z", "who": "jsmith", "reason": ""}
        row |= {"replaced": self.live.get(environment), "override_reason": override_reason}
        self.events.insert(0, row)
        self.live[environment] = model_version

    # sources

    def sources(self, text: str = "") -> SourcesView:
        self._asked("sources", text)
        if self.state == "empty":
            return SourcesView((), 0, ())
        known = [
            s for s in KNOWN_SOURCES if text.lower() in f"{s.source_id} {s.display_name}".lower()
        ]
        unknown = [
            u
            for u in UNKNOWN_SOURCES
            if u.source_id not in self.settled and text.lower() in u.source_id.lower()
        ]
        return SourcesView(tuple(known), len(KNOWN_SOURCES), tuple(unknown))

    def resolve_source(self, source_id: str, name: str, url: str) -> None:
        self._asked("resolve_source", source_id, name, url)
        self.settled.add(source_id)

    def alias_source(self, source_id: str, to: str) -> None:
        self._asked("alias_source", source_id, to)
        self.settled.add(source_id)

    def dismiss_source(self, source_id: str, why: str) -> None:
        self._asked("dismiss_source", source_id, why)
        self.settled.add(source_id)

    def why_not_roll_back(self, environment: str) -> str | None:
        return None if environment == "production" else "no version was live there before"

    def roll_back(self, environment: str, reason: str) -> str:
        self._asked("roll_back", environment, reason)
        self.live[environment] = V[1]
        return V[1]

    def why_not_return(self, environment: str) -> str | None:
        self._asked("why_not_return", environment)
        return None if environment == "production" else "the window to return has closed"

    def return_(self, environment: str) -> str:
        self._asked("return_", environment)
        self.live[environment] = V[1]
        return V[1]

    def why_not_approve(self, model_version: str, environment: str) -> str | None:
        return None if environment == "production" else "jsmith has approved it already"

    def approve(self, model_version: str, environment: str, reason: str) -> None:
        self._asked("approve", model_version, environment, reason)

    def compare(self, a: str, b: str) -> dict[str, Any]:
        self._asked("compare", a, b)
        flip = {"id": "rs-003", "category": "software", "question": "Is OpenFOAM on Anvil?",
                "before": "Yes, version 11.", "after": "No."}  # fmt: skip
        found = {
            "a": a,
            "b": b,
            "data": {"added": 12, "removed": 1, "changed": 3, "new": 12, "share_new": 0.12},
            "config": {"lora.r": [16, 64]},
            "base_model": {},
            "metrics": {"accuracy": [0.61, 0.74], "latency_p95": [0.9, 0.91]},
            "reproducibility": {},
            "n": 170,
            "accuracy": {"a": measure(104, 170), "b": measure(126, 170)},
            "flips": {"regressions": [flip], "improvements": []},
            "p_value": 0.021,
        }
        return self.mapped(found)

    def live_at(self, moment: str) -> dict[str, Any]:
        self._asked("live_at", moment)
        live = {
            "model_version": V[1], "status": "deployed", "since": "2026-11-21T15:00:00Z",
            "until": "2026-11-22T12:10:00Z", "kind": "promotion", "who": "automation",
            "reason": "first version", "verdict": "NO-GO", "override_reason": "pilot",
            "replaced": None, "evidence": {}, "approved_by": ["mkim"],
            "base_model": "mistralai/Mistral-7B-Instruct-v0.3",
            "trained_at": "2026-11-21T10:00:00Z", "trained_by": "jsmith", "adapter_sha256": None,
            "dataset": {"dataset_version": "dataset-2026-11-21-ab12cd34ef10", "pairs": 1458,
                        "source_breakdown": {}, "domain_breakdown": {"compute-resources": 1458}},
            "scores": {"at": "2026-11-21T12:00:00Z", "verdict": "NO-GO", "scores_sha256": "a" * 64,
                       "golden_sha256": "b" * 64, "metrics": {"accuracy": 0.61}},
        }  # fmt: skip
        found = {
            "at": "2026-11-21T16:00:00.000Z", "future": False, "before_all": False,
            "live": {"staging": None, "production": live}, "decision": None,
            "audit": {"seq": 17, "hash": "c" * 64, "at": "2026-11-21T15:00:00Z"},
        }  # fmt: skip
        return self.mapped(found)

    def model_card(self, model_version: str) -> str:
        self._asked("model_card", model_version)
        return str(self.mapped(f"# {model_version}\n\n**NO-GO. Do not use this version.**\n"))

    def handover(self, since: float | None = None) -> Shift:
        self._asked("handover", since)
        changes = [Change("2026-11-22T11:02:00Z", "jsmith", "promote", V[0], "scores hold")]
        return self.mapped(
            Shift(
                at=NOW,
                since=NOW - 86_400 if since is None else since,
                who="jsmith",
                host=self.host_name,
                link=self.link(),
                live=dict(self.live),
                jobs=list(self.rows.values()),
                changes=[] if self.state == "empty" else changes,
                unknown=self.sources().unknown,
                gates={} if self.state == "empty" else {V[1]: ["Answer accuracy (≥ 95 %): FAIL"]},
                items=list(self.checklist),
                decision=self.decision,
            )
        )

    def close(self) -> None:
        self.calls.append(("close",))


HEADLINE = ("accuracy", "citation_presence", "fabricated", "deferral", "latency_p95")
V = ("access-qa-v1.1.0", "access-qa-v1.0.0", "access-qa-v0.9.1")
HISTORY = (
    {"environment": "production", "model_version": V[0], "kind": "promotion", "who": "jsmith",
     "started_at": "2026-11-22T12:10:00Z", "replaced": V[1], "reason": "better on every category",
     "override_reason": "pilot: known gap on unseen wording"},
    {"environment": "staging", "model_version": V[1], "kind": "promotion", "who": "jsmith",
     "started_at": "2026-11-21T16:00:00Z", "replaced": None, "reason": ""},
    {"environment": "production", "model_version": V[1], "kind": "promotion", "who": "automation",
     "started_at": "2026-11-21T15:00:00Z", "replaced": None, "reason": "first version"},
)  # fmt: skip


def GB(n: float) -> int:
    return int(n * 1024**3)


def _evidence(name: str, number: int) -> EvidenceRow:
    at = f"2026-11-{18 + number // 4:02}T{9 + number % 4:02}:12:00Z"
    if name == "gpu-visible":
        return EvidenceRow(at, "jsmith", "warn", "driver 555.42 is too old for CUDA 13",
                           "torch.cuda.is_available(): True\nbuild for CUDA 12.6 in use")  # fmt: skip
    if name == "first-training":
        return EvidenceRow(at, "jsmith", "pass", "job exit 0, 59 steps, loss 4.5 → 0.9",
                           "tokens/s 8,412\npeak memory 58.3 GiB", "train-20261120-140200-0139")  # fmt: skip
    return EvidenceRow(at, "jsmith", "pass", f"{name}: as expected")


def _failure() -> EvidenceRow:
    return EvidenceRow(
        "2026-11-21T09:03:00Z", "jsmith", "fail", "job exit 1: CUDA out of memory",
        "tried to allocate 2.10 GiB\ntry: batch size 2, or gradient checkpointing",
        "train-20261121-090000-01aa",
    )  # fmt: skip


def loss_at(step: int) -> float:
    """A plausible loss: fast fall, slow tail, some noise that is the same every time."""
    noise = 0.06 * math.sin(step * 1.7) + 0.04 * math.sin(step * 0.31)
    return 0.35 + 4.1 * math.exp(-step / 60) + 0.5 * math.exp(-step / 400) + noise


def probe_at(step: int) -> dict[str, Any]:
    """A probe's event: recall rises, fabrication falls, and at the end facts are lost."""
    recall, made_up = min(26, 4 + step // 20), max(1, 12 - step // 40)
    return {
        "step": step,
        "epoch": round(step / 327, 2),
        "recall": measure(recall, 40),
        "fabricated": measure(made_up, 40),
        "refusal": measure(min(19, 10 + step // 60), 20),
        "canary": measure(1, 10),
        "learned": 2,
        "forgotten": 4 if step > 500 else 0,
        "never": 14,
    }


def write_job(path: Path, job: JobRow, *, steps: int | None = None) -> JobDir:
    """A job directory as the runner and a routine leave it."""
    directory = JobDir(path)
    path.mkdir(parents=True)
    spec = JobSpec(job.id, job.routine, ["python", "-m", f"core.{job.routine}"], note=job.note)
    directory.spec_path.write_text(spec.to_json())
    state = JobState(job.status, started_at=job.started_at, ended_at=job.ended_at)
    write_atomic(directory.state_path, json.dumps({"status": state.status}).encode())
    events, log = EventWriter(directory.events), []
    log += ["loading mistralai/Mistral-7B-Instruct-v0.3 in bf16", "1,458 pairs, 0 markers cut"]
    if job.routine == "train":
        last = steps if steps is not None else {"failed": 40, "succeeded": 980}.get(job.status, 610)
        events.phase("train")
        for step in range(0, last, 5):
            loss = loss_at(step)
            log.append(f"09:41:{step % 60:02} step {step}/980 loss {loss:.3f} lr 2.0e-05")
            events.metric(step, max_steps=980, epoch=step / 327, loss=loss, lr=2e-05 * (1 - step / 980),
                          tokens_per_s=8412.0, eta_s=250.0, memory_bytes=GB(61.2),
                          t=NOW - 870 + step)  # fmt: skip
            if job.status == "running" and step % 100 == 95:
                events.emit("probe", **probe_at(step))
        if job.status == "failed":
            log += [
                "Traceback (most recent call last):",
                "torch.OutOfMemoryError: CUDA out of memory",
            ]
            events.warning("gradient norm 812 at step 35")
    else:
        events.phase("answering")
        for done in range(0, 511, 34):
            events.progress(done, 510, "tuned" if done > 340 else "base", eta_s=0.0)
            log.append(f"answered {done} of 510")
    events.close()
    directory.output.write_text("\n".join(log) + "\n")
    return directory


def hostile(text: str) -> Callable[[Any], Any]:
    """A `mapped` that puts `text` behind every string of rows and dicts, at any depth."""

    def change(value: Any) -> Any:
        if isinstance(value, str):
            return value + text
        if isinstance(value, dict):
            return {k: change(v) for k, v in value.items()}
        if isinstance(value, list):
            return [change(v) for v in value]
        if isinstance(value, tuple):
            return tuple(change(v) for v in value)
        return value

    return change


__all__ = ["NOW", "FakeDesk", "QAError", "hostile", "scores", "write_job"]
