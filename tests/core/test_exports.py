"""Out and back: the folder and the file give the same registry, and nothing edited gets in."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import NotFound, QAError, Refused, UsageError
from core.registry import (
    Registry,
    audit,
    checklist,
    evaluations,
    exports,
    health,
    imports,
    open_registry,
    releases,
    snapshots,
    sources,
    versions,
)
from core.registry.orders import Promote, RollBack
from core.snapshots import freeze
from tests.core.conftest import Evaluated, make_pair, make_scores


def tree(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def fresh(tmp_path: Path, name: str = "new.db") -> Registry:
    return open_registry(tmp_path / name, seed=False)


@pytest.fixture
def full(reg: Registry, evaluated: Evaluated) -> Registry:
    """A registry with something of everything."""
    a, b = (
        evaluated(),
        evaluated("NO-GO", note="line\u2028end", training_config={"lr": 1e-3, "r": 64}),
    )
    pairs = [make_pair(n, metadata={"x": "\u0085\u2028"}) for n in range(15, 40)]
    later = freeze(pairs, parent=snapshots.list(reg)[0].dataset_version)
    snapshots.save(reg, later, pairs)
    c = versions.begin(reg, base_model="b", dataset_version=later.id, training_config={})
    versions.fail(reg, c.model_version, "ada", "nan")
    sources.upsert_many(reg, [{"source_id": "doc:a"}])
    checklist.take_items(reg, checklist_items())
    checklist.decide(reg, "NO-GO", "not yet", "ada")
    versions.approve(reg, a, "production", "bob", "fine")
    releases.release(reg, Promote(a, "production", "ada", "x"))
    releases.release(reg, Promote(b, "production", "ada", "x", override="pilot"))
    releases.release(reg, RollBack("production", "ada", "x"))
    evaluations.save(reg, a, make_scores("GO", more="é😀"), "again")
    evaluations.save(reg, None, make_scores("NO-GO"))
    return reg


def checklist_items() -> Any:
    from core.checklist import load_items

    return load_items()


def test_folder_round_trip_is_exact(full: Registry, tmp_path: Path) -> None:
    assert exports.write_folder(full, tmp_path / "one") > 10
    with fresh(tmp_path) as new:
        done = imports.import_from(new, tmp_path / "one")
        assert done.changed and done.rows["versions"] == 3 and done.pairs == 45
        assert health.check(new) == () and audit.verify(new).ok
        assert audit.mark(new) == audit.mark(full)
        assert exports.write_folder(new, tmp_path / "two") > 10
        assert versions.history(new) == versions.history(full)
        assert versions.list(new) == versions.list(full)
        name = versions.list(new)[-1].model_version
        versions.approve(new, name, "production", "cy", "goes on here")
        assert audit.verify(new).ok
    one, two = tree(tmp_path / "one"), tree(tmp_path / "two")
    assert one == two
    assert {"export.json", "versions/access-qa-v1.0.0.json", "audit/000001.jsonl",
            "evaluations/00000001.json", "deployments/00000001.json"} <= set(one)  # fmt: skip


def test_file_round_trip_is_exact(full: Registry, tmp_path: Path) -> None:
    exports.write_model_versions(full, tmp_path / "model_versions.json")
    with fresh(tmp_path) as new:
        imports.import_from(new, tmp_path / "model_versions.json")
        assert audit.verify(new).head == audit.head(full)
        exports.write_model_versions(new, tmp_path / "again.json")
    one, two = (tmp_path / n for n in ("model_versions.json", "again.json"))
    assert one.read_bytes() == two.read_bytes()


def test_an_export_again_touches_only_what_changed(full: Registry, tmp_path: Path) -> None:
    folder = tmp_path / "git"
    exports.write_folder(full, folder)
    (folder / ".git").mkdir()
    assert exports.write_folder(full, folder) == 0
    before = tree(folder)
    versions.quarantine(full, versions.list(full)[1].model_version, "ada", "x")
    assert exports.write_folder(full, folder) == 3, "the version, the audit, the head"
    changed = {n for n, data in tree(folder).items() if before.get(n) != data}
    assert changed == {"export.json", "audit/000001.jsonl", "versions/access-qa-v1.0.1.json"}
    (folder / "versions" / "access-qa-v9.9.9.json").write_text("{}")
    assert exports.write_folder(full, folder) == 1, "what is not in the registry goes"


def test_a_folder_of_something_else_is_left_alone(full: Registry, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("do not touch")
    with pytest.raises(Refused, match="not an export"):
        exports.write_folder(full, tmp_path / "home")
    assert set(tree(tmp_path / "home")) == {"thesis.txt"}


def test_import_only_into_an_empty_registry(full: Registry, tmp_path: Path) -> None:
    exports.write_folder(full, tmp_path / "out")
    assert not imports.import_from(full, tmp_path / "out").changed, (
        "the same history: nothing to do"
    )
    versions.quarantine(full, versions.list(full)[1].model_version, "ada", "x")
    with pytest.raises(Refused, match="history of its own") as e:
        imports.import_from(full, tmp_path / "out")
    assert "QA_REGISTRY" in e.value.try_next


def edit_json(path: Path, change: Callable[[Any], None]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def forge_scores(f: Path) -> None:
    edit_json(f / "evaluations/00000001.json", lambda d: d["scores"].update(verdict="GO!"))


def forge_audit(f: Path) -> None:
    path = f / "audit/000001.jsonl"
    path.write_text(path.read_text().replace('"who":"ada"', '"who":"eve"', 1))


def cut_audit(f: Path) -> None:
    path = f / "audit/000001.jsonl"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")


def forge_pair(f: Path) -> None:
    path = next((f / "pairs").glob("*.jsonl"))
    path.write_text(path.read_text().replace("answer", "ANSWER", 1))


def lose_pairs(f: Path) -> None:
    next((f / "pairs").glob("*.jsonl")).unlink()


def lose_snapshot(f: Path) -> None:
    next((f / "snapshots").glob("*.json")).unlink()


def odd_field(f: Path) -> None:
    edit_json(f / "versions/access-qa-v1.0.0.json", lambda d: d.update({"x) --": 1}))


def odd_type(f: Path) -> None:
    edit_json(f / "versions/access-qa-v1.0.0.json", lambda d: d.update(note=["x"]))


def odd_status(f: Path) -> None:
    edit_json(f / "versions/access-qa-v1.0.0.json", lambda d: d.update(status="great"))


def no_json(f: Path) -> None:
    (f / "versions/access-qa-v1.0.0.json").write_text("{")


def newer(f: Path) -> None:
    edit_json(f / "export.json", lambda d: d.update(format=99))


@pytest.mark.parametrize(
    "damage",
    [forge_scores, forge_audit, cut_audit, forge_pair, lose_pairs, lose_snapshot, odd_field,
     odd_type, odd_status, no_json, newer],
)  # fmt: skip
def test_a_damaged_export_brings_nothing(
    full: Registry, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    exports.write_folder(full, tmp_path / "out")
    damage(tmp_path / "out")
    with fresh(tmp_path) as new:
        with pytest.raises(QAError):
            imports.import_from(new, tmp_path / "out")
        assert audit.position(new) == (0, audit.GENESIS)
        assert versions.list(new) == () and snapshots.list(new) == ()


def test_no_export_at_all(tmp_path: Path) -> None:
    with fresh(tmp_path) as new:
        with pytest.raises(NotFound):
            imports.import_from(new, tmp_path / "nowhere")
        (tmp_path / "x.json").write_text("[]")
        with pytest.raises(UsageError):
            imports.import_from(new, tmp_path / "x.json")


TEXT = st.text(min_size=1, max_size=12).filter(lambda t: t.strip())
ACTION = st.tuples(
    st.sampled_from(["register", "promote", "rollback", "evaluate", "quarantine", "approve"]),
    st.integers(0, 3), TEXT,
)  # fmt: skip


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(ACTION, max_size=8))
def test_any_history_goes_out_and_comes_back(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, int, str]]
) -> None:
    tmp_path = tmp_path_factory.mktemp("x")
    with fresh(tmp_path, "a.db") as reg:
        pairs = [make_pair(n) for n in range(3)]
        snapshot = freeze(pairs)
        snapshots.save(reg, snapshot, pairs)
        for action, n, text in actions:
            names = [v.model_version for v in versions.list(reg)]
            name = names[n % len(names)] if names else "access-qa-v1.0.0"
            try:
                if action == "register":
                    versions.register(reg, base_model=text, dataset_version=snapshot.id,
                                      training_config={text: n}, note=text)  # fmt: skip
                elif action == "evaluate":
                    evaluations.save(reg, name, make_scores(x=text), text)
                elif action == "promote":
                    versions.promote(reg, name, "staging", text, text, None, text)
                elif action == "rollback":
                    versions.rollback(reg, "staging", text, text)
                elif action == "approve":
                    versions.approve(reg, name, "staging", text, text)
                else:
                    versions.quarantine(reg, name, text, text)
            except QAError:
                pass
        exports.write_folder(reg, tmp_path / "one")
    with fresh(tmp_path, "b.db") as new:
        imports.import_from(new, tmp_path / "one")
        assert health.check(new) == ()
        exports.write_folder(new, tmp_path / "two")
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
