"""Any edit of history is found, and its place is named."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import RegistryError, UsageError
from core.registry import Registry, audit, health


def fill(reg: Registry, rows: int = 8) -> None:
    with reg.writing():
        for n in range(rows):
            audit.append(reg, "test", f"thing {n}", before=n, after={"n": [n, None]}, why="ünï")


def unlock(reg: Registry) -> None:
    for trigger in ("audit_no_update", "audit_no_delete"):
        reg.execute(f"DROP TRIGGER IF EXISTS {trigger}")


def test_an_untouched_chain_holds(reg: Registry) -> None:
    assert audit.verify(reg) == audit.Verification(True, 0, audit.GENESIS)
    fill(reg)
    result = audit.verify(reg)
    assert (result.ok, result.rows, result.head) == (True, 8, audit.head(reg))
    newest = audit.entries(reg)[0]
    assert (newest.seq, newest.before, newest.after, newest.why) == (8, 7, {"n": [7, None]}, "ünï")
    assert newest.who == "tester" and newest.origin


def test_rows_cannot_be_changed_or_removed(reg: Registry) -> None:
    fill(reg)
    for sql in ("UPDATE audit SET why = 'x' WHERE seq = 3", "DELETE FROM audit WHERE seq = 8"):
        with pytest.raises(RegistryError, match="refused"):
            reg.execute(sql)
    assert audit.verify(reg).ok


COLUMNS = "at who origin action subject before after why prev_hash hash".split()


@pytest.mark.parametrize("column", COLUMNS)
def test_an_edited_row_is_found(reg: Registry, column: str) -> None:
    fill(reg)
    unlock(reg)
    reg.execute(f"UPDATE audit SET {column} = 'x' WHERE seq = 4")
    result = audit.verify(reg)
    assert (result.ok, result.seq) == (False, 4)
    assert any("audit" in fault for fault in health.check(reg))


def test_a_null_and_its_text_are_not_the_same(reg: Registry) -> None:
    with reg.writing():
        audit.append(reg, "test", "x", before=None, after="y")
    unlock(reg)
    reg.execute("UPDATE audit SET before = 'null'")
    assert audit.verify(reg).seq == 1


@pytest.mark.parametrize(
    ("sql", "seq"),
    [
        ("DELETE FROM audit WHERE seq = 5", 5),
        ("DELETE FROM audit WHERE seq > 6", 7),
        ("DELETE FROM audit", 1),
        ("INSERT INTO audit SELECT 9, at, who, origin, action, subject, before, after, why,"
         " prev_hash, hash FROM audit WHERE seq = 8", 9),
        ("UPDATE audit SET seq = CASE seq WHEN 3 THEN 104 ELSE 103 END WHERE seq IN (3, 4)", 3),
        ("UPDATE meta SET value = 'nonsense' WHERE key = 'audit_head'", 0),
    ],
)  # fmt: skip
def test_missing_added_and_exchanged_rows_are_found(reg: Registry, sql: str, seq: int) -> None:
    fill(reg)
    unlock(reg)
    reg.execute(sql)
    result = audit.verify(reg)
    assert (result.ok, result.seq) == (False, seq)
    assert result.what


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(1, 8), st.sampled_from(COLUMNS[:8]), st.text(min_size=1))
def test_any_edit_is_located(reg: Registry, seq: int, column: str, text: str) -> None:
    text = text.encode("utf-8", "replace").decode().replace("\x00", "?")
    if audit.verify(reg).rows < 8:
        fill(reg)
        unlock(reg)
    reg.execute("SAVEPOINT edit")
    old = reg.value(f"SELECT {column} FROM audit WHERE seq = ?", (seq,))
    reg.execute(f"UPDATE audit SET {column} = ? WHERE seq = ?", (text, seq))
    result = audit.verify(reg)
    assert result.ok == (text == old)
    assert result.ok or result.seq == seq
    reg.execute("ROLLBACK TO edit")
    reg.execute("RELEASE edit")
    assert audit.verify(reg).ok


def test_an_entry_needs_the_transaction_of_its_change(reg: Registry) -> None:
    with pytest.raises(RuntimeError):
        audit.append(reg, "test", "x")


def test_a_head_noted_elsewhere_shows_what_the_file_cannot(reg: Registry) -> None:
    fill(reg, 8)
    noted, early = audit.mark(reg), f"3:{audit.hash_at(reg, 3)}"
    fill(reg, 2)
    for head in (noted, early, noted.split(":")[1], noted.split(":")[1][:12], f"0:{audit.GENESIS}"):
        assert audit.verify(reg, head).ok
    # the end cut off together with the head of the file: it looks like an earlier state
    unlock(reg)
    reg.execute("DELETE FROM audit WHERE seq > 5")
    reg.execute(
        "UPDATE meta SET value = ? WHERE key = 'audit_head'", (f"5 {audit.hash_at(reg, 5)}",)
    )
    assert audit.verify(reg).ok and audit.verify(reg, early).ok
    result = audit.verify(reg, noted)
    assert (result.ok, result.seq) == (False, 6) and "6 to 8" in result.what
    assert not audit.verify(reg, noted.split(":")[1]).ok
    # written anew from the third row on
    reg.execute("DELETE FROM audit WHERE seq > 2")
    reg.execute(
        "UPDATE meta SET value = ? WHERE key = 'audit_head'", (f"2 {audit.hash_at(reg, 2)}",)
    )
    fill(reg, 8)
    assert audit.verify(reg).ok
    assert audit.verify(reg, early).seq == 3 and "rewritten" in audit.verify(reg, early).what
    assert not audit.verify(reg, noted).ok


@pytest.mark.parametrize(
    "head", ["", "x", "3:", "abc", "-1:" + "a" * 64, "1:" + "g" * 64, "a" * 65]
)
def test_a_head_that_is_none(reg: Registry, head: str) -> None:
    with pytest.raises(UsageError):
        audit.verify(reg, head)


def test_from_where(reg: Registry) -> None:
    reg.how = "job train-1"
    fill(reg, 1)
    machine, _, how = audit.entries(reg)[0].origin.partition("/")
    assert machine == audit._node() and how == "job train-1"
