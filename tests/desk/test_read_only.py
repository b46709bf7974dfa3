"""A desk that only looks: what it refuses, what it lets through, and that nothing was forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core import locations
from core.errors import ReadOnlyMode
from core.registry import audit, open_registry
from tests.ui.fakes import FakeDesk
from tui.desk.api import Desk
from tui.desk.marks import is_write
from tui.desk.read_only import guarded, part_of
from tui.desk.workbench import Workbench

# Calls that change neither the registry nor a host nor a file of the operator's. A method of a
# desk's Protocol is either marked with @writes or named here.
READS = {
    "Desk": "connect link reading overview items jobs job_dir recipes scores versions version_detail"
    " report history why_not_promote why_not_roll_back why_not_return why_not_approve compare live_at"
    " model_card sources handover close",
    "HostDesk": "view devices processes checked check tunnels close",
    "TraceDesk": "answers trace corrections ask stop_asking",
    "DataDesk": "files snapshots diff contamination verify moving stop_sync",
    "WorkDesk": "listed about artifacts",
    "QuestionsDesk": "listed text blank check",
    "OpinionsDesk": "of",
    "PlansDesk": "recipes plan preflight behind",
    "PairsDesk": "state count rows place pair enter leave",
    "ListsDesk": "stamp count rows place live near examples",
}


def protocols() -> Iterator[type]:
    yield Desk
    names = [*Desk.__annotations__, *(n for n, v in vars(Desk).items() if isinstance(v, property))]
    for name in names:
        part = part_of(Desk, name)
        if part is not None:
            yield part


@pytest.mark.parametrize("protocol", protocols(), ids=lambda p: p.__name__)
def test_every_call_is_known_to_read_or_marked_as_a_write(protocol: type) -> None:
    calls = {n for n, v in vars(protocol).items() if callable(v) and not n.startswith("_")}
    marked = {n for n in calls if is_write(protocol, n)}
    reads = set(READS.get(protocol.__name__, "").split())
    assert calls == marked | reads, "say which of these write, and which only read"
    assert not marked & reads


def test_writes_are_refused_while_it_is_on(tmp_path: Path) -> None:
    on = [True]
    desk = FakeDesk(tmp_path / "jobs")
    seen = guarded(desk, lambda: on[0])
    for name in ("note_item", "promote", "roll_back", "start_training", "stop_job"):
        with pytest.raises(ReadOnlyMode, match="refused in read-only mode"):
            getattr(seen, name)("a", "b")
    assert desk.calls == []
    assert [v.model_version for v in seen.versions()] and seen.host_name == "gh200"
    on[0] = False
    seen.note_item("document", "done")
    assert desk.calls[-1] == ("note_item", "document", "done")


def test_a_part_of_the_desk_is_guarded_too() -> None:
    class Part:
        def view(self) -> str:
            return "seen"

        def open_tunnel(self, port: int) -> str:
            return f"opened {port}"

    class Whole:
        host = Part()

    seen = guarded(Whole(), lambda: True)  # type: ignore[arg-type]
    assert seen.host.view() == "seen"  # type: ignore[comparison-overlap]
    with pytest.raises(ReadOnlyMode, match="open tunnel"):
        seen.host.open_tunnel(22)  # type: ignore[call-arg,arg-type]


def test_a_read_only_workbench_leaves_the_registry_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with open_registry() as reg:
        before = audit.position(reg)
    bench = Workbench("sandbox", read_only=True)
    try:
        assert len(bench.items()) == 16 and bench.overview().live == {}
        with pytest.raises(ReadOnlyMode, match="only read"):
            bench.note_item("document", "x")
        with pytest.raises(ReadOnlyMode, match="only read"):
            bench.write(lambda reg: None)
    finally:
        bench.close()
    with open_registry(locations.registry_path()) as reg:
        assert audit.position(reg) == before
