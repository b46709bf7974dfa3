"""`qa trace`, `qa trace corrections` and `qa ask` as a script uses them."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from core.registry import open_registry, sources
from tests.core.test_tracing import ASKED, TOLD, WRONG, row
from tests.desk.test_memory_commands import qa


@pytest.fixture
def version() -> str:
    from core.pairs import Message
    from core.registry import evaluations, snapshots, versions
    from tests.core.conftest import make_pair, make_scores

    with open_registry(seed=False) as reg:
        frozen = snapshots.freeze(
            reg,
            [make_pair(0, id=n, messages=(Message("user", q), Message("assistant", a)))
             for n, q, a in TOLD],
        )  # fmt: skip
        sources.upsert_many(
            reg, [{"source_id": "compute-resources:delta", "display_name": "Delta"}]
        )
        name = versions.register(
            reg, base_model="b", dataset_version=frozen.id, training_config={}
        ).model_version
        questions = [row("tuned", "Slurm.", "correct", 2), row("tuned", WRONG, "incorrect")]
        evaluations.save(reg, name, make_scores(candidate="tuned", questions=questions))
        return name


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_list_trace_correct_export_and_freeze(
    capsys: pytest.CaptureFixture[str], version: str, tmp_path: Path
) -> None:
    code, out, _ = qa(capsys, "trace", "--json")
    worst = json.loads(out)[0]
    assert code == 0 and worst["response"] == f"{version}/spec-1/tuned"
    code, out, err = qa(capsys, "trace", worst["response"])
    assert code == 0 and "p-wrong" in out and "correct" not in out.split("suspect pair")[1]
    assert "suspect is not guilty" in err
    code, out, _ = qa(
        capsys, "trace", "v" + version.removeprefix("access-qa-v") + "/spec-1", "--json"
    )
    traced = json.loads(out)
    assert traced["model_version"] == version and traced["suspects"][0]["pair"]["id"] == "p-wrong"

    add = ("trace", "corrections", "add", "p-wrong", "--reason", "it is 256")
    assert qa(capsys, *add)[0] == 2
    code, _, err = qa(capsys, *add, "--answer", "256 GB.")
    assert code == 2 and "cites nothing" in err
    fixed = "It has 256 GB of memory. <<SRC:compute-resources:delta>>"
    code, out, _ = qa(capsys, *add, "--answer", fixed, "--response", worst["response"], "--json")
    queued = json.loads(out)
    assert (code, queued["status"], queued["model_version"]) == (0, "open", version)
    drop = ("trace", "corrections", "add", "p-far", "--remove", "--reason", "not ours")
    assert qa(capsys, *drop)[0] == 0

    file = tmp_path / "fixed.jsonl"
    code, out, _ = qa(capsys, "trace", "corrections", "export", file, "--json")
    assert json.loads(out)["removed"] == ["p-far"]
    (line,) = file.read_text().splitlines()
    pair = json.loads(line)
    assert pair["id"] == "p-wrong" and pair["messages"][-1]["content"] == fixed
    assert pair["metadata"]["corrected"]["response"] == worst["response"]
    assert qa(capsys, "pairs", "check", file)[0] == 0

    code, out, _ = qa(capsys, "trace", "corrections", "dismiss", queued["id"], "--reason", "no")
    assert code == 0 and "dismissed" in out
    assert qa(capsys, *add, "--answer", fixed)[0] == 0
    code, out, _ = qa(capsys, "trace", "corrections", "freeze", "--json")
    assert sorted(json.loads(out)["applied"]) == ["p-far", "p-wrong"]
    code, out, _ = qa(capsys, "trace", "corrections", "list", "--all", "--json")
    assert [c["status"] for c in json.loads(out)] == ["applied", "applied", "dismissed"]
    assert qa(capsys, "trace", "corrections", "freeze")[0] == 5


def test_stdin_and_files(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    tmp_path: Path,
) -> None:
    typed(monkeypatch, WRONG + "\n")
    code, out, _ = qa(capsys, "trace", "-", "--json")
    assert code == 0 and json.loads(out)["response"] == f"{version}/spec-1/tuned"
    file = tmp_path / "answers.jsonl"
    rows = [{"id": "spec-2", "answer": "PBS."}, {"id": "spec-1", "answer": WRONG}]
    file.write_text("".join(json.dumps(r) + "\n" for r in rows))
    code, out, _ = qa(capsys, "trace", file, "--row", "spec-1", "--version", version, "--json")
    assert json.loads(out)["by"] == "as you said"
    assert qa(capsys, "trace", file, "--row", "nope")[0] == 2
    assert qa(capsys, "trace", "v9.9.9/x")[0] == 2
    typed(monkeypatch, "\n")
    assert qa(capsys, "trace", "-")[0] == 2


def test_ask_says_what_answered(capsys: pytest.CaptureFixture[str], version: str) -> None:
    code, out, err = qa(capsys, "ask", ASKED)
    assert code == 0 and "512 GB" in out and "[1] Delta" in out
    assert "answered by stored" in err and "0.50 s" in err
    code, out, _ = qa(capsys, "ask", ASKED, "--retrieval", "--json")
    assert json.loads(out)["path"] == "retrieval"
    assert qa(capsys, "ask", "x", "--endpoint", "http://example.org/v1")[0] == 2
    assert qa(capsys, "ask", "x", "--endpoint", "http://127.0.0.1:1/v1")[0] == 6


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = qa(capsys, "trace", "--help")
    assert code == 0 and "corrections" in out and "answer" in out
    code, out, _ = qa(capsys, "trace", "corrections", "--help")
    assert "freeze" in out
