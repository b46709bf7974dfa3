"""The evaluation page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.errors import ChangedUnderYou
from tests.evaluation.report_parts import full_scores
from tests.ui.conftest import NARROW, WIDE, press, running, shown, told, until
from tests.ui.fakes import FakeDesk
from tui.screens.evaluate_answer import AnswerPage
from tui.widgets.lists import RowList
from tui.widgets.markdown_page import MarkdownPage

HUGE = (200, 60)
HOSTILE = "\x1b]52;c;ZXZpbA==\x07 \u202eevil [x](http://evil.example) <b>b</b> | # t"


class Rich(FakeDesk):
    """Five systems, causes, matched facts, and a version before; hostile on demand."""

    parent: str | None = "access-qa-v0.9.1"
    evil = ""

    def scores(self, model_version: str | None = None) -> dict[str, Any]:
        s = full_scores()
        if self.evil:
            s["questions"][0]["matched"] = [self.evil]
            s["questions"][0] |= {"cause": self.evil, "nearest": self.evil, "question": self.evil}
            s["causes"]["tuned"][self.evil] = 99
        return s

    def version_detail(self, model_version: str) -> dict[str, Any]:
        return super().version_detail(model_version) | {"parent_version": self.parent}


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_verdict_loud_sentence_and_all_columns(tmp_path: Path, size: tuple[int, int]) -> None:
    async with running(tmp_path, size=size) as (app, pilot, _):
        await press(pilot, "5")
        screen = shown(app)
        for part in ("✘ NO-GO", "INVENTED DETAILS", "base", "retrieval", "tuned", "◌ UNDECIDED",
                     "✔ PASS", "unseen wording", "11 not right", "rs-000"):  # fmt: skip
            assert part in screen, part


async def test_answers_are_shown_with_signed_markers(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "5", "j")
        assert "How much memory does a GPU node of Delta have?" in shown(app)
        assert "delta9.example.org>> ✘" in shown(app)
        await press(pilot, "enter")
        assert isinstance(app.screen, AnswerPage)
        assert "no such source" in shown(app)
        await press(pilot, "j", "k", "escape")
        assert len(app.screen_stack) == 1


@pytest.mark.parametrize("size", [NARROW, WIDE, HUGE])
async def test_failures_are_grouped_by_cause(tmp_path: Path, size: tuple[int, int]) -> None:
    async with running(tmp_path, desk=Rich(tmp_path / "jobs"), size=size) as (app, pilot, _):
        await press(pilot, "5", "w")
        assert "11 not right, by cause" in shown(app)
        screen = shown(app)
        rows = [screen.index(title) for title in ("Never learned", "Invented", "Refused")]
        assert rows == sorted(rows)  # the most frequent first, those without a question last
        assert "more paraphrases of these facts" in " ".join(screen.split())
        await press(pilot, "j", "enter")
        assert "Invented: 5" in shown(app) and "rs-001" in shown(app)
        assert "rs-000" not in str(app.screen.query_one("#list", RowList).row_texts())
        await press(pilot, "escape")  # back to the groups, at the one that was open
        assert (
            "by cause" in shown(app) and app.screen.query_one("#list", RowList).chosen == "invented"
        )
        await press(pilot, "escape")
        assert "11 not right (tuned)" in shown(app)


async def test_a_cause_without_a_question_opens_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, desk=Rich(tmp_path / "jobs")) as (app, pilot, _):
        await press(pilot, "5", "w", "G", "enter")
        assert "by cause" in shown(app) and ": none" in told(app)


async def test_categories_come_with_causes_and_what_to_do(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "5", "c")
        assert "by category" in shown(app) and "resource specs" in shown(app)
        page = str(app.screen.query_one("#answer-text").render())
        assert (
            "accuracy of every system" in page and "Add more training data for weak areas" in page
        )
        await press(pilot, "enter")
        assert len(app.screen.query_one("#list", RowList).row_texts()) < 11
        await press(pilot, "escape", "c")
        assert "How much memory" in shown(app)


async def test_right_answers_can_be_listed_too(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "5", "a")
        assert "12 answers (tuned)" in shown(app)
        await press(pilot, "w", "a")
        assert "esc leads back" in told(app) + shown(app)


async def test_an_answer_leads_to_its_trace(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "5", "j", "t")
        await until(pilot, lambda: app.current_mode == "trace")
        await until(pilot, lambda: ("traces.trace", "access-qa-v1.0.0/rs-003/tuned") in desk.calls)
        await press(pilot, "escape", "escape")
        await until(pilot, lambda: app.current_mode == "evaluate")


async def test_answers_are_labelled_one_after_the_other(tmp_path: Path) -> None:
    async with running(tmp_path, size=HUGE) as (app, pilot, desk):
        await press(pilot, "5", "enter", "n")
        await until(pilot, lambda: "wrong, says ann" in shown(app))
        await press(pilot, "l", "y")
        await until(pilot, lambda: "right, says ann" in shown(app))
        given = [c for c in desk.calls if c[0] == "opinions.label"]
        assert [c[3:] for c in given] == [("incorrect", "tuned"), ("correct", "tuned")]
        assert given[0][2] != given[1][2]
        await press(pilot, "escape")
        assert app.screen.query_one("#list", RowList).chosen == "1"  # where the page was closed
        page = str(app.screen.query_one("#overview-text").render())
        assert "2 answers are labelled by people" in " ".join(page.split())
        assert "decided by key facts alone" in " ".join(page.split())


async def test_quick_labels_are_all_stored_in_order_after_the_page_closed(tmp_path: Path) -> None:
    async with running(tmp_path, size=HUGE) as (app, pilot, desk):
        await press(pilot, "5", "enter")
        desk.hold.add("opinions.label")
        for key in ("y", "l", "n", "u", "escape"):
            await pilot.press(key)
        await until(pilot, lambda: not isinstance(app.screen, AnswerPage))
        assert sum(c[0] == "opinions.label" for c in desk.calls) == 1  # one at a time
        desk.fail["opinions.label"] = ChangedUnderYou("the answer is not the one you read")
        desk.hold.clear()
        desk.release.set()
        await until(pilot, lambda: sum(c[0] == "opinions.label" for c in desk.calls) == 3)
        given = [c[3] for c in desk.calls if c[0] == "opinions.label"]
        assert given == ["correct", "incorrect", "not_attempted"]
        await until(pilot, lambda: "not the one you read" in shown(app) + told(app))


async def test_no_label_in_read_only_mode(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "5", "ctrl+l", "enter", "y")
        assert isinstance(app.screen, AnswerPage) and "read-only" in told(app) + shown(app)
        assert not any(c[0] == "opinions.label" for c in desk.calls)


async def test_another_version_can_be_chosen_also_one_without_scores(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "5", "v", "enter")
        assert ("scores", "access-qa-v1.1.0") in desk.calls
        await until(pilot, lambda: "v1.1.0   golden" in shown(app))
        await press(pilot, "v", "G", "enter")
        await until(pilot, lambda: "No evaluation of access-qa-v0.9.1 yet" in shown(app))


async def test_evaluating_asks_then_shows_the_job(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "5", "e", "enter")
        assert not any(c[0] == "start_evaluation" for c in desk.calls)
        await press(pilot, "y")
        assert ("start_evaluation", "access-qa-v1.0.0") in desk.calls
        await until(pilot, lambda: app.current_mode == "train")
        await until(pilot, lambda: "eval-20261122-143000-beef" in shown(app))


async def test_empty_says_what_to_do_first(tmp_path: Path) -> None:
    async with running(tmp_path, "empty") as (app, pilot, _):
        await press(pilot, "5")
        assert "No evaluation yet" in shown(app) and "Pilot screen" in shown(app)
        await press(pilot, "e")
        await until(pilot, lambda: "no version to evaluate" in shown(app))
        await press(pilot, "v")
        await until(pilot, lambda: "no version is registered yet" in shown(app))


async def test_five_systems_stand_side_by_side(tmp_path: Path) -> None:
    async with running(tmp_path, desk=Rich(tmp_path / "jobs")) as (app, pilot, _):
        await press(pilot, "5")
        head = next(line for line in shown(app).splitlines() if "base + pairs" in line)
        names = ["base", "retrieval", "base + pairs", "previous", "tuned", "verdict"]
        places = [head.find(f" {name}  ") for name in names]
        assert places == sorted(places) and places[0] > 0
        row = next(line for line in shown(app).splitlines() if "accuracy" in line)
        assert row.count("%") == 6 and "84 % [78–89]" in row and "✘ FAIL" in row  # and the target


async def test_a_question_in_full_has_its_facts_cause_and_nearest_pair(tmp_path: Path) -> None:
    async with running(tmp_path, desk=Rich(tmp_path / "jobs")) as (app, pilot, _):
        await press(pilot, "5", "enter")
        assert isinstance(app.screen, AnswerPage)
        for _ in range(3):
            if "nearest pair" in shown(app):
                break
            await press(pilot, "pagedown")
        page = "\n".join(str(w.render()) for w in app.screen.query("#body"))
        for said in ("never learned", "matched", "✔ Delta", "missing", "✘ 256 GB", "▲ eight GPUs",
                     "nearest pair", "GPU memory of Delta?", "→ 256 GB."):  # fmt: skip
            assert said in page, said


async def test_flips_show_regressions_first(tmp_path: Path) -> None:
    async with running(tmp_path, desk=Rich(tmp_path / "jobs")) as (app, pilot, desk):
        await press(pilot, "5", "f")
        await until(pilot, lambda: "✘ worse" in shown(app) and "rs-003" in shown(app))
        assert ("compare", "access-qa-v0.9.1", "access-qa-v1.1.0") in desk.calls
        assert "1 worse, 0 better of 170" in shown(app)
        await press(pilot, "escape")
        assert len(app.screen_stack) == 1


async def test_without_a_version_before_the_reason_is_said(tmp_path: Path) -> None:
    desk = Rich(tmp_path / "jobs")
    desk.parent = None
    async with running(tmp_path, desk=desk) as (app, pilot, _):
        await press(pilot, "5", "f")
        await until(pilot, lambda: "no version before this one" in shown(app))


@pytest.mark.parametrize("evil", ["", HOSTILE], ids=["plain", "hostile"])
async def test_the_report_opens_as_a_page(tmp_path: Path, evil: str) -> None:
    desk = Rich(tmp_path / "jobs")
    desk.evil = evil
    async with running(tmp_path, desk=desk) as (app, pilot, _):
        await press(pilot, "5", "r")
        await until(pilot, lambda: isinstance(app.screen, MarkdownPage))
        await until(pilot, lambda: "Do not release access-qa-v1.1.0" in shown(app))
        assert "Systems on the same questions" in shown(app)
        await press(pilot, "G")
        await until(pilot, lambda: "Made by ACCESS QA Control" in shown(app))
        assert "\x1b" not in shown(app) and "\u202e" not in shown(app)
        await press(pilot, "escape")
        assert len(app.screen_stack) == 1


async def test_report_and_flips_need_an_evaluation(tmp_path: Path) -> None:
    async with running(tmp_path, "empty") as (app, pilot, _):
        await press(pilot, "5", "r", "f")
        assert "no evaluation is shown" in told(app) + shown(app)
        assert len(app.screen_stack) == 1
