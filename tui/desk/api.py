"""What a screen may ask of the desk, and the small frozen values it gets back.

Screens and `qa` commands see only this Protocol. Calls marked *instant* return a stored value and may
run on the UI thread; all others touch the registry or the route and belong in a worker thread. Every
call may raise a `core.errors.QAError`, which carries what, why and what to try next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from core.jobdir import JobDir
from tui.desk.marks import writes

if TYPE_CHECKING:
    from remote.auth import Prompter
    from tui.desk.api_data import DataDesk
    from tui.desk.api_host import HostDesk
    from tui.desk.api_lists import ListsDesk
    from tui.desk.api_opinions import OpinionsDesk
    from tui.desk.api_pairs import PairsDesk
    from tui.desk.api_plans import PlansDesk
    from tui.desk.api_questions import QuestionsDesk
    from tui.desk.api_traces import TraceDesk
    from tui.desk.api_work import WorkDesk
    from tui.handover import Shift

Say = Callable[[str], None]
Outcome = Literal["pass", "fail", "warn", "note"]


@dataclass(frozen=True, slots=True)
class Hop:
    name: str
    rtt_ms: float | None


@dataclass(frozen=True, slots=True)
class Link:
    """The route now. age_s: seconds since the host was last heard; None if never.

    needs_you: it will not come back by itself, a person has to log in.  retry_s: seconds to the next
    attempt of its own, else None.
    """

    state: Literal["off", "connecting", "up", "lost", "failed"]
    hops: tuple[Hop, ...] = ()
    age_s: float | None = None
    error: str = ""
    try_next: str = ""
    needs_you: bool = False
    retry_s: float | None = None


@dataclass(frozen=True, slots=True)
class Gauge:
    """One accelerator (or the CPU where there is none). utilisation 0..1, memory in bytes."""

    kind: Literal["gpu", "cpu"]
    name: str
    utilisation: float | None
    memory_used: int | None
    memory_total: int | None
    power_w: float | None = None
    temperature_c: float | None = None
    age_s: float = 0.0
    power_limit_w: float | None = None
    clock_mhz: float | None = None
    ecc_errors: int | None = None  # uncorrected memory errors
    throttle: tuple[str, ...] = ()  # why the clocks are held down


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    at: str  # ISO 8601, UTC
    who: str
    outcome: Outcome
    summary: str
    detail: str = ""
    job_id: str | None = None


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One checklist item. state: open, running, done, warned or failed."""

    id: str
    week: int
    week_title: str
    title: str
    checks: str
    state: str
    evidence: tuple[EvidenceRow, ...] = ()  # newest first


@dataclass(frozen=True, slots=True)
class JobRow:
    """Times are Unix seconds of the host's clock. progress 0..1.

    age_s: seconds since the host last said how it stands; None of an ended job, which does not
    change.  elapsed_s: run time by the host's clock, of an active job up to what is known.
    waiting_for, position: of a queued job, who holds its accelerator and its place in line.
    seam: where its log was last cut short or replaced on the host, in words; "" if never.
    """

    id: str
    routine: str
    host: str
    status: str
    submitted_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    exit_code: int | None = None
    reason: str = ""
    note: str = ""
    progress: float | None = None
    eta_s: float | None = None
    age_s: float | None = None
    elapsed_s: float | None = None
    waiting_for: str = ""
    position: int | None = None
    scheduler_id: str = ""
    expected_start: float | None = None  # Unix seconds, as a scheduler foresees it
    seam: str = ""


@dataclass(frozen=True, slots=True)
class VersionRow:
    """headline: metric name → estimate 0..1 (accuracy, citation_presence, fabricated, deferral, …)."""

    model_version: str
    status: str
    base_model: str
    dataset_version: str
    created_at: str
    created_by: str
    live_in: tuple[str, ...] = ()
    headline: dict[str, float | None] = field(default_factory=dict)
    verdict: str = ""
    bump: str = ""
    override: str = ""  # the newest reason it was promoted for against its gates


@dataclass(frozen=True, slots=True)
class SourceRow:
    """leads_to: the id a renamed source leads to, else "".  link: its address if it may be opened."""

    source_id: str
    display_name: str
    url: str
    status: str
    leads_to: str = ""
    checked_at: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class UnknownRow:
    """An id that answers cited and nobody knows. proposed_url: by the URL pattern of its domain."""

    source_id: str
    occurrences: int
    first_seen: str
    last_seen: str
    model_version: str = ""
    example: str = ""
    proposed_url: str = ""


@dataclass(frozen=True, slots=True)
class SourcesView:
    """known: those that match, by id.  total: how many there are.  unknown: the most cited first."""

    known: tuple[SourceRow, ...]
    total: int
    unknown: tuple[UnknownRow, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    live: dict[str, str]  # environment → model_version
    unknown_sources: int
    active_job: JobRow | None
    decision: str = ""  # GO, NO-GO or ""
    queued: int = 0  # jobs that wait for an accelerator
    production: bool = False  # this desk acts on a host that serves users


class Desk(Protocol):
    host_name: str
    host: HostDesk
    data: DataDesk
    traces: TraceDesk
    work: WorkDesk
    questions: QuestionsDesk
    opinions: OpinionsDesk
    plans: PlansDesk
    lists: ListsDesk
    pairs: PairsDesk

    # route (link, reading: instant). connect: who is asked for secrets; None: nobody
    def connect(self, prompter: Prompter | None = None) -> None: ...
    def link(self) -> Link: ...
    def reading(self) -> Gauge | None: ...
    def overview(self) -> Overview: ...

    # pilot checklist
    def items(self) -> Sequence[ItemRow]: ...
    @writes
    def run_item(self, item_id: str, say: Say) -> EvidenceRow: ...
    @writes
    def note_item(self, item_id: str, text: str) -> EvidenceRow: ...
    @writes
    def decide(self, decision: Literal["GO", "NO-GO"], reason: str) -> None: ...

    # jobs. job_dir: the laptop's mirror; following starts by itself while the job is active
    def jobs(self) -> Sequence[JobRow]: ...
    def job_dir(self, job_id: str) -> JobDir: ...
    def recipes(self) -> Sequence[str]: ...
    @writes
    def start_training(
        self,
        recipe: str,
        *,
        smoke: bool = False,
        queue: bool = False,
        overrides: Sequence[str] = (),  # key=value
        accept: Mapping[str, str] | None = None,  # rule of the lint → why its error is taken
    ) -> str: ...
    @writes
    def start_evaluation(self, model_version: str) -> str: ...
    @writes
    def stop_job(self, job_id: str) -> None: ...

    # evaluation: scores.json of the newest evaluation of a version (None: the newest of all)
    def scores(self, model_version: str | None = None) -> dict[str, Any] | None: ...
    def report(self, model_version: str) -> str: ...  # the whole of it, as Markdown

    # versions. why_not_*: None if allowed, else the reason to show
    def versions(self) -> Sequence[VersionRow]: ...
    def version_detail(self, model_version: str) -> dict[str, Any]: ...
    def history(self) -> Sequence[dict[str, Any]]: ...
    def why_not_promote(self, model_version: str, environment: str) -> str | None: ...
    @writes
    def promote(
        self,
        model_version: str,
        environment: str,
        *,
        override_reason: str | None = None,
        expected_live: str = "*",  # what was seen live there; "" nothing, "*" not looked
    ) -> None: ...
    def why_not_roll_back(self, environment: str) -> str | None: ...
    @writes
    def roll_back(self, environment: str, reason: str) -> str: ...
    def why_not_return(self, environment: str) -> str | None: ...
    @writes
    def return_(self, environment: str) -> str: ...
    def why_not_approve(self, model_version: str, environment: str) -> str | None: ...
    @writes
    def approve(self, model_version: str, environment: str, reason: str) -> None: ...
    def compare(self, a: str, b: str) -> dict[str, Any]: ...
    def live_at(self, moment: str) -> dict[str, Any]: ...
    def model_card(self, model_version: str) -> str: ...

    # sources
    def sources(self, text: str = "") -> SourcesView: ...
    @writes
    def resolve_source(self, source_id: str, name: str, url: str) -> None: ...
    @writes
    def alias_source(self, source_id: str, to: str) -> None: ...
    @writes
    def dismiss_source(self, source_id: str, why: str) -> None: ...

    # since: Unix seconds; None: a day ago
    def handover(self, since: float | None = None) -> Shift: ...

    def close(self) -> None: ...
