"""The evaluation page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.evaluation.report_parts import full_scores
from tests.ui.conftest import NARROW, WIDE, press, running, shown, told, until
from tests.ui.fakes import FakeDesk
from tui.widgets.confirm import Page
from tui.widgets.markdown_page import MarkdownPage

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
        assert isinstance(app.screen, Page)
        assert "no such source" in shown(app)
        await press(pilot, "j", "k", "escape")
        assert len(app.screen_stack) == 1


async def test_categories_and_actions(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "5", "c")
        assert "resource specs" in shown(app) and "software" in shown(app)
        assert "Add more training data for weak areas" in shown(app)
        await press(pilot, "escape")
        assert "How much memory" in shown(app)


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
        assert isinstance(app.screen, Page)
        for _ in range(3):
            if "nearest pair" in shown(app):
                break
            await press(pilot, "pagedown")
        page = "\n".join(str(w.render()) for w in app.screen.query("#body"))
        for said in ("never learned", "matched", "✔ Delta", "missing", "✘ 256 GB", "▲ eight GPUs",
                     "nearest pair", "GPU memory of Delta?", "→ 256 GB."):  # fmt: skip
            assert said in page, said


async def test_causes_stand_beside_the_categories(tmp_path: Path) -> None:
    async with running(tmp_path, desk=Rich(tmp_path / "jobs"), size=(120, 60)) as (app, pilot, _):
        await press(pilot, "5", "c")
        page = str(app.screen.query_one("#categories-text").render())
        assert page.index("Never learned") < page.index("Invented") < page.index("odd one")
        assert "more paraphrases of these facts" in " ".join(page.split())


async def test_flips_show_regressions_first(tmp_path: Path) -> None:
    async with running(tmp_path, desk=Rich(tmp_path / "jobs")) as (app, pilot, desk):
        await press(pilot, "5", "f")
        await until(pilot, lambda: isinstance(app.screen, Page))
        assert ("compare", "access-qa-v0.9.1", "access-qa-v1.1.0") in desk.calls
        assert "1 worse, 0 better of 170" in shown(app) and "✘ rs-003" in shown(app)
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
