"""Several operators, one truth: replicas on laptops and the registry of record on a host."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core import locations
from core.errors import (
    ChangedUnderYou,
    LinkLost,
    QAError,
    Refused,
    RegistryError,
    RegistryNewer,
)
from core.jobdir import JobSpec, JobState
from core.registry import (
    Registry,
    audit,
    evaluations,
    health,
    jobs,
    observations,
    open_registry,
    points,
    sharing,
    snapshots,
    sources,
    versions,
)
from core.registry.ledger import BLOCK, Head, HeadMoved
from core.registry.marks import mark_of
from core.snapshots import freeze
from remote.ledger import HostLedger
from remote.route import Route
from remote.sandbox import Sandbox
from tests.core.conftest import make_pair, make_scores
from tests.remote.local import Local

Laptop = Callable[[str], Registry]


@pytest.fixture
def ledger(local: Local) -> HostLedger:
    return HostLedger(local, "gh200")


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Laptop]:
    """A laptop's registry by the operator's name."""
    opened: list[Registry] = []

    def make(name: str) -> Registry:
        opened.append(open_registry(tmp_path / name / "registry.db", seed=False, operator=name))
        return opened[-1]

    yield make
    for reg in opened:
        reg.close()


def fill(reg: Registry, count: int = 2) -> list[str]:
    """Evaluated versions to promote."""
    pairs = [make_pair(n) for n in range(3)]
    snapshot = freeze(pairs)
    snapshots.save(reg, snapshot, pairs)
    names = []
    for _ in range(count):
        v = versions.register(reg, base_model="b", dataset_version=snapshot.id, training_config={})
        evaluations.save(reg, v.model_version, make_scores())
        names.append(v.model_version)
    return names


def promote(reg: Registry, name: str) -> None:
    versions.promote(reg, name, "production", reg.operator, "it is good", "GO")


def note(reg: Registry, text: str) -> None:
    """Some decision."""
    sources.upsert_many(reg, [{"source_id": f"doc:{text}"}], why=text)


def live(reg: Registry) -> str | None:
    found = versions.live(reg, "production")
    return found.model_version if found else None


def two(laptop: Laptop, ledger: HostLedger) -> tuple[Registry, Registry, list[str]]:
    """Two laptops with the same registry, and versions to promote."""
    ada, bob = laptop("ada"), laptop("bob")
    names = fill(ada)
    assert sharing.share(ada, ledger).outcome == "pushed"
    assert sharing.share(bob, ledger).outcome == "pulled"
    return ada, bob, names


def same(*regs: Registry) -> None:
    """Nothing differs that anybody could look at, and all of it holds."""
    assert len({audit.mark(r) for r in regs}) == 1
    assert len({observations.fingerprint(r) for r in regs}) == 1
    assert len({repr(versions.history(r)) for r in regs}) == 1
    for reg in regs:
        assert health.check(reg) == ()


def test_a_decision_travels(laptop: Laptop, ledger: HostLedger, local: Local) -> None:
    ada, bob, names = two(laptop, ledger)
    same(ada, bob)
    promote(ada, names[0])
    assert sharing.sync(ada, ledger).outcome == "pushed"
    assert live(bob) is None
    assert sharing.sync(bob, ledger).outcome == "pulled"
    assert live(bob) == names[0]
    same(ada, bob)
    assert sharing.sync(bob, ledger).outcome == sharing.sync(ada, ledger).outcome == "same"
    # on the host: a file anybody can copy away and open
    record = local.workdir / "registry" / "registry.db"
    with open_registry(_copied(record, bob), seed=False) as found:
        same(ada, found)


def _copied(record: Path, beside: Registry) -> Path:
    target = beside.path.with_name("copied.db")
    target.write_bytes(record.read_bytes())
    return target


def test_only_what_differs_travels(laptop: Laptop, ledger: HostLedger) -> None:
    ada, bob, names = two(laptop, ledger)
    pairs = [make_pair(n, source_ref=os.urandom(600).hex()) for n in range(3000)]
    snapshots.save(ada, freeze(pairs), pairs)
    sharing.sync(ada, ledger)
    sharing.sync(bob, ledger)
    assert ada.path.stat().st_size > 40 * BLOCK
    promote(ada, names[0])
    sent: list[Sequence[Any]] = []
    call = ledger._call
    ledger._call = lambda op, **v: (
        sent.append(v.get("packed") or v.get("numbers", ())) or call(op, **v)
    )  # type: ignore[method-assign, func-returns-value]
    sharing.sync(ada, ledger)
    up = sum(len(numbers) for numbers in sent)
    sent.clear()
    sharing.sync(bob, ledger)
    assert 0 < up < 20 and 0 < sum(len(numbers) for numbers in sent) < 20
    same(ada, bob)


def test_open_connections_see_what_came(laptop: Laptop, ledger: HostLedger) -> None:
    ada, bob, names = two(laptop, ledger)
    with open_registry(bob.path, seed=False) as reader:
        before = reader.rows("SELECT * FROM deployments")
        promote(ada, names[0])
        sharing.sync(ada, ledger)
        sharing.sync(bob, ledger)
        assert before == [] and live(reader) == names[0]
        note(reader, "written through the other connection")
    assert sharing.sync(bob, ledger).outcome == "pushed"
    assert sharing.sync(ada, ledger).outcome == "pulled"
    same(ada, bob)


def test_both_decided(laptop: Laptop, ledger: HostLedger) -> None:
    ada, bob, names = two(laptop, ledger)
    promote(ada, names[0])
    promote(bob, names[1])
    note(bob, "more")
    assert sharing.sync(ada, ledger).outcome == "pushed"
    jobs.record(bob, JobSpec("train-9", "train", []), "gh200")
    found = sharing.sync(bob, ledger)
    assert found.outcome == "lost"
    actions = [e.action for e in found.lost]
    assert "version.promote" in actions and "sources.operator" in actions
    assert all(e.who == "bob" for e in found.lost if e.action == "version.promote")
    assert live(bob) == names[0]
    assert jobs.get(bob, "train-9").host == "gh200"  # an observation is not lost with a decision
    sharing.sync(ada, ledger)
    same(ada, bob)
    assert found.aside is not None
    with open_registry(found.aside, seed=False) as aside:
        assert live(aside) == names[1]


def test_deciding_refuses_when_the_head_moved(laptop: Laptop, ledger: HostLedger) -> None:
    ada, bob, names = two(laptop, ledger)
    seen = audit.head(bob)
    with sharing.deciding(ada, ledger, expected_head=audit.head(ada)) as decision:
        promote(ada, names[0])
    assert decision.synced is not None and decision.synced.outcome == "pushed"
    with pytest.raises(ChangedUnderYou) as e, sharing.deciding(bob, ledger, expected_head=seen):
        raise AssertionError("it must not get this far")
    assert "ada" in e.value.why and "look again" in e.value.try_next and e.value.exit_code == 5
    assert live(bob) == names[0]  # and there is something new to look at
    with sharing.deciding(bob, ledger, expected_head=audit.head(bob)):
        promote(bob, names[1])
    sharing.sync(ada, ledger)
    assert live(ada) == names[1]
    same(ada, bob)


def test_deciding_alone(laptop: Laptop) -> None:
    reg = laptop("ada")
    seen = audit.head(reg)
    with sharing.deciding(reg, None, expected_head=seen):
        note(reg, "a")
    with pytest.raises(ChangedUnderYou), sharing.deciding(reg, None, expected_head=seen):
        raise AssertionError("it must not get this far")


def test_a_failed_decision_leaves_nothing(laptop: Laptop, ledger: HostLedger) -> None:
    ada, bob, _ = two(laptop, ledger)
    with pytest.raises(Refused), sharing.deciding(ada, ledger):
        versions.rollback(ada, "production", "ada", "nothing is live")
    same(ada, bob)


def test_link_lost_after_the_decision(laptop: Laptop, ledger: HostLedger, local: Local) -> None:
    ada, bob, names = two(laptop, ledger)
    with sharing.deciding(ada, ledger) as decision:
        promote(ada, names[0])
        broken = ledger._call

        def cut(op: str, **values: Any) -> Any:
            raise LinkLost("the link was cut")

        ledger._call = cut  # type: ignore[method-assign]
    assert isinstance(decision.unsent, LinkLost) and live(ada) == names[0]
    mark = mark_of(ada.path)
    assert mark is not None
    assert "version.promote" in [e.action for e in sharing.unshared(ada, mark.head)]
    with pytest.raises(LinkLost), sharing.deciding(ada, ledger):
        raise AssertionError("no decision without the newest truth")
    ledger._call = broken  # type: ignore[method-assign]
    assert sharing.sync(ada, ledger).outcome == "pushed"
    sharing.sync(bob, ledger)
    same(ada, bob)


def test_link_lost_after_theirs_was_taken_over(laptop: Laptop, ledger: HostLedger) -> None:
    """The decision is undone: that must be told, though what was seen cannot be sent yet."""
    ada, bob, names = two(laptop, ledger)
    whole = ledger._call

    def cut(op: str, **values: Any) -> Any:
        if op == "ledger_put":
            raise LinkLost("the link was cut")
        return whole(op, **values)

    with pytest.raises(ChangedUnderYou, match="ada") as e, sharing.deciding(bob, ledger):
        promote(bob, names[1])
        sources.note_unknown(bob, "doc:seen")
        note(ada, "first")
        sharing.sync(ada, ledger)
        ledger._call = cut  # type: ignore[method-assign]
    assert "version.promote production" in e.value.why and Path(e.value.aside).exists()
    assert live(bob) is None
    ledger._call = whole  # type: ignore[method-assign]
    assert sharing.sync(bob, ledger).outcome == "pushed"
    sharing.sync(ada, ledger)
    same(ada, bob)
    assert [u.source_id for u in sources.unknown(ada)] == ["doc:seen"]


def test_another_command_writes_while_theirs_comes(laptop: Laptop, ledger: HostLedger) -> None:
    """Between the look and the takeover: it starts again, and what was written is not lost."""
    ada, bob, _ = two(laptop, ledger)
    note(ada, "ada's")
    sharing.sync(ada, ledger)
    whole, count = ledger._call, 0

    def meddled(op: str, **values: Any) -> Any:
        nonlocal count
        if op == "ledger_blocks" and count < 2:
            count += 1
            with open_registry(bob.path, seed=False) as other:
                sources.note_unknown(other, "doc:between")
        return whole(op, **values)

    ledger._call = meddled  # type: ignore[method-assign]
    found = sharing.sync(bob, ledger)
    assert count == 2 and found.lost == () and not list(bob.path.parent.glob("*.aside-*"))
    assert sources.unknown(bob)[0].occurrences == 2
    sharing.sync(ada, ledger)
    same(ada, bob)


def test_observations_merge_both_ways(laptop: Laptop, ledger: HostLedger) -> None:
    ada, bob, _ = two(laptop, ledger)
    for reg, count in ((ada, 3), (bob, 4)):
        sources.note_unknown(reg, "doc:both", occurrences=count, example=f"seen by {reg.operator}")
        sources.note_unknown(reg, f"doc:{reg.operator}")
        jobs.record(reg, JobSpec(f"train-{reg.operator}", "train", []), "gh200")
        jobs.record(reg, JobSpec("train-both", "train", []), "gh200")
        points.add(reg, f"train-{reg.operator}", [("loss", n, n / 7) for n in range(50)])
    jobs.update(ada, "train-both", JobState("succeeded", exit_code=0))
    jobs.update(bob, "train-both", JobState("running"))
    for _ in range(2):
        for reg in (ada, bob, ada):
            sharing.sync(reg, ledger)
        same(ada, bob)
        for reg in (ada, bob):
            found = {u.source_id: u.occurrences for u in sources.unknown(reg)}
            assert found == {"doc:both": 7, "doc:ada": 1, "doc:bob": 1}
            assert jobs.get(reg, "train-both").status == "succeeded"
            assert len(jobs.list(reg)) == 3
            assert points.read(reg, "train-ada", "loss") == points.read(reg, "train-bob", "loss")
    sources.note_unknown(ada, "doc:both")
    sharing.sync(ada, ledger)
    sharing.sync(bob, ledger)
    assert sources.unknown(bob)[0].occurrences == 8


def test_observations_survive_a_lost_decision(laptop: Laptop, ledger: HostLedger) -> None:
    ada, bob, _ = two(laptop, ledger)
    note(ada, "a")
    sharing.sync(ada, ledger)
    note(bob, "b")
    sources.note_unknown(bob, "doc:x", occurrences=5)
    assert sharing.sync(bob, ledger).outcome == "lost"
    sharing.sync(ada, ledger)
    same(ada, bob)
    assert [u.occurrences for u in sources.unknown(ada)] == [5]


def test_sharing_needs_a_word_when_both_have_decisions(laptop: Laptop, ledger: HostLedger) -> None:
    ada, bob, cyd = laptop("ada"), laptop("bob"), laptop("cyd")
    names = fill(ada)
    sharing.share(ada, ledger)
    note(bob, "of his own")
    with pytest.raises(Refused, match="decisions of their own"):
        sharing.share(bob, ledger)
    assert mark_of(bob.path) is None
    found = sharing.share(bob, ledger, take_theirs=True)
    assert [e.why for e in found.lost] == ["of his own"]
    same(ada, bob)
    note(cyd, "the right one")
    sharing.share(cyd, ledger, replace_theirs=True)
    assert sharing.sync(ada, ledger).outcome == "lost"
    assert versions.list(ada) == () and names
    same(ada, cyd)


def test_moving_to_another_host(laptop: Laptop, ledger: HostLedger, tmp_path: Path) -> None:
    ada, bob, names = two(laptop, ledger)
    with Local(tmp_path / "other host") as local:
        elsewhere = HostLedger(local, "elsewhere")
        assert sharing.share(ada, elsewhere).outcome == "pushed"
        mark = mark_of(ada.path)
        assert mark is not None and mark.host == "elsewhere"
        promote(ada, names[0])
        assert sharing.sync(ada, elsewhere).outcome == "pushed"
        assert sharing.share(bob, elsewhere).outcome == "pulled"
        same(ada, bob)
        note(bob, "goes on")
        sharing.sync(bob, elsewhere)
        note(ada, "not seen there")
        with pytest.raises(Refused):
            sharing.share(ada, HostLedger(local, "by another name"))
        mark = mark_of(ada.path)
        assert mark is not None and mark.host == "elsewhere"


def test_a_newer_ledger_is_refused_politely(laptop: Laptop, ledger: HostLedger) -> None:
    ada, bob, _ = two(laptop, ledger)
    head = ledger.head()
    assert head is not None
    hashes = ledger.blocks(head.generation)
    newer = replace(head, migrations=(*head.migrations, "m999_future"))
    ledger.put(head, newer, hashes, lambda n: b"")
    with pytest.raises(RegistryNewer, match="newer program"):
        sharing.sync(bob, ledger)
    same(ada, bob)


def test_what_a_host_sends_is_not_believed(
    laptop: Laptop, ledger: HostLedger, local: Local
) -> None:
    """A trigger of somebody else's in the file of record must not run on any laptop."""
    ada, bob, _ = two(laptop, ledger)
    head = ledger.head()
    assert head is not None
    before = audit.mark(bob)
    tampered = bob.path.with_name("tampered.db")
    for sql, why in (
        (
            "CREATE TRIGGER evil AFTER INSERT ON audit BEGIN DELETE FROM jobs; END",
            "tables or rules",
        ),
        ("DROP TRIGGER audit_no_update", "tables or rules"),
        ("UPDATE meta SET value = '1 ' || value WHERE key = 'audit_head'", "chain"),
    ):
        tampered.write_bytes((local.workdir / "registry/registry.db").read_bytes())
        with closing(sqlite3.connect(tampered)) as conn:
            conn.execute(sql)
            conn.commit()
        _put_file(ledger, tampered)
        with pytest.raises(RegistryError, match="cannot be believed") as e:
            sharing.sync(bob, ledger)
        assert why in e.value.why and audit.mark(bob) == before
        sharing.share(ada, ledger, replace_theirs=True)
        sharing.sync(bob, ledger)
    same(ada, bob)


def _put_file(ledger: HostLedger, path: Path) -> Head:
    from core.registry.ledger import block_hashes, read_block, root_of

    head = ledger.head()
    assert head is not None
    hashes = block_hashes(path)
    new = replace(head, root=root_of(hashes), size=path.stat().st_size, seen="0")
    return ledger.put(head, new, hashes, lambda n: read_block(path, n))


def test_a_damaged_block_on_the_host(laptop: Laptop, ledger: HostLedger, local: Local) -> None:
    ada, bob, names = two(laptop, ledger)
    promote(ada, names[0])
    sharing.sync(ada, ledger)
    file = local.workdir / "registry" / "registry.db"
    data = bytearray(file.read_bytes())
    data[:] = bytes(len(data))
    file.write_bytes(data)
    with pytest.raises(RegistryError, match="damaged"):
        sharing.sync(bob, ledger)
    # ada has it whole, and her next change mends the host
    note(ada, "next")
    sharing.sync(ada, ledger)
    sharing.sync(bob, ledger)
    same(ada, bob)


@pytest.mark.parametrize(
    "answer", [1, "x", [], {}, {"generation": -1}, {"generation": 1, "root": "\x1b[2J"}]
)
def test_odd_answers_of_a_host(laptop: Laptop, ledger: HostLedger, answer: Any) -> None:
    ada, _, _ = two(laptop, ledger)
    before = audit.mark(ada)
    ledger._call = lambda op, **values: answer  # type: ignore[method-assign]
    with pytest.raises(QAError):
        sharing.sync(ada, ledger)
    assert audit.mark(ada) == before


def test_generations_are_kept_and_pruned(laptop: Laptop, ledger: HostLedger, local: Local) -> None:
    ada = laptop("ada")
    sharing.share(ada, ledger)
    for n in range(25):
        note(ada, str(n))
        sharing.sync(ada, ledger)
    kept = sorted(p.name for p in (local.workdir / "registry/generations").iterdir())
    assert kept == [f"{n:08}" for n in range(7, 27)]
    assert not list((local.workdir / "registry/staging").iterdir())
    oldest = open_registry(
        _copied(local.workdir / "registry/generations/00000007/registry.db", ada)
    )
    with oldest:
        assert audit.position(oldest)[0] < audit.position(ada)[0]


# -- two at once ----------------------------------------------------------------------------------


def test_many_writers_one_chain(laptop: Laptop, local: Local) -> None:
    """Four laptops decide again and again at the same moment: every decision is either in the one
    chain, or its operator was told that it is not."""
    ledgers = [HostLedger(Local(local.workdir), "gh200") for _ in range(4)]
    first = laptop("first")
    sharing.share(first, ledgers[0])
    gate = threading.Barrier(4)
    told: list[set[str]] = [set() for _ in range(4)]
    lost: list[set[str]] = [set() for _ in range(4)]

    def work(i: int) -> None:
        path = first.path.parent.parent / f"w{i}" / "registry.db"
        with open_registry(path, seed=False, operator=f"w{i}") as reg:
            sharing.share(reg, ledgers[i])
            for n in range(4):
                gate.wait(60)
                name = f"{i}-{n}"
                try:
                    with sharing.deciding(reg, ledgers[i]) as decision:
                        note(reg, name)
                    assert decision.unsent is None
                    told[i].add(name)
                except ChangedUnderYou as e:
                    assert [entry.why for entry in e.rows] == [name]  # type: ignore[attr-defined]
                    lost[i].add(name)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sharing.sync(first, ledgers[0])
    kept = {e.why for e in audit.after(first, 0)}
    assert set.union(*told) <= kept and not set.union(*lost) & kept
    assert len(set.union(*told)) + len(set.union(*lost)) == 16 and len(kept) >= 4
    assert health.check(first) == ()


def test_two_promote_at_once_over_real_routes(laptop: Laptop, tmp_path: Path) -> None:
    """Both are past every check before either puts its decision there."""
    with (
        Sandbox(tmp_path / "sandbox") as sandbox,
        Route(sandbox.host) as one,
        Route(sandbox.host) as other,
    ):
        ledgers = {"ada": HostLedger(one, "sandbox"), "bob": HostLedger(other, "sandbox")}
        ada, bob, names = two(laptop, ledgers["ada"])
        paths = {"ada": ada.path, "bob": bob.path}
        wanted = dict(zip(("ada", "bob"), names, strict=True))
        gate = threading.Barrier(2)
        outcome: dict[str, object] = {}

        def decide(who: str) -> None:
            with open_registry(paths[who], seed=False, operator=who) as reg:
                seen = audit.head(reg)
                try:
                    with sharing.deciding(reg, ledgers[who], expected_head=seen):
                        promote(reg, wanted[who])
                        gate.wait(60)
                    outcome[who] = "won"
                except ChangedUnderYou as e:
                    outcome[who] = e

        threads = [threading.Thread(target=decide, args=(who,)) for who in wanted]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        winner = next(who for who, result in outcome.items() if result == "won")
        loser = next(who for who in outcome if who != winner)
        error = outcome[loser]
        assert isinstance(error, ChangedUnderYou)
        assert winner in error.what and "version.promote production" in error.why
        sharing.sync(ada, ledgers["ada"])
        sharing.sync(bob, ledgers["bob"])
        assert live(ada) == wanted[winner]
        same(ada, bob)


# -- kill -9 --------------------------------------------------------------------------------------

SYNC = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from core.registry import open_registry, sharing, sources
from remote.ledger import HostLedger
from tests.remote.local import Local
local = Local(Path({workdir!r}))
ledger = HostLedger(local, "gh200")
count, call = 0, ledger._call
def counted(op, **values):
    global count
    count += 1
    if count == {n} and not {after}:
        os.kill(os.getpid(), signal.SIGKILL)
    answer = call(op, **values)
    if count == {n} and {after}:
        os.kill(os.getpid(), signal.SIGKILL)
    return answer
ledger._call = counted
with open_registry({path!r}, seed=False, operator="bob") as reg:
    with sharing.deciding(reg, ledger):
        sources.upsert_many(reg, [dict(source_id="doc:bob")], why="bob")
print("through", flush=True)
local.cut()
"""


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_the_laptop_is_killed_at_every_question(
    laptop: Laptop, ledger: HostLedger, local: Local, after: bool
) -> None:
    ada, bob, _ = two(laptop, ledger)
    for n in range(1, 30):
        note(ada, f"ada {n}")
        sharing.sync(ada, ledger)
        sources.note_unknown(bob, "doc:seen")
        text = SYNC.format(
            root=str(locations.project_root()), workdir=str(local.workdir), path=str(bob.path),
            n=n, after=after,
        )  # fmt: skip
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        assert health.check(bob) == ()
        assert sharing.sync(bob, ledger).lost == ()
        sharing.sync(ada, ledger)
        same(ada, bob)
        assert sources.unknown(ada)[0].occurrences == n
        if "through" in done.stdout:
            break
    assert 5 < n < 29


PUT = """
import os, signal, sys, json
sys.path.insert(0, {root!r})
from remote.agent import ledger
values = json.load(sys.stdin)
count = 0
def counted(call):
    def one(*a, **k):
        global count
        count += 1
        if count == {n}:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*a, **k)
    return one
for name in "rename mkdir fsync symlink unlink open makedirs chmod".split():
    setattr(os, name, counted(getattr(os, name)))
ledger.open = counted(open)
ledger.shutil.rmtree = counted(ledger.shutil.rmtree)
assert "head" in ledger.put(**values)
print("through")
"""


@pytest.mark.slow
def test_the_host_is_killed_at_every_step(laptop: Laptop, ledger: HostLedger, local: Local) -> None:
    """Between any two calls of the file system a put is either done or was never asked for."""
    ada, bob, _ = two(laptop, ledger)
    whole = ledger._call
    for n in range(1, 80):
        note(ada, f"ada {n}")
        output = ""

        def call(op: str, _n: int = n, **values: Any) -> Any:
            nonlocal output
            if op != "ledger_put":
                return whole(op, **values)
            text = PUT.format(root=str(locations.project_root()), n=_n)
            values["workdir"] = str(local.workdir)
            output = subprocess.run(
                [sys.executable, "-c", text], input=json.dumps(values), capture_output=True,
                text=True,
            ).stdout  # fmt: skip
            raise LinkLost("the helper was killed")

        before = ledger.head()
        assert before is not None
        ledger._call = call  # type: ignore[method-assign]
        with pytest.raises(LinkLost):
            sharing.sync(ada, ledger)
        ledger._call = whole  # type: ignore[method-assign]
        now = ledger.head()
        assert now is not None and now.generation - before.generation in (0, 1)
        assert sharing.sync(ada, ledger).lost == ()
        assert sharing.sync(bob, ledger).lost == ()
        same(ada, bob)
        record = local.workdir / "registry" / "registry.db"
        assert record.resolve().parent.name == f"{ledger.head().generation:08}"  # type: ignore[union-attr]
        if "through" in output:
            break
    assert 10 < n < 79
    leftovers = list((local.workdir / "registry/generations").glob(".new-*"))
    assert len(leftovers) < n


def test_compare_and_swap(laptop: Laptop, ledger: HostLedger) -> None:
    two(laptop, ledger)
    head = ledger.head()
    assert head is not None
    hashes = ledger.blocks(head.generation)
    second = ledger.put(head, head, hashes, lambda n: b"")
    assert second.generation == head.generation + 1
    for stale in (head, None, replace(second, root="0")):
        with pytest.raises(HeadMoved):
            ledger.put(stale, head, hashes, lambda n: b"")
    assert ledger.head() == second
