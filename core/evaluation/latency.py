"""Latency at stated rates: requests leave when the schedule says, whatever became of those before.

The schedule is fixed before the first request, and a request's latency counts from the moment it was
due. A server that stalls therefore delays everything behind it in the figures too, as it would in
life; a client that waits for an answer before it asks again would leave just those out.

    DIR/latency.json                    figures, one entry a target and rate
    DIR/latency/<target>-<rate>.jsonl   every request: due, sent, connected, first, last (seconds
                                        since the start of the run), tokens, error

Percentiles are order statistics, and so are the ends of their 95 % intervals: no shape is assumed. A
request without an answer is slower than any other.
"""

from __future__ import annotations

import json
import math
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from core.errors import UsageError
from core.evaluation.latency_difference import difference
from core.evaluation.openai_http import EndpointFailed
from core.evaluation.recorded import Recorded, Timed, finite, percentiles
from core.evaluation.statistics import percentile
from core.evaluation.targets import Reply, Target

Spacing = Literal["random", "even"]
MOST_IN_FLIGHT = 512
LATE_S = 0.05  # a client that is later than this with its own requests is part of what it measures


@dataclass(frozen=True, slots=True)
class Shot:
    """One request. Times in seconds since the start of the run; None where it did not get there.

    due: when the schedule wanted it.  sent: when it left.
    """

    n: int
    id: str
    due: float
    sent: float | None
    connected: float | None = None
    first: float | None = None
    last: float | None = None
    tokens: int | None = None
    characters: int = 0
    finish: str = ""
    error: str = ""

    @property
    def latency(self) -> float:
        return self.last - self.due if self.last is not None and not self.error else math.inf

    @property
    def to_first(self) -> float:
        return self.first - self.due if self.first is not None and not self.error else math.inf


def schedule(
    rate: float, seconds: float, *, spacing: Spacing = "random", seed: int = 0
) -> list[float]:
    """Seconds at which requests are due. random: exponential gaps (people are no metronome), the
    same for the same seed.  Raises UsageError: no request would leave.
    """
    if not (math.isfinite(rate) and math.isfinite(seconds) and rate > 0 and seconds > 0):
        raise UsageError(f"no rate of requests: {rate:g} a second for {seconds:g} s")
    if spacing == "even":
        due = [n / rate for n in range(math.ceil(rate * seconds - 1e-9))]
    else:
        source, at, due = random.Random(seed), 0.0, []
        while (at := at + source.expovariate(rate)) < seconds:
            due.append(at)
    if not due:
        raise UsageError(
            f"{rate:g} requests a second for {seconds:g} s are none", try_next="measure longer"
        )
    return due


def warm_up(target: Target, questions: Sequence[tuple[str, str]], n: int) -> None:
    """Ask n questions one after the other, uncounted. Raises EndpointFailed if none is answered."""
    replies = [target.ask(questions[k % len(questions)][1]) for k in range(n)]
    if replies and all(r.error for r in replies):
        raise EndpointFailed(
            f"{target.name} answers nothing",
            why=replies[-1].error,
            try_next="ask it one question by hand first",
        )


def run(
    target: Target,
    questions: Sequence[tuple[str, str]],
    due: Sequence[float],
    keep: Callable[[Shot], None],
    *,
    most_in_flight: int = MOST_IN_FLIGHT,
    grace_s: float,
) -> list[Shot]:
    """Send each request when it is due. questions: (id, text), taken in turn.

    keep: gets every request when it has ended, from one thread at a time.  grace_s: how long after
    the last due time answers are waited for; what has not left by then is a failed request.
    """
    lock, shots = threading.Lock(), []
    began = time.perf_counter()

    def now() -> float:
        return time.perf_counter() - began

    def done(shot: Shot) -> None:
        with lock:
            shots.append(shot)
            keep(shot)

    def send(n: int) -> None:
        name, text = questions[n % len(questions)]
        sent = now()
        done(_shot(n, name, due[n], sent, target.ask(text)))

    pool = ThreadPoolExecutor(max_workers=min(most_in_flight, len(due)), thread_name_prefix="shot")
    sending: list[Future[None]] = []
    try:
        for n, at in enumerate(due):
            if (early := at - now()) > 0:
                time.sleep(early)
            sending.append(pool.submit(send, n))
        wait(sending, timeout=max(0.0, due[-1] + grace_s - now()))
        for n, future in enumerate(sending):
            if future.cancel():
                name = questions[n % len(questions)][0]
                done(Shot(n, name, due[n], None, error="did not leave: too many were on their way"))
        left = [f for f in sending if not f.cancelled()]
        if wait(left, timeout=grace_s).not_done:
            target.cut()
            wait(left)
    except BaseException:
        target.cut()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    for future in sending:
        if not future.cancelled():
            future.result()  # a full disk, a fault of ours: not to be swallowed
    return sorted(shots, key=lambda s: s.n)


def _shot(n: int, name: str, due: float, sent: float, reply: Reply) -> Shot:
    def since_start(seconds: float | None) -> float | None:
        return None if seconds is None else round(sent + seconds, 6)

    return Shot(
        n,
        name,
        round(due, 6),
        round(sent, 6),
        since_start(reply.connected),
        since_start(reply.first),
        since_start(reply.last),
        reply.tokens,
        reply.characters,
        reply.finish,
        reply.error,
    )


def figures(shots: Sequence[Shot]) -> dict[str, Any]:
    """Seconds with 95 % intervals; None where a share of requests without an answer, or too few
    requests, leave no number. tokens_per_s: of all together; of one: after its first token, median.
    """
    good = [s for s in shots if not s.error]
    late = [s.sent - s.due for s in shots if s.sent is not None]
    begins = [s.to_first for s in shots]
    ends = [s.last for s in good if s.last is not None]
    span = max(ends) - min(s.due for s in shots) if ends else 0.0
    tokens = [s.tokens for s in good if s.tokens is not None]
    speeds = [
        (s.tokens - 1) / (s.last - s.first)
        for s in good
        if s.tokens and s.tokens > 1 and s.first is not None and s.last and s.last > s.first
    ]
    return {
        "n": len(shots),
        "failed": len(shots) - len(good),
        "errors": dict(Counter(s.error for s in shots if s.error).most_common(10)),
        "latency": percentiles([s.latency for s in shots]),
        "latencies_s": sorted(round(s.latency, 6) for s in good),
        "first_token": percentiles(begins) if any(map(math.isfinite, begins)) else None,
        "answered_per_s": round(len(good) / span, 3) if span else None,
        "tokens_per_s": round(sum(tokens) / span, 2) if tokens and span else None,
        "tokens_per_s_of_one": finite(percentile(speeds, 0.5)),
        "tokens_per_answer": finite(percentile([float(t) for t in tokens], 0.5)),
        "sent_late_p99": finite(percentile(late, 0.99)),
    }


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent: rates in requests a second, each for `seconds`; warm_up requests before them."""

    rates: tuple[float, ...]
    seconds: float
    warm_up: int = 5
    spacing: Spacing = "random"
    seed: int = 0
    most_in_flight: int = MOST_IN_FLIGHT
    grace_s: float = 300.0


def measure(
    targets: Sequence[Target],
    questions: Sequence[tuple[str, str]],
    load: Load,
    out: Path,
    say: Callable[[str], None],
    recorded: Mapping[str, Recorded] | None = None,
) -> dict[str, Any]:
    """Every target at every rate, on the same schedules; the document, which the caller writes.

    The first target is held against the others at the same rate, request by request, and against
    `recorded` (name → what was recorded elsewhere).
    Raises UsageError (a rate without requests), EndpointFailed (a target that answers nothing).
    """
    schedules = {
        r: schedule(r, load.seconds, spacing=load.spacing, seed=load.seed) for r in load.rates
    }
    folder = out / "latency"
    folder.mkdir(parents=True, exist_ok=True)
    results: list[dict[str, Any]] = []
    timed: dict[tuple[str, float], list[Shot]] = {}
    for target in targets:
        say(f"{target.name}: {target.what}; warming up with {load.warm_up}")
        warm_up(target, questions, load.warm_up)
        for rate, due in schedules.items():
            say(f"{target.name}: {len(due)} requests, {rate:g} a second")
            file = folder / f"{re.sub(r'[^A-Za-z0-9._-]+', '_', target.name)}-{rate:g}.jsonl"
            about = {
                "target": target.name,
                "what": target.what,
                "rate": rate,
                "seconds": load.seconds,
                "spacing": load.spacing,
                "seed": load.seed,
                "started_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            }
            with open(file, "wb", buffering=0) as raw:
                raw.write(json.dumps(about, ensure_ascii=True).encode() + b"\n")

                def keep(shot: Shot, raw: Any = raw) -> None:
                    raw.write(json.dumps(asdict(shot), ensure_ascii=True).encode() + b"\n")

                shots = run(
                    target,
                    questions,
                    due,
                    keep,
                    most_in_flight=load.most_in_flight,
                    grace_s=load.grace_s,
                )
            timed[target.name, rate] = shots
            found = figures(shots)
            results.append({**about, "raw": f"latency/{file.name}", **found})
            if (found["sent_late_p99"] or 0.0) > LATE_S:
                say(
                    f"{target.name}: this machine was {found['sent_late_p99']:.2f} s late with its own "
                    "requests; measure from a quieter one"
                )
    return {
        "load": asdict(load),
        "questions": len(questions),
        "targets": list(dict.fromkeys(t.name for t in targets)),
        "results": results,
        "recorded": {name: r.as_dict() for name, r in (recorded or {}).items()},
        "differences": _differences(targets, timed, recorded or {}),
    }


def _differences(
    targets: Sequence[Target],
    timed: Mapping[tuple[str, float], list[Shot]],
    recorded: Mapping[str, Recorded],
) -> list[dict[str, Any]]:
    """The first target minus each other, and minus what was recorded, at every rate."""
    out: list[dict[str, Any]] = []
    first = targets[0].name if targets else ""
    for (name, rate), shots in timed.items():
        if name != first:
            ours, theirs = (
                [Timed(str(s.n), s.latency) for s in part] for part in (timed[first, rate], shots)
            )
            about = {"target": first, "against": name, "rate": rate}
            out.append({**about, **difference(ours, theirs)})
            continue
        own = [Timed(s.id, s.latency) for s in shots]
        for elsewhere, record in recorded.items():
            about = {"target": first, "against": elsewhere, "rate": rate}
            out.append({**about, **difference(own, record.requests)})
    return out
