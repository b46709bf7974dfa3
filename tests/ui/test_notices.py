"""The history of notices: all of them, in full, also those of earlier sessions."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from tests.ui.conftest import press, running, shown, until
from tui.notices import ROTATE, Notice, Notices
from tui.present import notices as present
from tui.widgets.notice_page import NoticePage

AT = 1_795_357_800.0


def test_notices_come_back_in_the_next_session(tmp_path: Path) -> None:
    file = tmp_path / "state" / "notices.jsonl"
    first = Notices(file)
    first.add(Notice(AT, "error", "link lost", "no answer\nfor 3 s", "train"))
    assert first.earlier() == [], "this session's are not told twice"
    (again,) = Notices(file).earlier()
    assert again == Notice(AT, "error", "link lost", "no answer\nfor 3 s", "train")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_line_cut_short_loses_only_itself(tmp_path: Path) -> None:
    file = tmp_path / "notices.jsonl"
    Notices(file).add(Notice(AT, "warning", "", "kept"))
    good = file.read_text()
    nan = json.dumps({"at": 1e300, "text": "x"})
    file.write_text(f'{good}[]\n{nan}\n{{"at": 1}}\n{good[:20]}')
    assert [n.text for n in Notices(file).earlier()] == ["kept"]


def test_a_large_file_makes_room_and_is_still_read(tmp_path: Path) -> None:
    file = tmp_path / "notices.jsonl"
    Notices(file).add(Notice(AT, "information", "", "old"))
    with open(file, "a") as f:
        f.write(" " * ROTATE + "\n")
    Notices(file).add(Notice(AT, "information", "", "new"))
    assert file.stat().st_size < 1000
    assert [n.text for n in Notices(file).earlier()] == ["old", "new"]


def test_without_room_on_the_disk_the_session_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "folder").touch()
    notices = Notices(tmp_path / "folder" / "notices.jsonl")
    notices.add(Notice(AT, "error", "t", "x"))
    assert len(notices.session) == 1 and notices.earlier() == []


def test_hostile_text_is_text_and_bounded() -> None:
    notices = Notices()
    notices.add(Notice(AT, "error", "\x1b[31mred", "y" * 1_000_000 + "\x1b]52;c;AAAA\x07"))
    (kept,) = notices.session
    assert "\x1b" not in kept.title + kept.text and len(kept.text) <= 20_000
    assert present.row(kept, 60).cell_len == 60
    assert "✘ error" in present.whole(kept).plain


async def test_the_page_shows_every_notice_in_full_and_copies(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        app.say("all is well", title="first")
        app.say("line one\nline two of it", title="second", bad=True)
        app.screen.notify("a screen's own words", markup=False)
        await press(pilot, "exclamation_mark")
        assert isinstance(app.screen, NoticePage)
        assert [n.text for n in app.notices.session][-1] == "a screen's own words"
        await press(pilot, "j")
        await until(pilot, lambda: "line two of it" in shown(app))
        await press(pilot, "y")
        assert app.clipboard == "second\nline one\nline two of it"
        await press(pilot, "escape")
        assert len(app.screen_stack) == 1
