"""Rows to text: widths, priorities, odd values. No screen needed."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from core.errors import LinkLost
from tests.ui.fakes import NOW, FakeDesk, measure, scores
from tui.bindings import EVERYWHERE, PLACES, bindings, place
from tui.desk.api import Gauge, Hop, JobRow, Link, Overview, VersionRow
from tui.feed import Facts, fold
from tui.present import answers, frame, groups, jobs, pilot, versions, words
from tui.present import scores as page
from tui.present import strip as status
from tui.widgets.pull_table.columns import pieces

UP = Link("up", (Hop("jump", 12.3), Hop("gh200", 31.2)), 0.4)
JOB = JobRow("train-1", "train", "gh200", "running", progress=0.62, eta_s=250)
OVERVIEW = Overview({"production": "access-qa-v1.1.0", "staging": "access-qa-v1.2.0"}, 3, JOB)
GPU = Gauge("gpu", "GH200", 0.92, 61 << 30, 96 << 30)


def strip(width: int, link: Link = UP, overview: Overview | None = OVERVIEW) -> str:
    return status.row(width, host="gh200", link=link, gauge=GPU, overview=overview).plain


def test_a_wide_strip_says_everything() -> None:
    shown = strip(200)
    for part in ("laptop ━ jump 12 ms ━ gh200 31 ms · 0.4 s", "train 62 % ETA 4:10", "GPU",
                 "61.0 / 96.0 GiB", "prod v1.1.0", "staging v1.2.0", "▲ 3 unknown sources"):  # fmt: skip
        assert part in shown


def test_a_narrow_strip_keeps_link_job_and_live_version() -> None:
    shown = strip(80)
    for part in ("gh200 31 ms", "train 62 %", "prod v1.1.0", "v1.2.0"):
        assert part in shown


links = st.builds(
    Link,
    st.sampled_from(["off", "connecting", "up", "lost", "failed"]),
    st.lists(st.builds(Hop, st.text(max_size=40), st.none() | st.floats(0, 1e5)), max_size=3).map(
        tuple
    ),
    st.none() | st.floats(0, 1e9),
)


@given(st.integers(1, 240), links, st.text(max_size=60))
def test_the_strip_is_exactly_as_wide_as_the_screen(width: int, link: Link, host: str) -> None:
    shown = status.row(width, host=host, link=link, gauge=GPU, overview=OVERVIEW)
    assert shown.cell_len == width


@pytest.mark.parametrize("state", ["lost", "failed", "connecting", "off"])
def test_every_link_state_has_its_own_words(state: Any) -> None:
    link = Link(state, (Hop("jump", 12.0), Hop("gh200", None)), 42.0)
    said = {"lost": "link lost, heard 42 s ago", "failed": "no route",
            "connecting": "connecting to gh200", "off": "not connected"}  # fmt: skip
    assert said[state] in strip(200, link)


def test_old_data_is_marked() -> None:
    assert "▲ 9.0 s" in strip(200, Link("up", UP.hops, 9.0))
    old = Gauge("gpu", "GH200", 0.5, 1, 2, age_s=30)
    assert "30 s old" in jobs.gauge(old, 40).plain
    assert "30 s old" not in jobs.gauge(GPU, 40).plain


@pytest.mark.parametrize(
    ("value", "want"),
    [(0, "0"), (0.412345, "0.4123"), (1.6e-4, "1.6e-4"), (2e-05, "2e-5"), (123456.0, "1.2e5"),
     (math.nan, "nan"), (None, "–"), (True, "–"), ("x", "–")],
)  # fmt: skip
def test_measured(value: object, want: str) -> None:
    assert words.measured(value) == want


@pytest.mark.parametrize(
    ("value", "want"),
    [(0, "0:00"), (250, "4:10"), (3725, "1:02:05"), (200_000, "2 d"), (None, "–")],
)
def test_duration(value: object, want: str) -> None:
    assert words.duration(value) == want


@pytest.mark.parametrize(
    ("value", "want"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (300, "5 min"),
        (10_000, "3 h"),
        (1e6, "12 d"),
    ],
)
def test_ago(value: float, want: str) -> None:
    assert words.ago(value) == want


@pytest.mark.parametrize(
    ("value", "want"),
    [(NOW, "2026-11-22 14:30"), ("2026-11-22T14:30:00Z", "2026-11-22 14:30"), ("soon", "soon"),
     (None, "–"), (1e300, "1e+300")],
)  # fmt: skip
def test_moment(value: object, want: str) -> None:
    assert words.moment(value) == want


@given(st.floats(allow_nan=True) | st.none(), st.integers(1, 60))
def test_a_bar_is_as_long_as_asked(share: float | None, width: int) -> None:
    assert words.bar(share, width).cell_len == width


def test_a_bar_tells_full_from_empty_without_colour() -> None:
    assert words.bar(1, 4).plain != words.bar(0, 4).plain


@given(st.text(max_size=80), st.text(max_size=30), st.integers(1, 60))
def test_joined_rows_have_the_width(left: str, right: str, width: int) -> None:
    a, b = words.text(words.clean.line(left)), words.text(words.clean.line(right))
    assert words.join(a, b, width).cell_len == width


# the one table of keys


def test_no_key_means_two_things_on_one_screen() -> None:
    for where in PLACES:
        keys = [name for k in (*where.keys, *EVERYWHERE) if k.bound for name in k.key.split(",")]
        assert len(keys) == len(set(keys)), where.mode


def test_every_key_of_a_screen_does_something() -> None:
    from tui.app import ControlCentre
    from tui.screens.evaluate import EvaluateScreen
    from tui.screens.pilot import PilotScreen
    from tui.screens.train import TrainScreen
    from tui.screens.versions import VersionsScreen

    for screen in (PilotScreen, TrainScreen, EvaluateScreen, VersionsScreen):
        for key in (k for k in place(screen.MODE).keys if k.bound):
            assert callable(getattr(screen, f"action_{key.action}")), key
    for key in EVERYWHERE:
        assert callable(getattr(ControlCentre, f"action_{key.action.partition('(')[0]}")), key


def test_help_lists_every_key_of_the_table() -> None:
    for where in PLACES:
        shown = frame.help_page(where).plain
        for key in (*where.keys, *EVERYWHERE):
            assert key.help in shown
        assert len(bindings(where.keys)) == sum(k.bound for k in where.keys)


@pytest.mark.parametrize("width", [80, 120])
def test_the_key_bar_fits(width: int) -> None:
    for where in PLACES:
        shown = frame.key_bar(width, where.keys)
        assert shown.cell_len == width
        assert "? help" in shown.plain and "ctrl+p palette" in shown.plain


def test_errors_say_what_why_and_what_next() -> None:
    shown = frame.error(LinkLost("gone", why="cable", try_next="plug it in")).plain
    assert shown.split("\n\n") == ["gone", "why\ncable", "try next\nplug it in"]


# jobs


def test_events_become_facts_and_odd_ones_do_no_harm() -> None:
    facts = Facts()
    for event in (
        {"kind": "phase", "name": "train"},
        {"kind": "metric", "step": 10, "max_steps": 40, "loss": 2.5, "lr": "high", "eta_s": 5},
        {"kind": "metric", "step": None, "loss": math.nan},
        {"kind": "progress", "done": "x", "total": [], "what": None},
        {"kind": "warning", "text": "hot"},
        {"kind": "unreadable", "text": "{"},
        {"kind": "something new"},
        {},
    ):
        fold(facts, event)
    assert facts.phase == "train"
    assert facts.loss is not None and math.isnan(facts.loss)
    assert facts.warned == 2
    shown = jobs.facts(JOB, facts, now=NOW, width=40).plain
    assert "train" in shown and "nan" in shown


def test_jobs_come_active_first_then_newest() -> None:
    rows = [JobRow("a", "train", "h", "succeeded", 3), JobRow("b", "train", "h", "running", 1),
            JobRow("c", "train", "h", "failed", 9)]  # fmt: skip
    assert [j.id for j in jobs.active_first(rows)] == ["b", "c", "a"]


# evaluation


def test_the_verdict_comes_first_and_the_gates_are_counted() -> None:
    shown = page.headline(scores(), 120).plain
    assert shown.startswith("✘ NO-GO")
    assert "3 fail" in shown and "2 undecided" in shown and "2 pass" in shown


def test_poor_unseen_wording_is_loud() -> None:
    said = page.sentences(scores())
    assert said is not None and "INVENTED DETAILS" in said.plain
    assert any(span.style == "loud" for span in said.spans)
    quiet = scores() | {"headline": []}
    fallback = page.sentences(quiet)
    assert fallback is not None and "UNSEEN WORDING IS POOR" in fallback.plain
    quiet["probe"]["tuned"]["facts"] = measure(39, 40)
    fine = page.sentences(quiet)
    assert fine is not None and "POOR" not in fine.plain
    assert page.sentences(scores() | {"headline": [], "probe": None}) is None


@pytest.mark.parametrize("width", [76, 116, 200])
def test_the_table_has_every_gate_and_its_verdict(width: int) -> None:
    shown = page.table(scores(), width)
    lines = shown.plain.split("\n")
    assert all(Text(line).cell_len <= width for line in lines)
    assert "base" in lines[0] and "retrieval" in lines[0] and "tuned" in lines[0]
    for label, verdict in (
        ("accuracy", "✘ FAIL"),
        ("citation presence", "✔ PASS"),
        ("fabricated", "◌ UNDECIDED"),
        ("deferral", "◌ UNDECIDED"),
        ("latency P95", "✔ PASS"),
        ("unseen wording", "✘ FAIL"),
        ("Better than retrieval", "✘ FAIL"),
    ):
        line = next(x for x in lines if x.startswith(label))
        assert verdict in line, line
    assert "74" in next(x for x in lines if x.startswith("accuracy"))
    assert "[67–80]" in next(x for x in lines if x.startswith("accuracy"))


def test_only_answers_that_are_not_right_are_failures() -> None:
    found = answers.failures(scores())
    assert len(found) == 11
    assert all(q["system"] == "tuned" and q["grade"] != "correct" for q in found)


def test_markers_are_signed_by_class() -> None:
    shown = answers.answer(answers.failures(scores())[0])
    assert "delta.ncsa.access-ci.org>> ✔" in shown.plain
    assert "delta9.example.org>> ✘" in shown.plain
    assert "no such source" in shown.plain


json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.sampled_from(sorted(scores())), json)
def test_an_evaluation_of_another_shape_is_shown_not_raised(name: str, value: Any) -> None:
    odd = scores() | {name: value}
    page.headline(odd, 80)
    page.sentences(odd)
    page.table(odd, 80)
    page.actions(odd)
    page.categories(odd, 40)
    page.causes(odd, 40)
    for question in answers.answered(odd):
        answers.answer(question)
        answers.row(question, "", 30)
    for by in ("cause", "category"):
        for group in groups.grouped(odd, by):
            groups.row(group, by, 40)
            groups.page(odd, group, by, 60)


# versions and checklist


def test_version_cells_match_the_columns() -> None:
    row = VersionRow("access-qa-v1.0.0", "deployed", "org/base", "d", "t", "me", ("production",))
    cells = {
        c.name: "".join(words for words, _ in pieces(c.draw(row), c.most)) for c in versions.COLUMNS
    }
    assert cells["state"] == "●" and cells["version"] == "v1.0.0" and cells["live"] == "prod"
    assert cells["base"] == "base" and cells["accuracy"] == "–"


def test_detail_shows_every_tracked_field() -> None:
    values = {n: f"value-{i}" for i, n in enumerate(versions.TRACKED)} | {"extra": "more"}
    shown = versions.detail(values, {"production": "1 gate fails", "staging": None}).plain
    assert all(f"value-{i}" in shown for i in range(len(versions.TRACKED)))
    assert "more" in shown
    assert "not now, 1 gate fails" in shown and "possible" in shown


@pytest.mark.parametrize("style", ["replaced", "from_version", "previous"])
def test_the_version_before_is_found_in_the_history(style: str) -> None:
    rows = [{"environment": "production", "model_version": "v2", style: "v1"}]
    assert versions.previous(rows, "production", "v2") == "v1"
    assert versions.previous(rows, "staging", "v2") is None


def test_a_history_row_may_be_a_frozen_row_type() -> None:
    from core.registry.records import Deployment

    row = Deployment(1, "production", "access-qa-v2.0.0", "rollback", "2026-11-22T10:00:00Z", None,
                     "jsmith", "broke", None, None, None, None, "access-qa-v3.0.0", ())  # fmt: skip
    shown = versions.history([versions.as_row(row)]).plain
    assert shown.startswith("↩ 2026-11-22 10:00  prod v3.0.0 → v2.0.0") and "broke" in shown


def test_progress_says_how_many_and_what_next(tmp_path: Any) -> None:
    items = FakeDesk(tmp_path).items()
    shown = pilot.progress(items, "", 120).plain
    assert "10 of 16" in shown and "next: Run full training (3 epochs)" in shown
    assert "decision ✘ NO-GO" in pilot.progress(items, "NO-GO", 120).plain


@pytest.mark.parametrize("width", [40, 69, 89, 133])
def test_the_bars_of_a_data_page_take_the_width_they_have(width: int) -> None:
    from tui.desk.api_data import ContaminationView
    from tui.present import data

    strata = (("trained fact, trained wording", 4), ("x" * 300, 3), ("数" * 60, 2), ("b\x1b[2J", 1))
    view = ContaminationView("dataset-1", 10, strata, (("near", 2),), (), ())
    lines = data.contamination_page(view, width).plain.splitlines()
    bars = [line for line in lines if line.endswith(" %")]
    assert len(bars) == 5 and all(cell_len(line) <= width for line in bars), lines
    assert width < 69 or "trained fact, trained wording " in bars[0], (
        "a name is cut only if it must be"
    )
