"""A release from end to end: pre-check, server, smoke questions, the way back, and kill at any point."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core import locations
from core.errors import EnvironmentProblem, QAError, Refused
from core.registry import Registry, health, open_registry, precheck, releases, versions
from core.registry.orders import Promote, Return, RollBack
from core.registry.precheck import Facts
from core.registry.serving_hooks import NoServer, Smoke
from core.snapshots import Snapshot
from tests.core.conftest import Evaluated
from tests.core.test_registry_crash import prepared

PROD = "production"
DAY = 24 * 3600.0


class Server:
    """A server whose state is a file: it outlives the process that talks to it."""

    name = "server"

    def __init__(self, path: Path, bad: Sequence[str] = (), broken: str = "") -> None:
        self.path, self.bad, self.broken = path, bad, broken
        self.calls: list[str] = []
        if not path.exists():
            self._keep({"loaded": [], "routes": {}, "warm": []})

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.path.read_text())
        return found

    def _keep(self, state: dict[str, Any]) -> None:
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(state))
        part.replace(self.path)

    def _do(self, call: str) -> dict[str, Any]:
        self.calls.append(call)
        if call == self.broken:
            raise EnvironmentProblem(f"the server cannot {call}")
        return self.state

    def load(self, model_version: str) -> None:
        s = self._do("load")
        s["loaded"] = sorted({*s["loaded"], model_version})
        self._keep(s)

    def smoke(self, model_version: str, questions: Sequence[str]) -> Sequence[Smoke]:
        s = self._do("smoke")
        assert model_version in s["loaded"]
        return [Smoke(q, model_version not in self.bad, "nonsense") for q in questions]

    def switch(self, environment: str, model_version: str) -> None:
        s = self._do("switch")
        s["routes"][environment] = model_version
        self._keep(s)

    def keep_warm(self, model_version: str, seconds: float) -> None:
        s = self._do("keep_warm")
        s["warm"] = [model_version, seconds]
        self._keep(s)

    def drop(self, model_version: str) -> None:
        s = self._do("drop")
        s["loaded"] = [v for v in s["loaded"] if v != model_version]
        self._keep(s)


def unseen(version: versions.Version) -> Facts | None:
    return None


def go(reg: Registry, order: releases.Order, serving: Any = None, **more: Any) -> releases.Released:
    return releases.release(reg, order, serving=serving, probe=more.pop("probe", unseen),
                            questions=("what is Delta?", "who runs it?"), **more)  # fmt: skip


def promotion(version: str, environment: str = PROD, **more: Any) -> Promote:
    return Promote(version, environment, "ada", "better", **more)


def live_name(reg: Registry, environment: str = PROD) -> str | None:
    found = versions.live(reg, environment)
    return found and found.model_version


def test_promote_roll_back_return(reg: Registry, evaluated: Evaluated, tmp_path: Path) -> None:
    a, b = evaluated(), evaluated()
    server = Server(tmp_path / "server")
    first = go(reg, promotion(a), server)
    assert server.calls == ["load", "smoke", "switch"], "nothing to go back to: asked before"
    assert [s.ok for s in first.smoke] == [True, True]
    server.calls.clear()
    done = go(reg, promotion(b), server, window_s=60.0)
    assert server.calls == ["load", "switch", "smoke", "keep_warm"]
    assert server.state["warm"] == [a, 60.0] and server.state["routes"] == {PROD: b}
    assert done.deployment.evidence["precheck_files"] == "not checked"
    back = go(reg, RollBack(PROD, "ada", "wrong answers"), server)
    assert (back.deployment.kind, live_name(reg), server.state["routes"]) == (
        "rollback",
        a,
        {PROD: a},
    )
    forward = go(reg, Return(PROD, "ada", DAY), server)
    assert (forward.deployment.kind, live_name(reg)) == ("return", b)
    assert forward.deployment.reason.startswith("return inside the window, undoing the rollback")
    again = go(reg, RollBack(PROD, "ada", "after all"), server)
    assert again.deployment.model_version == a, "the way back is the same as before the detour"
    assert health.check(reg) == () and releases.open_releases(reg) == 0
    assert [s["step"] for s in releases.steps(reg)][:2] == ["warm", "warm"]


def test_return_only_inside_the_window(reg: Registry, evaluated: Evaluated) -> None:
    a, b = evaluated(), evaluated()
    with pytest.raises(Refused, match="nothing is live"):
        go(reg, Return(PROD, "ada", DAY))
    go(reg, promotion(a))
    with pytest.raises(Refused, match="replaced nothing"):
        go(reg, Return(PROD, "ada", DAY))
    go(reg, promotion(b))
    later = datetime.now(UTC) + timedelta(hours=25)
    problem = versions.why_not_return(reg, PROD, DAY, now=later)
    assert problem is not None and "closed" in problem.what and "25.0 h ago" in problem.why
    assert versions.why_not_return(reg, PROD, DAY) is None
    versions.quarantine(reg, a, "ada", "leak")
    with pytest.raises(Refused, match="quarantined"):
        go(reg, Return(PROD, "ada", DAY))


def test_failed_smoke_switches_back_and_says_so(
    reg: Registry, evaluated: Evaluated, tmp_path: Path
) -> None:
    a, b = evaluated(), evaluated()
    server = Server(tmp_path / "server", bad=[b])
    go(reg, promotion(a), server)
    with pytest.raises(
        Refused, match=f"2 of 2 smoke questions failed on {b}: .* stays on {a}"
    ) as e:
        go(reg, promotion(b), server)
    assert "what is Delta?: nonsense" in e.value.why
    assert live_name(reg) == a and server.state["routes"] == {PROD: a}
    assert b not in server.state["loaded"]
    newest, left, _ = versions.history(reg)
    assert (newest.kind, newest.model_version, left.model_version) == ("rollback", a, b)
    assert "smoke questions failed" in newest.reason
    assert health.check(reg) == () and releases.open_releases(reg) == 0


def test_failed_smoke_of_the_first_version_leaves_nothing_live(
    reg: Registry, evaluated: Evaluated, tmp_path: Path
) -> None:
    a = evaluated()
    server = Server(tmp_path / "server", bad=[a])
    with pytest.raises(Refused, match="nothing is live in production"):
        go(reg, promotion(a), server)
    assert live_name(reg) is None and versions.history(reg) == ()
    assert server.state == {"loaded": [], "routes": {}, "warm": []}


@pytest.mark.parametrize("call", ["load", "switch", "smoke", "keep_warm"])
@pytest.mark.parametrize("first", [True, False])
def test_a_server_that_refuses_changes_nothing(
    reg: Registry, evaluated: Evaluated, tmp_path: Path, call: str, first: bool
) -> None:
    a, b = evaluated(), evaluated()
    if not first:
        go(reg, promotion(a), Server(tmp_path / "server"))
    server = Server(tmp_path / "server", broken=call)
    before = None if first else a
    if call == "keep_warm":
        go(reg, promotion(b), server)
        assert live_name(reg) == b, "not worth undoing a good release for"
    else:
        with pytest.raises(EnvironmentProblem):
            go(reg, promotion(b), server)
        assert live_name(reg) == before
    assert health.check(reg) == () and releases.open_releases(reg) == 0
    go(reg, promotion(b if call != "keep_warm" else evaluated()), Server(tmp_path / "server"))


def test_an_order_that_is_refused_leaves_no_trace(reg: Registry, evaluated: Evaluated) -> None:
    a = evaluated("NO-GO")
    server = NoServer()
    for order in (promotion(a), RollBack(PROD, "ada", "x"), promotion(a, "moon")):
        with pytest.raises(QAError):
            go(reg, order, server)
    assert server.calls == [] and releases.steps(reg) == []
    done = go(reg, promotion(a, override="pilot"), server)
    assert (done.deployment.override_reason, done.smoke, done.server) == (
        "pilot", (), "no server attached",
    )  # fmt: skip


# ── the pre-check ───────────────────────────────────────────────────────────────────────────────


def make_adapter(folder: Path, *, r: int = 4, base: str = "base", dtype: str = "F32") -> str:
    """A LoRA adapter's two files; the hash of its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / precheck.CONFIG).write_text(json.dumps({"base_model_name_or_path": base, "r": r}))
    header = json.dumps({
        "__metadata__": {"format": "pt"},
        "m.q_proj.lora_A.weight": {"dtype": dtype, "shape": [4, 8], "data_offsets": [0, 128]},
        "m.q_proj.lora_B.weight": {"dtype": dtype, "shape": [8, 4], "data_offsets": [128, 256]},
    }).encode()  # fmt: skip
    data = struct.pack("<Q", len(header)) + header + bytes(256)
    (folder / precheck.WEIGHTS).write_bytes(data)
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def adapted(reg: Registry, evaluated: Evaluated, tmp_path: Path) -> Callable[..., str]:
    """A version whose adapter lies on this machine."""

    def make(number: int, template: str = "c" * 64, **how: Any) -> str:
        folder = tmp_path / f"adapter-{number}"
        digest = make_adapter(folder, **how)
        return evaluated(adapter_path=str(folder), adapter_sha256=digest,
                         reproducibility={"chat_template_sha256": template})  # fmt: skip

    return make


def test_what_is_there_and_as_recorded_passes(reg: Registry, adapted: Callable[..., str]) -> None:
    a, b = adapted(1), adapted(2)
    go(reg, promotion(a), probe=precheck.local_facts)
    done = go(reg, promotion(b), probe=precheck.local_facts)
    assert {c.name: c.ok for c in done.checks} == {
        "files": True, "hash": True, "loadable": True, "template": True,
    }  # fmt: skip
    assert done.not_checked == ()


def damage_missing(folder: Path) -> None:
    (folder / precheck.CONFIG).unlink()


def damage_changed(folder: Path) -> None:
    path = folder / precheck.WEIGHTS
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")


def damage_cut(folder: Path) -> None:
    path = folder / precheck.WEIGHTS
    path.write_bytes(path.read_bytes()[:-10])


def damage_base(folder: Path) -> None:
    make_adapter(folder, base="another/base")


def damage_rank(folder: Path) -> None:
    make_adapter(folder, r=8)


def damage_dtype(folder: Path) -> None:
    make_adapter(folder, dtype="I32")


def damage_header(folder: Path) -> None:
    (folder / precheck.WEIGHTS).write_bytes(b"\xff" * 64)


def damage_config(folder: Path) -> None:
    (folder / precheck.CONFIG).write_text("[" * 100_000)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (damage_missing, "adapter_config.json missing"),
        (damage_changed, "on record is"),
        (damage_cut, "header describes 256"),
        (damage_base, "for another/base"),
        (damage_rank, "the rank is 8"),
        (damage_dtype, "not described as a float tensor"),
        (damage_header, "no safetensors header"),
        (damage_config, "not a JSON object"),
    ],
)
def test_a_damaged_adapter_stops_the_rollback(
    reg: Registry, adapted: Callable[..., str], tmp_path: Path,
    damage: Callable[[Path], None], says: str,
) -> None:  # fmt: skip
    a, b = adapted(1), adapted(2)
    for name in (a, b):
        go(reg, promotion(name), probe=precheck.local_facts)
    damage(tmp_path / "adapter-1")
    server = NoServer()
    with pytest.raises(Refused, match="not as recorded") as e:
        go(reg, RollBack(PROD, "ada", "x"), server, probe=precheck.local_facts)
    assert says in e.value.why
    assert live_name(reg) == b and ("load", a) not in server.calls


def test_another_template_than_the_servers_is_seen(
    reg: Registry, adapted: Callable[..., str]
) -> None:
    a, b = adapted(1, template="a" * 64), adapted(2, template="b" * 64)
    go(reg, promotion(a), probe=precheck.local_facts)
    with pytest.raises(Refused) as e:
        go(reg, promotion(b), probe=precheck.local_facts)
    assert "template: trained with bbbbbbbbbbbb" in e.value.why
    version = versions.get(reg, b)
    served = Facts("host", {}, template_sha256="b" * 64)
    assert precheck._template(version, served, versions.get(reg, a)).ok, "the server's counts"


def test_hostile_headers_are_judged_not_believed() -> None:
    for header in ({}, {"x": 1}, {"x": {"dtype": "F32", "shape": [-1], "data_offsets": [0, -4]}},
                   {"x": {"dtype": "F32", "shape": "ab", "data_offsets": [0, 4]}},
                   {"x": {"dtype": [], "shape": [1], "data_offsets": [0, 4]}}):  # fmt: skip
        assert precheck.header_fault(header, {"r": 4}, 4)


# ── crashes ─────────────────────────────────────────────────────────────────────────────────────


def killed_at(statement: int, path: Path, server: Path, order: releases.Order) -> bool:
    """Release in a child that is killed when its n-th statement begins. False: it got through."""
    pid = os.fork()
    if pid == 0:
        try:
            reg = open_registry(path, seed=False)
            count = 0

            def trace(sql: str) -> None:
                nonlocal count
                count += 1
                if count == statement:
                    os.kill(os.getpid(), signal.SIGKILL)

            reg.conn.set_trace_callback(trace)
            go(reg, order, Server(server))
            os._exit(0)
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, f"statement {statement}"
    return os.WIFSIGNALED(status)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("what", ["promotion", "rollback", "return"])
def test_killed_between_any_two_steps(tmp_path: Path, what: str) -> None:
    """Whatever the moment: after `recover` registry and server agree, and all is as before or done."""
    outcomes, statement, got_through = set(), 0, False
    while not got_through:
        statement += 5  # not each: transactions are tested one by one elsewhere
        path, state = tmp_path / f"{statement}.db", tmp_path / f"{statement}.server"
        first, second = prepared(path)
        environment = PROD if what == "promotion" else "staging"
        before, after = (first, second) if what == "promotion" else (second, first)
        server = Server(state)
        server.load(before)
        server.switch(environment, before)
        orders = {
            "promotion": promotion(second),
            "rollback": RollBack(environment, "x", "x"),
            "return": Return(environment, "x", DAY),
        }
        got_through = not killed_at(statement, path, state, orders[what])  # type: ignore[arg-type]
        with open_registry(path, seed=False) as reg:
            found = releases.recover(reg, server)
            outcomes |= {r.outcome for r in found}
            assert releases.recover(reg, server) == (), "once is enough"
            assert health.check(reg) == () and releases.open_releases(reg) == 0
            now = live_name(reg, environment)
            assert now in (before, after)
            assert server.state["routes"][environment] == now
            assert now in server.state["loaded"]
            if any(r.outcome == "completed" for r in found) or got_through:
                assert now == after
            if any(r.outcome == "undone" for r in found):
                assert now == before and after not in server.state["loaded"]
        assert statement < 400
    assert outcomes == {"completed", "undone"}


KILLED = """
import os, signal, sys
from core.registry import open_registry, releases
from core.registry.orders import Promote
class Killer:
    name = "server"
    def load(self, v): os.kill(os.getpid(), signal.SIGKILL)
    def drop(self, v): pass
reg = open_registry(sys.argv[1], seed=False)
releases.release(reg, Promote(sys.argv[2], "production", "bob", "x"), serving=Killer())
"""


def test_a_next_release_settles_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    _, second = prepared(path)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(path), second], cwd=locations.project_root()
    )
    assert done.returncode == -signal.SIGKILL
    said: list[str] = []
    with open_registry(path, seed=False) as reg:
        assert releases.open_releases(reg) == 1
        go(reg, promotion(second), NoServer(), say=said.append)
        assert live_name(reg) == second
    assert f"an interrupted promotion of {second} to production was undone" in said[0]


CONTENDER = """
import sys
from core.errors import Refused
from core.registry import open_registry, releases
from core.registry.orders import Promote
reg = open_registry({path!r}, seed=False)
print("ready", flush=True)
sys.stdin.readline()
try:
    releases.release(reg, Promote(sys.argv[1], "production", sys.argv[1], "mine", expected_live=None))
    print("won")
except Refused as e:
    print(e.what)
"""


def test_two_processes_promote_at_once(reg: Registry, evaluated: Evaluated) -> None:
    names = [evaluated(), evaluated()]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", CONTENDER.format(path=str(reg.path)), name],
            cwd=locations.project_root(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for name in names
    ]  # fmt: skip
    for p in running:
        assert p.stdout is not None and p.stdout.readline() == "ready\n"
    for p in running:
        assert p.stdin is not None
        p.stdin.write("go\n")
        p.stdin.flush()
    said = {n: p.communicate(timeout=60)[0].strip() for n, p in zip(names, running, strict=True)}
    (winner,) = [n for n in names if said[n] == "won"]
    (loser,) = [n for n in names if n != winner]
    assert "changed under you" in said[loser]
    assert live_name(reg) == winner and len(versions.history(reg)) == 1
    assert health.check(reg) == () and releases.open_releases(reg) == 0


def test_what_is_under_way_elsewhere_is_left_alone(
    reg: Registry, evaluated: Evaluated, stored: Snapshot
) -> None:
    a, b = evaluated(), evaluated()

    class Asking(NoServer):
        """Looks at the registry from outside in the middle of a release."""

        def load(self, model_version: str) -> None:
            with open_registry(reg.path, seed=False) as other:
                (left,) = releases.recover(other)
                assert (left.outcome, left.to_version) == ("under way", a)
                with pytest.raises(Refused, match="being changed under you") as e:
                    go(other, promotion(b))
                assert f"ada has begun a promotion to {a}" in e.value.why
                go(other, promotion(b, "staging"))

    go(reg, promotion(a), Asking())
    assert (live_name(reg), live_name(reg, "staging")) == (a, b)
