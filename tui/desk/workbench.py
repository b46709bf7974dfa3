"""The desk itself: registry, line, jobs and checklist behind the one Protocol of `tui.desk.api`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from core import locations
from core.errors import QAError, ReadOnlyMode
from core.jobdir import ACTIVE, QUEUED, JobDir
from tui.desk.api import (
    EvidenceRow,
    Gauge,
    ItemRow,
    JobRow,
    Link,
    Overview,
    Say,
    SourcesView,
    VersionRow,
)
from tui.desk.following import Following
from tui.desk.launching import Launching, operator
from tui.desk.line import Line
from tui.desk.looking import Looking

if TYPE_CHECKING:
    from core.registry import Registry
    from core.registry.precheck import Facts
    from core.registry.records import Version
    from core.registry.writer import Writer
    from remote.auth import Prompter
    from remote.helper_client import Carrier
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

T = TypeVar("T")
DEFAULT_RECIPE = "smollm2-135m"


# a part of the desk → its module here, and its class
PARTS = {
    "host": ("host_desk", "WorkbenchHost"),
    "data": ("data_desk", "WorkbenchData"),
    "traces": ("traces_desk", "WorkbenchTraces"),
    "work": ("work_desk", "WorkbenchWork"),
    "questions": ("questions_desk", "WorkbenchQuestions"),
    "opinions": ("opinions_desk", "WorkbenchOpinions"),
    "plans": ("plans_desk", "WorkbenchPlans"),
    "lists": ("lists_desk", "WorkbenchLists"),
    "pairs": ("pairs_desk", "WorkbenchPairs"),
}


class Workbench:
    """Implements `tui.desk.api.Desk` over the real registry and the real line."""

    # made when first asked for, so that the first frame waits for none of them
    host: HostDesk
    data: DataDesk
    traces: TraceDesk
    work: WorkDesk
    questions: QuestionsDesk
    opinions: OpinionsDesk
    plans: PlansDesk
    lists: ListsDesk
    pairs: PairsDesk

    def __init__(
        self,
        host_name: str,
        *,
        recipe: str | None = None,
        all_pairs: bool = False,
        prompter: Prompter | None = None,
        golden: Path | None = None,
        read_only: bool = False,
    ) -> None:
        """read_only: this desk writes nothing into the registry, not even what jobs came to."""
        self.host_name = host_name
        self.recipe = recipe or DEFAULT_RECIPE
        self.all_pairs = all_pairs
        self.read_only = read_only
        self.golden = golden or locations.configs() / "corpus" / "golden.jsonl"
        self.line = Line(host_name, prompter)
        self._others: dict[str, Line] = {}
        self.following = Following(self.line, on_end=self._ended)
        self._looking = Looking(self)
        self.settling = threading.Lock()
        self.launching = Launching(self.line, self.following, self.write)
        self._threads = threading.local()
        self._recovered = False
        self._writer: Writer | None = None
        self._making_writer = threading.Lock()
        self._running_item: str | None = None
        self._making_parts = threading.RLock()

    def __getattr__(self, name: str) -> Any:
        if name not in PARTS:
            raise AttributeError(name)
        with self._making_parts:
            if name not in self.__dict__:
                module, kind = PARTS[name]
                made = getattr(import_module(f"tui.desk.{module}"), kind)(self)
                self.__dict__[name] = made
            return self.__dict__[name]

    # registry: one connection a thread
    def registry(self) -> Registry:
        if not hasattr(self._threads, "registry"):
            from core.registry import open_registry

            self._threads.registry = open_registry(how="app")
            if not self._recovered and not self.read_only:
                from tui.desk.release import recover

                self._recovered = True
                recover(self._threads.registry)  # releases that a killed process left behind
        found: Registry = self._threads.registry
        return found

    def write(self, act: Callable[[Registry], T]) -> T:
        """Do it in the one thread that writes the registry; waits for its result or its error."""
        if self.read_only:
            raise ReadOnlyMode(
                "the registry is only read from this desk", try_next="start it without --read-only"
            )
        with self._making_writer:
            if self._writer is None:
                from core.registry.writer import Writer

                self._writer = Writer(how="app")
        return self._writer.run(act)

    def decided(self, act: Callable[[Registry], T]) -> T:
        """Take a decision, see tui.desk.shared: where the registry is shared, on the newest truth."""
        from tui.desk.shared import deciding

        def work(reg: Registry) -> T:
            with deciding(reg, self._route_to):
                return act(reg)

        return self.write(work)

    def _route_to(self, host: str) -> Carrier:
        """The registry of record need not lie on the host this desk drives."""
        if host == self.host_name:
            return self.line.route()
        if host not in self._others:
            self._others[host] = Line(host)
        return self._others[host].route()

    # route
    def connect(self, prompter: Prompter | None = None) -> None:
        """Open the route and take up every job on the host that still runs.

        prompter: who is asked for passwords and second factors, this once.
        """
        from tui.desk.outcomes import reattach

        if prompter is not None:
            self.line.log_in(prompter)
        else:
            self.line.route()
        reattach(self)
        self._looking.start()

    def link(self) -> Link:
        return self.line.link()

    def reading(self) -> Gauge | None:
        return self.line.gauge()

    def overview(self) -> Overview:
        from core.registry import checklist, sources
        from tui.desk.release import live_versions

        reg = self.registry()
        active = [j for j in self.following.rows() if j.status in ACTIVE]
        waiting = [j for j in active if j.status == QUEUED]
        active = [j for j in active if j.status != QUEUED] or waiting
        decision = checklist.last_decision(reg)
        return Overview(
            live=live_versions(reg),
            unknown_sources=len(sources.unknown(reg)),
            active_job=active[0] if active else None,
            decision=decision.decision if decision else "",
            queued=len(waiting),
            production=self._in_production(),
        )

    def _in_production(self) -> bool:
        """The sandbox never is; asking it would start it."""
        from tui.desk.line import SANDBOX

        return self.host_name != SANDBOX and self.line.host().environment == "production"

    # checklist
    def items(self) -> Sequence[ItemRow]:
        from tui.desk.checklist import rows

        return rows(self.registry(), running=self._running_item)

    def run_item(self, item_id: str, say: Say) -> EvidenceRow:
        """Run an item's check and store what came of it; a failure is evidence too."""
        from tui.desk.checklist import run

        self._running_item = item_id
        try:
            return run(self, item_id, say)
        finally:
            self._running_item = None

    def note_item(self, item_id: str, text: str) -> EvidenceRow:
        from tui.desk.checklist import note

        return note(self, item_id, text)

    def decide(self, decision: Literal["GO", "NO-GO"], reason: str) -> None:
        from core.registry import checklist

        self.decided(lambda reg: checklist.decide(reg, decision, reason, operator()))

    # jobs
    def jobs(self) -> Sequence[JobRow]:
        return self.following.rows()

    def job_dir(self, job_id: str) -> JobDir:
        return self.following.dir(job_id)

    def recipes(self) -> Sequence[str]:
        return sorted(p.stem for p in (locations.configs() / "recipes").glob("*.yaml"))

    def start_training(
        self,
        recipe: str,
        *,
        smoke: bool = False,
        queue: bool = False,
        overrides: Sequence[str] = (),
        accept: Mapping[str, str] | None = None,
    ) -> str:
        from tui.desk.jobs import start_training

        return start_training(
            self, recipe, smoke=smoke, queue=queue, overrides=overrides, accept=accept
        )

    def start_evaluation(self, model_version: str, mcp_latency: Path | None = None) -> str:
        from tui.desk.evaluating import start_evaluation

        return start_evaluation(self, model_version, mcp_latency=mcp_latency)

    def stop_job(self, job_id: str) -> None:
        self.line.launcher().stop(job_id)

    def _ended(self, job_id: str) -> None:
        """A followed job has ended: store what came of it. Runs in the follower's thread."""
        from tui.desk import defects
        from tui.desk.outcomes import settle

        try:
            settle(self, job_id)
        except QAError:
            pass  # e.g. the link is down: the next connect settles it
        except Exception as e:  # a thread has nobody to tell
            defects.record(e)

    # evaluation
    def scores(self, model_version: str | None = None) -> dict[str, Any] | None:
        from core.registry import evaluations

        reg = self.registry()
        found = evaluations.latest(reg, model_version) if model_version else evaluations.newest(reg)
        return found.scores if found else None

    def report(self, model_version: str) -> str:
        from core.evaluation.pages.compose import compose
        from core.evaluation.pages.gather import gather
        from core.evaluation.pages.markdown import markdown

        mirrors = locations.state_dir() / "mirror"
        return markdown(compose(gather(self.registry(), model_version, mirrors)))

    # versions
    def versions(self) -> Sequence[VersionRow]:
        from tui.desk.release import rows

        return rows(self.registry())

    def version_detail(self, model_version: str) -> dict[str, Any]:
        from tui.desk.release import detail

        return detail(self.registry(), model_version)

    def history(self) -> Sequence[dict[str, Any]]:
        from tui.desk.release import history

        return history(self.registry())

    def why_not_promote(self, model_version: str, environment: str) -> str | None:
        from tui.desk.release import why_not_promote

        return why_not_promote(self.registry(), model_version, environment)

    def promote(
        self,
        model_version: str,
        environment: str,
        *,
        override_reason: str | None = None,
        expected_live: str = "*",
    ) -> None:
        from tui.desk.release import promote

        self.decided(
            lambda reg: promote(
                reg,
                model_version,
                environment,
                override_reason=override_reason,
                expected_live=expected_live,
                probe=self._look,
            )
        )

    def _look(self, version: Version) -> Facts | None:
        from tui.desk.adapters import look

        return look(self, version)

    def why_not_roll_back(self, environment: str) -> str | None:
        from tui.desk.release import why_not_roll_back

        return why_not_roll_back(self.registry(), environment)

    def roll_back(self, environment: str, reason: str) -> str:
        from tui.desk.release import roll_back

        return self.decided(lambda reg: roll_back(reg, environment, reason, probe=self._look))

    def why_not_return(self, environment: str) -> str | None:
        from tui.desk.release import why_not_return

        return why_not_return(self.registry(), environment)

    def return_(self, environment: str) -> str:
        from tui.desk.release import return_

        return self.decided(lambda reg: return_(reg, environment, probe=self._look))

    def why_not_approve(self, model_version: str, environment: str) -> str | None:
        from tui.desk.release import why_not_approve

        return why_not_approve(self.registry(), model_version, environment)

    def approve(self, model_version: str, environment: str, reason: str) -> None:
        from tui.desk.release import approve

        self.decided(lambda reg: approve(reg, model_version, environment, reason))

    def compare(self, a: str, b: str) -> dict[str, Any]:
        from tui.desk.version_views import compare

        return compare(self.registry(), a, b)

    def live_at(self, moment: str) -> dict[str, Any]:
        from tui.desk.version_views import at

        return at(self.registry(), moment)

    def model_card(self, model_version: str) -> str:
        from tui.desk.version_views import card

        return card(self.registry(), model_version)

    # sources
    def sources(self, text: str = "") -> SourcesView:
        from tui.desk.sources import view

        return view(self.registry(), text)

    def resolve_source(self, source_id: str, name: str, url: str) -> None:
        from tui.desk.sources import resolve

        self.decided(lambda reg: resolve(reg, source_id, name, url))

    def alias_source(self, source_id: str, to: str) -> None:
        from tui.desk.sources import alias

        self.decided(lambda reg: alias(reg, source_id, to))

    def dismiss_source(self, source_id: str, why: str) -> None:
        from tui.desk.sources import dismiss

        self.decided(lambda reg: dismiss(reg, source_id, why))

    def handover(self, since: float | None = None) -> Shift:
        from tui.desk.handing_over import shift

        return shift(self, since)

    def close(self) -> None:
        """Leave the desk; jobs on the host go on."""
        self._looking.close()
        if "host" in self.__dict__:
            self.host.close()
        self.following.close()
        for line in (self.line, *self._others.values()):
            line.close()
        if self._writer is not None:
            self._writer.close()
