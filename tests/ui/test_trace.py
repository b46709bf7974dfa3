"""From a bad answer to a queued correction, and asking, as an operator does it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from core.errors import EnvironmentProblem, UsageError
from core.registry import open_registry
from tests.core.test_tracing import ASKED, TOLD, row
from tests.ui import fakes_traces
from tests.ui.conftest import NARROW, press, running, settle, shown, told, until, write
from tests.ui.fakes import FakeDesk
from tests.ui.fakes_traces import DELTA, SNAPSHOT, TRACED
from tui.desk.api_traces import RETRIEVAL, AnswersView, MarkRow
from tui.desk.workbench import Workbench
from tui.present.marked import answer, legend
from tui.screens.ask import AskPanes
from tui.widgets.confirm import Ask, Choose, Confirm, Page
from tui.widgets.correct import Correct
from tui.widgets.lists import RowList
from tui.widgets.paste_field import PasteField

FIRST = TRACED.response


async def sees(pilot: Pilot[Any], *parts: str) -> None:
    """Waits until all of it is on the screen."""
    for part in parts:
        await until(pilot, lambda part=part: part in shown(pilot.app), part)  # type: ignore[misc]


@pytest.mark.parametrize("size", [NARROW, (120, 40)])
async def test_an_answer_leads_to_its_suspects_and_back(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with running(tmp_path, size=size) as (_, pilot, desk):
        await press(pilot, "8")
        await sees(pilot, "4 wrong but cited")
        await press(pilot, "enter")
        await until(pilot, lambda: ("traces.trace", FIRST) in desk.calls)
        await sees(pilot, "4 suspect pairs", "0.93", "incorrect", SNAPSHOT, "1,458 pairs")
        await press(pilot, "j")
        await sees(pilot, "why it is suspect", "its answer is 78 % alike")
        await press(pilot, "j")
        await sees(pilot, "says the expected")
        await press(pilot, "escape")
        await sees(pilot, "stored answers, worst first")


async def test_many_pasted_lines_are_one_answer(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "8", "i")
        field = app.screen.query_one("#given", PasteField)
        field.post_message(events.Paste("Delta has 512 GB.\r\n\n<<SRC:a:b>>\n"))
        await until(pilot, lambda: field.value)
        await press(pilot, "enter")
        await until(
            pilot, lambda: ("traces.trace", "Delta has 512 GB.\n\n<<SRC:a:b>>") in desk.calls
        )
        await sees(pilot, "assumed: live")


async def test_a_correction_is_typed_refused_typed_again_and_queued(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "8", "enter")
        await pilot.press("c")
        await until(pilot, lambda: "this is for a suspect pair" in told(app))
        await press(pilot, "j", "c")
        await until(pilot, lambda: isinstance(app.screen, Correct))
        app.screen.query_one(TextArea).text = "256 GB."
        await pilot.press("tab", "enter")
        await until(pilot, lambda: "a reason is needed" in told(app))
        desk.fail["traces.correct"] = UsageError("the corrected answer cites nothing")
        await write(pilot, "moved")
        await press(pilot, "enter")
        await until(pilot, lambda: "cites nothing" in shown(app))
        await press(pilot, "escape")
        del desk.fail["traces.correct"]
        await press(pilot, "c")  # what was typed is still there
        assert app.screen.query_one(TextArea).text == "256 GB."
        assert app.screen.query_one("#why", Input).value == "moved"
        fixed = f"256 GB. <<SRC:{DELTA}>>"
        app.screen.query_one(TextArea).text = fixed
        await press(pilot, "ctrl+s")
        await settle(pilot)
        await until(pilot, lambda: ("traces.correct", "cr_delta_5", fixed, "moved") in desk.calls)
        await until(pilot, lambda: "in the queue: correction 7" in shown(app))
        await pilot.press("c")
        await until(pilot, lambda: "it is in the queue already" in told(app))


async def test_a_pair_is_dropped_the_queue_is_shown_and_frozen(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "8", "enter", "j", "d")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await write(pilot, "nonsense")
        await press(pilot, "enter")
        await until(pilot, lambda: ("traces.correct", "cr_delta_5", None, "nonsense") in desk.calls)
        await press(pilot, "u")
        await until(pilot, lambda: isinstance(app.screen, Page))
        await sees(pilot, "it is left out", "nonsense")
        await press(pilot, "escape", "F")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await press(pilot, "y")
        await until(pilot, lambda: ("traces.next_snapshot", SNAPSHOT) in desk.calls)
        await pilot.press("F")
        await until(pilot, lambda: "no correction is waiting" in told(app))


async def test_read_only_refuses_to_correct(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "8", "enter", "j", "ctrl+l")
        await pilot.press("c", "d")
        await until(pilot, lambda: "read-only mode: nothing is changed" in told(app))
        assert not any(c[0] == "traces.correct" for c in desk.calls)


async def test_a_question_says_which_path_answered(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "8", "a")
        await write(pilot, "Is Delta up?")
        await press(pilot, "enter")
        await until(pilot, lambda: ("traces.ask", "Is Delta up?", "") in desk.calls)
        await sees(
            pilot,
            "stored",
            "71 % alike",
            "[1✔]",
            "unknown entity",
            "0.84 s",
            "https://access-ci",
        )
        await press(pilot, "w")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        await press(pilot, "j", "j", "enter")
        await until(pilot, lambda: ("traces.ask", "Is Delta up?", RETRIEVAL) in desk.calls)
        await sees(pilot, "handed over", "get_system_status")
        await press(pilot, "escape")
        await sees(pilot, "stored answers, worst first")


async def test_what_was_asked_is_listed_and_shown_again_where_there_is_room(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, size=(200, 60)) as (app, pilot, desk):
        await press(pilot, "8", "a")
        for question in ("First [b]one[/]?", "Second?"):
            await write(pilot, question)
            await press(pilot, "enter")
            await until(pilot, lambda q=question: ("traces.ask", q, "") in desk.calls)
            await press(pilot, "i")
            app.screen.query_one("#given", Input).value = ""
        await sees(pilot, "asked so far", "First [b]one[/]?")
        before = len(desk.calls)
        rows = app.screen.query_one("#asked-list", RowList)
        rows.focus()
        assert rows.chosen == "2", "the newest stands first and is shown"
        await press(pilot, "j")
        assert app.screen.query_one("#given", Input).value == "First [b]one[/]?"
        await sees(pilot, "stored")
        asked = [c for c in desk.calls[before:] if c[0] == "traces.ask"]
        assert not asked, "nobody is asked again"
        await pilot.resize_terminal(120, 40)
        await settle(pilot)
        assert not rows.region.area


async def test_a_question_that_was_overtaken_says_so(tmp_path: Path) -> None:
    desk = FakeDesk(tmp_path / "jobs")
    desk.hold.add("traces.ask")
    async with running(tmp_path, desk=desk, size=(200, 60)) as (app, pilot, _):
        await press(pilot, "8", "a")
        await write(pilot, "Slow?")
        await pilot.press("enter", "i")
        app.screen.query_one("#given", Input).value = "Quick?"
        await pilot.press("enter")
        panes = app.screen.query_one(AskPanes)
        await until(pilot, lambda: len(panes.past) == 2)
        desk.release.set()
        await settle(pilot)
        await until(pilot, lambda: not panes.busy)
        slow, quick = panes.past[1].sides["first"], panes.past[0].sides["first"]
        assert slow.reply is None and slow.problem is not None and quick.reply is not None
        app.screen.query_one("#asked-list", RowList).focus()
        await press(pilot, "j")
        await sees(pilot, "another question was asked meanwhile")


async def test_a_server_can_be_asked_waited_for_and_stopped(tmp_path: Path) -> None:
    desk = FakeDesk(tmp_path / "jobs")
    desk.hold.add("traces.ask")
    async with running(tmp_path, desk=desk) as (app, pilot, _):
        await press(pilot, "8", "a")
        await write(pilot, "x")
        await pilot.press("enter")
        await until(pilot, lambda: "asking access-qa-v1.1.0" in shown(app))
        await pilot.press("x")
        await until(pilot, lambda: ("traces.stop_asking",) in desk.calls)
        desk.fail["traces.ask"] = EnvironmentProblem("nobody answers", why="refused")
        desk.release.set()
        await until(pilot, lambda: "✘ nobody answers" in shown(app))
        desk.hold.clear()
        desk.fail.clear()
        await press(pilot, "e")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await write(pilot, "http://127.0.0.1:8000/v1")
        await press(pilot, "enter")
        await until(pilot, lambda: ("traces.ask", "x", "http://127.0.0.1:8000/v1") in desk.calls)


async def test_nothing_evaluated_says_what_to_do(tmp_path: Path) -> None:
    async with running(tmp_path, "empty", size=NARROW) as (_, pilot, _):
        await press(pilot, "8")
        await sees(pilot, "No version was evaluated yet", "paste it")


async def test_hostile_words_are_text(tmp_path: Path) -> None:
    evil = "\x1b]52;c;aGk=\x07[bold red]x[/]\u202e\x00" * 40
    desk = FakeDesk(tmp_path / "jobs")
    bad = replace(fakes_traces.SUSPECTS[0], pair_id=evil, question=evil, answer=evil * 999,
                  domain=evil, source=evil, source_ref=evil, reasons=((evil, evil),))  # fmt: skip
    desk.traces.traced = replace(
        TRACED, answer=evil, question=evil, snapshot=evil, by=evil, base_model=evil, notes=(evil,),
        expected=evil, missing=(evil,), suspects=(bad,), marks=(MarkRow(evil, evil, 0, 9, evil, evil),),
    )  # fmt: skip
    rows = fakes_traces.ANSWERS.answers
    desk.traces.view = AnswersView(evil, evil, (replace(rows[0], question=evil, answer=evil), *rows[1:]),
                                   (evil,))  # fmt: skip
    async with running(tmp_path, desk=desk) as (app, pilot, _):
        for keys in (("8",), ("enter",), ("j",)):
            await press(pilot, *keys)
            await until(pilot, lambda: "[bold red]x[/]" in shown(app))
            assert not any(c in shown(app) for c in "\x1b\x07\x00\u202e")


def test_markers_become_numbers_whatever_the_marks_claim() -> None:
    said = "a <<SRC:a:b>> b <<SRC:a:b>> c"
    twice = (MarkRow("<<SRC:a:b>>", "known", 2, 13), MarkRow("<<SRC:a:b>>", "known", 16, 27))
    assert answer(said, twice).plain == "a [1●] b [1●] c"
    assert legend(twice, 40).plain.count("[1●]") == 1
    assert answer(said, (MarkRow("x", "known", 5, 2),)).plain == said
    evil = MarkRow("m", "known", 0, 1, "name", "https://x.org/\x1b]8;;")
    assert not any(span.style == evil.link for span in legend((evil,), 40).spans)
    assert len(answer("a" * 1_000_000, ())) < 30_000


def test_the_real_desk_traces_corrects_and_freezes() -> None:
    from core.pairs import Message
    from core.registry import evaluations, snapshots, versions
    from tests.core.conftest import make_pair, make_scores

    with open_registry() as reg:
        frozen = snapshots.freeze(
            reg,
            [make_pair(0, id=n, messages=(Message("user", q), Message("assistant", a)))
             for n, q, a in TOLD],
        )  # fmt: skip
        version = versions.register(
            reg, base_model="b", dataset_version=frozen.id, training_config={}
        ).model_version
        questions = [row("tuned", TOLD[0][2], "incorrect")]
        evaluations.save(reg, version, make_scores(candidate="tuned", questions=questions))
    bench = Workbench("sandbox")
    try:
        view = bench.traces.answers()
        assert view.version == version and view.answers[0].word == "wrong but cited"
        traced = bench.traces.trace(view.answers[0].response)
        first = traced.suspects[0]
        assert first.pair_id == "p-wrong" and first.reasons[0][1] == "its answer is this very text"
        with pytest.raises(UsageError, match="cites nothing"):
            bench.traces.correct(traced, first.pair_id, "256 GB.", "it is 256")
        fixed = TOLD[0][2].replace("512", "256")
        queued = bench.traces.correct(traced, first.pair_id, fixed, "it is 256")
        assert bench.traces.trace(traced.response).suspects[0].queued == queued.id
        assert [c.id for c in bench.traces.corrections()] == [queued.id]
        again = bench.traces.correct(traced, "p-far", None, "not ours")
        bench.traces.dismiss(again.id, "it is ours")
        new = bench.traces.next_snapshot(frozen.id)
        assert bench.traces.corrections() == ()
        (pair,) = snapshots.iter_pairs(bench.registry(), new, ["p-wrong"])
        assert pair.answer == fixed
        assert bench.traces.ask(ASKED, "").path == "stored"
        assert bench.traces.ask("Who runs Anvil?", RETRIEVAL).answer == TOLD[3][2]
    finally:
        bench.close()
