"""Commands over sources, citations, audit and imports: what scripts and operators get of them."""

from __future__ import annotations

import io
import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from core import locations
from core.citations import SourceIndex
from core.registry import audit, open_registry, snapshots, sources, versions
from core.snapshots import freeze
from core.source_files import read_sources, write_sources
from tests.core.conftest import make_pair
from tui.cli.root import run
from tui.present.cited import answer

DELTA = "compute-resources:delta.ncsa.access-ci.org"


def qa(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    capsys.readouterr()
    code = run([str(w) for w in words])
    return code, *capsys.readouterr()


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Any:
    def on_stdin(text: str) -> None:
        stdin = io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")
        monkeypatch.setattr(sys, "stdin", stdin)

    return on_stdin


def version() -> str:
    with open_registry(seed=False) as reg:
        pairs = [make_pair(n) for n in range(3)]
        snapshot = freeze(pairs)
        snapshots.save(reg, snapshot, pairs)
        made = versions.register(
            reg, base_model="b", dataset_version=snapshot.id, training_config={}
        )
        return made.model_version


def test_the_audit_names_the_operator_of_the_desk(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QA_OPERATOR", "ben")
    with open_registry() as reg:
        sources.note_unknown(reg, "doc:x")
    code, out, _ = qa(capsys, "sources", "resolve", "doc:x", "--dismiss", "a typo", "--json")
    assert code == 0
    assert json.loads(out) == {
        "source_id": "doc:x", "resolution": "dismissed", "resolved_to": None,
    }  # fmt: skip
    newest = json.loads(qa(capsys, "audit", "list", "--json")[1])[0]
    assert (newest["who"], newest["action"], newest["why"]) == ("ben", "sources.settle", "a typo")


def test_settling_says_what_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    with open_registry() as reg:
        sources.note_unknown(reg, "doc:x")
    for words, says in (
        (("doc:y", "--dismiss", "w"), "unknown --all"),
        (("doc:x", "--dismiss", " "), "needs a reason"),
        (("doc:x",), "--name 'what a reader sees'"),
        (("doc:x", "--name", "X", "--url", "ftp://x"), "https://host/page"),
    ):
        code, _, err = qa(capsys, "sources", "resolve", *words)
        assert code == 2 and says in err and "try: " in err
    code, out, _ = qa(capsys, "sources", "resolve", "doc:x", "--alias", DELTA, "--json")
    assert code == 0 and json.loads(out)["resolved_to"] == DELTA
    assert json.loads(qa(capsys, "sources", "show", "doc:x", "--json")[1])["leads_to"] == DELTA
    assert json.loads(qa(capsys, "sources", "show", DELTA)[1])["leads_to"] is None


@pytest.mark.parametrize(
    "words",
    [
        ("sources", "export", "{}/x.csv"),
        ("versions", "card", "{version}", "--out", "{}/README.md"),
        ("snapshots", "export", "{snapshot}", "{}/x"),
        ("registry", "backup", "{}/x.bak"),
        ("versions", "export", "--folder", "{}/x"),
    ],
)
def test_a_place_that_cannot_be_written_is_a_typed_error(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "file").write_text("a file is no folder")
    place = tmp_path / "file"
    name = version()
    with open_registry(seed=False) as reg:
        snapshot = snapshots.list(reg)[0].dataset_version
    filled = [w.replace("{}", str(place)).format(version=name, snapshot=snapshot) for w in words]
    code, out, err = qa(capsys, *filled)
    assert code in (5, 6) and not out and "try: " in err and "Traceback" not in err, err


def test_rejects_that_cannot_be_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    faulty = tmp_path / "pairs.jsonl"
    faulty.write_text("{\n")
    code, _, err = qa(capsys, "pairs", "check", faulty, "--rejects", tmp_path / "no" / "r.jsonl")
    assert code == 2 and "cannot be written" in err and "try: " in err


def test_an_answer_for_the_terminal(typed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    typed(f"See <<SRC:{DELTA}>> and <<SRC:no:x>>, <<SRC:{DELTA}>>; <<SRC:open")
    code, out, _ = qa(capsys, "citations", "render", "--to", "rich")
    assert code == 0 and out.startswith("See [1] and [2], [1]; <<SRC:open")
    assert "[1] Delta" in out and "[2] no:x  (not in the source registry)" in out
    typed("<<SRC:open")
    (found,) = json.loads(qa(capsys, "citations", "check", "--json")[1])
    assert (found["class"], found["source_id"]) == ("malformed", None)
    assert found["fault"].startswith("not closed")


def test_nothing_in_an_answer_acts_on_the_terminal() -> None:
    rows = [
        {"source_id": "d:a", "display_name": "A\x1b]52;c;x\x07B", "url": "https://x.org/a"},
        {"source_id": "d:b", "display_name": "B", "url": "https://x.org/\x9cb"},
        {"source_id": "d:c", "display_name": "C", "url": "javascript:alert(1)"},
    ]
    drawn = answer("\x1b[2J<<SRC:d:a>>\r\n<<SRC:d:b>><<SRC:d:c>>\x9b1m", SourceIndex.load(rows))
    assert all(c.isprintable() or c == "\n" for c in drawn.plain)
    links = {span.style.link for span in drawn.spans if not isinstance(span.style, str)}
    assert links == {"https://x.org/a", None}


def test_verify_looks_at_the_records_too(capsys: pytest.CaptureFixture[str]) -> None:
    name = version()
    assert qa(capsys, "audit", "verify")[0] == 0
    with closing(sqlite3.connect(locations.registry_path())) as conn, conn:
        conn.execute("DROP TRIGGER versions_no_update")
        conn.execute("UPDATE versions SET base_model = 'evil'")
    code, _, err = qa(capsys, "audit", "verify")
    assert code == 5 and f"version {name}: base_model is 'evil', row " in err and "try: " in err
    code, out, _ = qa(capsys, "audit", "verify", "--json")
    found = json.loads(out)
    assert (code, found["ok"], found["seq"]) == (5, False, None) and len(found["records"]) == 1


def test_many_faults_are_counted_not_all_shown(capsys: pytest.CaptureFixture[str]) -> None:
    version()
    with closing(sqlite3.connect(locations.registry_path())) as conn, conn:
        names = [r[0] for r in conn.execute("SELECT name FROM sqlite_master WHERE type='trigger'")]
        for name in names[:9]:
            conn.execute(f"DROP TRIGGER {name}")
    code, _, err = qa(capsys, "registry", "check")
    assert code == 5 and "9 things are wrong" in err and "and 4 more: --json names all" in err


@pytest.mark.parametrize("form", ["folder", "file"])
def test_an_imported_history_stays_what_it_was(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    version()
    with open_registry() as reg:  # with the sources of the sample
        head = audit.mark(reg)
    place = tmp_path / "out"
    if form == "folder":
        assert qa(capsys, "versions", "export", "--folder", place)[0] == 0
    else:
        place.write_text(qa(capsys, "versions", "export")[1])
    monkeypatch.setenv("QA_REGISTRY", str(tmp_path / "new.db"))
    assert qa(capsys, "versions", "import", place)[0] == 0
    assert qa(capsys, "versions", "list")[0] == 0, "an ordinary opening, which may take in samples"
    assert head in qa(capsys, "audit", "verify")[1]
    if form == "folder":
        assert qa(capsys, "versions", "export", "--folder", tmp_path / "again")[0] == 0
        files = [p.relative_to(place) for p in place.rglob("*") if p.is_file()]
        assert all((tmp_path / "again" / f).read_bytes() == (place / f).read_bytes() for f in files)
    else:
        assert qa(capsys, "versions", "export")[1] == place.read_text()


@pytest.mark.parametrize("kind", ["yaml", "csv", "json", "jsonl"])
def test_odd_line_ends_in_a_name_come_back(tmp_path: Path, kind: str) -> None:
    rows = [{"source_id": "d:a", "display_name": "a\u2028b\x85c\r\nd\re", "url": "",
             "status": "active", "renamed_to": None, "checked_at": None}]  # fmt: skip
    path = tmp_path / f"s.{kind}"
    path.write_bytes(write_sources(rows, {}, kind).encode())
    assert read_sources(path).rows == rows
