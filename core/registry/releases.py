"""A release from end to end: pre-check, load, switch, serve, smoke questions, keep the old one warm.

    open ─ precheck ─ load ─ switch ─ serve ─ smoke ─ warm ─ done
                        └─ undone      └──────┴─ switch back ─ failed

Each step is a row in a journal before its side effect and after it; the switch itself is one
transaction with its row. Whoever finds an open release whose process is gone (`recover`) undoes it if
the registry has not switched, and completes it if it has. One release an environment at a time: the
lock is the kernel's and ends with the process that holds it.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from core.errors import QAError, Refused, RegistryError
from core.pairs import canonical_json
from core.registry import deployments, precheck, records
from core.registry.deployments import Kind, Switch, live_row
from core.registry.precheck import Check, Probe, local_facts
from core.registry.records import Deployment
from core.registry.serving_hooks import NoServer, Serving, Smoke
from core.registry.store import Registry, clean, utc_now

Say = Callable[[str], None]


class Order(Protocol):
    """What is wanted: see orders.py."""

    @property
    def kind(self) -> Kind: ...
    @property
    def environment(self) -> str: ...
    @property
    def who(self) -> str: ...
    @property
    def reason(self) -> str: ...
    def target(self, reg: Registry) -> str:
        """The version that will be live. Raises what stands against it."""

    def act(self, reg: Registry, evidence: Mapping[str, str]) -> Deployment:
        """The switch in the registry. Raises what stands against it now."""


@dataclass(frozen=True, slots=True)
class Released:
    """What was done. not_checked: parts of the pre-check that nobody could look at."""

    deployment: Deployment
    checks: tuple[Check, ...]
    smoke: tuple[Smoke, ...]
    server: str

    @property
    def not_checked(self) -> tuple[str, ...]:
        return tuple(precheck.not_checked(self.checks))


@dataclass(frozen=True, slots=True)
class Recovered:
    """A release that a killed process left behind, and what became of it."""

    environment: str
    kind: str
    from_version: str | None
    to_version: str
    outcome: str  # completed, undone, switched back, under way
    detail: str


@dataclass(frozen=True, slots=True)
class _Open:
    """A row of the journal."""

    id: int
    environment: str
    kind: str
    from_version: str | None
    to_version: str
    who: str
    questions: tuple[str, ...]
    deployment_id: int | None


def release(
    reg: Registry,
    order: Order,
    *,
    serving: Serving | None = None,
    probe: Probe = local_facts,
    questions: Sequence[str] = (),
    window_s: float = 24 * 3600.0,
    say: Say = lambda text: None,
) -> Released:
    """Carry out an order. A release of the same environment that was cut off is settled first.

    probe: looks at the adapter's files.  questions: asked right after the switch; before it where
    there is nothing to go back to.  window_s: how long the version that is left stays loaded.
    Raises Refused (a precondition, the pre-check, another release under way, smoke questions that
    failed: then it has been switched back) and whatever the server raises.
    """
    serving = serving or NoServer()
    with _alone(reg, order.environment):
        for left in _open_ones(reg, order.environment):
            say(_tell(_settle(reg, left, serving, window_s)))
        before = live_row(reg, order.environment)
        target = records.get(reg, order.target(reg))
        current = None if before is None else records.get(reg, before["model_version"])
        job = _begin(
            reg, order, current.model_version if current else None, target.model_version, questions
        )
        smoke: tuple[Smoke, ...] = ()
        try:
            checks = precheck.check(target, probe(target), current)
            _note(reg, job, "precheck", "done", "; ".join(f"{c.name}: {c.detail}" for c in checks))
            precheck.require_sound(target, checks)
            for unseen in precheck.not_checked(checks):
                say(f"not checked: {unseen}")
            _note(reg, job, "load", "begun", serving.name)
            serving.load(target.model_version)
            _note(reg, job, "load", "done", serving.name)
            if current is None:
                smoke = _smoke(reg, job, serving)
            job, done = _switch(reg, job, order, _as_evidence(checks))
        except BaseException as e:
            _undo(reg, job, serving, e)
            raise
        smoke = _finish(reg, job, serving, window_s, ask=current is not None) or smoke
    return Released(done, checks, smoke, serving.name)


def recover(
    reg: Registry, serving: Serving | None = None, *, window_s: float = 24 * 3600.0
) -> tuple[Recovered, ...]:
    """Settle every release whose process is gone. Doing it again finds nothing to do."""
    found = []
    for left in _open_ones(reg):
        try:
            with _alone(reg, left.environment):
                still = [o for o in _open_ones(reg, left.environment) if o.id == left.id]
                if still:
                    found.append(_settle(reg, still[0], serving or NoServer(), window_s))
        except Refused:
            found.append(_recovered(left, "under way", "another process is at it"))
    return tuple(found)


def open_releases(reg: Registry) -> int:
    """How many releases have begun and not ended."""
    return int(reg.value("SELECT count(*) FROM releases WHERE state = 'open'"))


def steps(reg: Registry, *, limit: int = 200) -> list[dict[str, Any]]:
    """The journal, newest first: {release, environment, kind, to_version, step, state, at, detail}."""
    rows = reg.rows(
        "SELECT r.id AS release, r.environment, r.kind, r.to_version, s.step, s.state, s.at,"
        " s.detail FROM release_steps AS s JOIN releases AS r ON r.id = s.release_id"
        " ORDER BY r.id DESC, s.position DESC LIMIT ?",
        (limit,),
    )
    return [dict(r) for r in rows]


# ── the steps ───────────────────────────────────────────────────────────────────────────────────


def _begin(
    reg: Registry, order: Order, before: str | None, target: str, questions: Sequence[str]
) -> _Open:
    with reg.writing():
        asked = clean(canonical_json(list(questions)))
        sql = (
            "INSERT INTO releases (environment, kind, from_version, to_version, who, reason, smoke,"
            " state, started_at) VALUES (?, ?, ?, ?, ?, ?, ?, 'open', ?) RETURNING id"
        )
        values = (order.environment, order.kind, before, target, clean(order.who),
                  clean(order.reason), asked, utc_now())  # fmt: skip
        new_id = int(reg.value(sql, values))
    return _Open(
        new_id, order.environment, order.kind, before, target, clean(order.who),
        tuple(questions), None,
    )  # fmt: skip


def _switch(
    reg: Registry, job: _Open, order: Order, evidence: Mapping[str, str]
) -> tuple[_Open, Deployment]:
    with reg.writing():
        if order.target(reg) != job.to_version:
            raise Refused(
                f"{job.environment} changed under you", try_next="look again, then decide"
            )
        done = order.act(reg, evidence)
        reg.execute("UPDATE releases SET deployment_id = ? WHERE id = ?", (done.id, job.id))
        _note(reg, job, "switch", "done", f"deployment {done.id}")
    return _read(reg, job.id), done


def _finish(
    reg: Registry, job: _Open, serving: Serving, window_s: float, *, ask: bool
) -> tuple[Smoke, ...]:
    """What follows the switch in the registry. Switches back, and raises, if the server refuses."""
    smoke: tuple[Smoke, ...] = ()
    try:
        _note(reg, job, "serve", "begun", serving.name)
        serving.switch(job.environment, job.to_version)
        _note(reg, job, "serve", "done", serving.name)
        if ask:
            smoke = _smoke(reg, job, serving)
    except Exception as e:
        _switch_back(reg, job, serving, e)
        raise
    if job.from_version is not None:
        _note(reg, job, "warm", "begun", job.from_version)
        with suppress(QAError):  # not worth undoing a good release for
            serving.keep_warm(job.from_version, window_s)
    _close(reg, job, "done", "warm", job.from_version or "nothing was live before")
    return smoke


def _smoke(reg: Registry, job: _Open, serving: Serving) -> tuple[Smoke, ...]:
    if not job.questions:
        _note(reg, job, "smoke", "skipped", "no questions are to be asked")
        return ()
    _note(reg, job, "smoke", "begun", f"{len(job.questions)} questions")
    results = tuple(serving.smoke(job.to_version, job.questions))
    if not results:
        _note(reg, job, "smoke", "skipped", f"{serving.name}: nothing was asked")
        return ()
    bad = [r for r in results if not r.ok]
    detail = f"{len(results) - len(bad)} of {len(results)} answered as they should be"
    if bad:
        first = "; ".join(f"{r.question[:80]}: {r.detail[:120]}" for r in bad[:3])
        _note(reg, job, "smoke", "failed", f"{detail}; {first}")
        home = f"{job.environment} stays on {job.from_version}" if job.from_version else (
            f"nothing is live in {job.environment}"
        )  # fmt: skip
        raise Refused(
            f"{len(bad)} of {len(results)} smoke questions failed on {job.to_version}: {home}",
            why=first,
            try_next="see what the server says, evaluate the version again, then promote it",
        )
    _note(reg, job, "smoke", "done", detail)
    return results


def _undo(reg: Registry, job: _Open, serving: Serving, error: BaseException) -> None:
    """Before the switch: nothing is live that was not live before."""
    with suppress(QAError):
        serving.drop(job.to_version)
    _close(reg, job, "undone", "undo", _words(error))


def _switch_back(reg: Registry, job: _Open, serving: Serving, error: Exception | str) -> None:
    """After the switch: what was live before is live again, and the server is told."""
    why = _words(error)
    with reg.writing():
        current = live_row(reg, job.environment)
        mine = current is not None and current["id"] == job.deployment_id
        if current is not None and mine:
            _leave(reg, job, current, f"switched back: {why}")
        _note(reg, job, "switch_back", "done", why)
    _serve_back(reg, job, serving)


def _leave(reg: Registry, job: _Open, current: sqlite3.Row, why: str) -> None:
    before = reg.one("SELECT * FROM deployments WHERE id = ?", (current["replaced"],))
    if before is None:
        deployments.withdraw(reg, current, job.who, why)
        return
    back = Switch(
        kind="rollback",
        model_version=before["model_version"],
        environment=job.environment,
        who=job.who,
        reason=why,
        returns_to=before["returns_to"],
    )
    deployments.switch(reg, back, current)


def _serve_back(reg: Registry, job: _Open, serving: Serving) -> None:
    now = live_row(reg, job.environment)
    try:
        if now is not None:
            serving.switch(job.environment, now["model_version"])
        serving.drop(job.to_version)
        detail = serving.name
    except QAError as e:
        detail = f"the server did not follow: {_words(e)}"
    _close(reg, job, "failed", "serve_back", detail)


# ── after a crash ───────────────────────────────────────────────────────────────────────────────


def _settle(reg: Registry, job: _Open, serving: Serving, window_s: float) -> Recovered:
    """Undo or complete a release whose process is gone."""
    if job.deployment_id is None:
        _undo(reg, job, serving, RegistryError("its process was killed before the switch"))
        return _recovered(job, "undone", f"{job.from_version or 'nothing'} stays live")
    past = {r["step"] for r in reg.rows(_STEPS_OF, (job.id,))}
    if "switch_back" in past:
        _serve_back(reg, job, serving)
        return _recovered(job, "switched back", "as it had been decided before the crash")
    try:
        _finish(reg, job, serving, window_s, ask=job.from_version is not None)
    except QAError as e:
        return _recovered(job, "switched back", e.what)
    return _recovered(job, "completed", f"{job.to_version} is live")


_STEPS_OF = "SELECT step FROM release_steps WHERE release_id = ?"


def _recovered(job: _Open, outcome: str, detail: str) -> Recovered:
    return Recovered(job.environment, job.kind, job.from_version, job.to_version, outcome, detail)


def _tell(r: Recovered) -> str:
    return (
        f"an interrupted {r.kind} of {r.to_version} to {r.environment} was {r.outcome}: {r.detail}"
    )


# ── the journal ─────────────────────────────────────────────────────────────────────────────────


def _note(reg: Registry, job: _Open, step: str, state: str, detail: str) -> None:
    with reg.writing():
        reg.execute(
            "INSERT INTO release_steps SELECT ?, coalesce(max(position), 0) + 1, ?, ?, ?, ?"
            " FROM release_steps WHERE release_id = ?",
            (job.id, step, state, utc_now(), clean(detail)[:2000], job.id),
        )


def _close(reg: Registry, job: _Open, state: str, step: str, detail: str) -> None:
    with reg.writing():
        _note(reg, job, step, "done", detail)
        sql = "UPDATE releases SET state = ?, ended_at = ? WHERE id = ? AND state = 'open'"
        reg.execute(sql, (state, utc_now(), job.id))


def _open_ones(reg: Registry, environment: str | None = None) -> list[_Open]:
    rows = reg.rows("SELECT * FROM releases WHERE state = 'open' ORDER BY id")
    return [_as_open(r) for r in rows if environment in (None, r["environment"])]


def _read(reg: Registry, number: int) -> _Open:
    row = reg.one("SELECT * FROM releases WHERE id = ?", (number,))
    assert row is not None
    return _as_open(row)


def _as_open(row: sqlite3.Row) -> _Open:
    return _Open(
        row["id"],
        row["environment"],
        row["kind"],
        row["from_version"],
        row["to_version"],
        row["who"],
        tuple(json.loads(row["smoke"])),
        row["deployment_id"],
    )


@contextmanager
def _alone(reg: Registry, environment: str) -> Iterator[None]:
    """The one release of an environment on this registry file. Raises Refused while another runs."""
    deployments.known_environment(environment)
    path = reg.path.with_name(f"{reg.path.name}.{environment}.lock")
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as e:
        raise RegistryError(
            f"{path}: cannot be opened for writing",
            why=e.strerror or str(e),
            try_next="make the registry's folder writable",
        ) from e
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _under_way(reg, environment) from None
        yield
    finally:
        os.close(handle)


def _under_way(reg: Registry, environment: str) -> Refused:
    others = _open_ones(reg, environment)
    who = (
        f"{others[0].who} has begun a {others[0].kind} to {others[0].to_version}" if others else ""
    )
    return Refused(
        f"{environment} is being changed under you",
        why=who or "another release of it has just begun",
        try_next="wait for it to end, look again, then decide",
    )


def _as_evidence(checks: Sequence[Check]) -> dict[str, str]:
    word = {True: "ok", False: "wrong", None: "not checked"}
    return {f"precheck_{c.name}": word[c.ok] for c in checks}


def _words(error: BaseException | str) -> str:
    if isinstance(error, QAError):
        return error.what
    return error if isinstance(error, str) else str(error) or type(error).__name__
