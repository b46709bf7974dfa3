"""Importing pairs by the quarter million, freezing them, and finding them again.

Import: reading, checking, hashing, storing and indexing of one JSONL file. Search: words of stored
questions, as asked, with one word wrong, with all but two words wrong, and while typed; the peer is
FTS5's own ranking (any of the words, BM25) over the same index.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import accumulate
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.figures import Figure, median
from core.pairs import Reading
from core.registry import Registry, open_registry, search, snapshots
from core.snapshots import Freezer, Snapshot, manifest_pieces

PAIRS = int(os.environ.get("QA_BENCH_PAIRS", "250000"))
QUERIES = 200
_PLACE = (
    "blue red star ridge fast deep iron river cloud stone north wave peak lake nova delta".split()
)
_PLACE += "anvil frost solar ember quartz mesa".split()
_TEMPLATES = (
    "Which versions of {package} are installed on {place}?",
    "How much memory do the nodes of {place} have for {package}?",
    "Can I run {package} with GPUs on {place}?",
    "How do I load the module {package} on {place}?",
    "What is the wall time limit on {place} when I use {package}?",
    "Who supports {package} users at {place}?",
)


def run() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as tmp:
        file = Path(tmp) / "pairs.jsonl"
        with open(file, "w", encoding="utf-8") as f:
            f.writelines(json.dumps(row) + "\n" for row in rows(PAIRS))
        with open_registry(Path(tmp) / "registry.db", seed=False, operator="bench") as reg:
            yield from _import(reg, file)
            yield from _search(reg)


def rows(count: int) -> Iterator[dict[str, Any]]:
    """Templated questions over 96 places and 4,000 packages; answers of Zipf-drawn words."""
    draw = random.Random(1)
    places = [f"{a}{b}" for a in _PLACE for b in _PLACE if a != b][:96]
    packages = [f"{draw.choice(_PLACE)}{draw.choice(('kit', 'sim', 'py'))}{n}" for n in range(4000)]
    syllables = [a + b for a in "bcdfglmnprstv" for b in "aeiou"]
    words = ["".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(20_000)]
    weights = list(accumulate(1 / (n + 1) for n in range(len(words))))
    for n in range(count):
        package, place = draw.choice(packages), draw.choice(places)
        source = f"compute-resources:{place}.example.org"
        filler = " ".join(draw.choices(words, cum_weights=weights, k=45))
        question = draw.choice(_TEMPLATES).format(package=package, place=place)
        if draw.random() < 0.5:
            question += f" I need it for {draw.choice(words)} {draw.choice(words)}"
        answer = (
            f"{place} has {draw.randint(1, 900)} builds of {package}. {filler}.\n\n<<SRC:{source}>>"
        )
        yield {
            "id": f"software-discovery_{package}_{place}_{n}",
            "source": draw.choice(("mcp_extraction", "user_qa", "doc_generated")),
            "source_ref": f"mcp://{source}",
            "domain": draw.choice(("compute-resources", "software-discovery", "doc")),
            "messages": [
                {"role": "user", "content": question},
                {"role": "assistant", "content": answer},
            ],
            "metadata": {
                "complexity": "simple",
                "granularity": "comprehensive",
                "has_citation": True,
                "created_at": "2026-11-22T00:00:00+00:00",
                "source_hash": f"{draw.getrandbits(64):016x}",
                "source_data": {"resource": {"id": place, "memory_per_node_gb": n % 2048}},
                "faithfulness_score": None,
                "suggested_decision": None,
            },
        }


def _import(reg: Registry, file: Path) -> Iterator[Figure]:
    with _locks_of(reg) as held:
        start, cpu = time.perf_counter(), time.process_time()
        snapshot = snapshots.freeze(reg, Reading(file))
        took, cpu = time.perf_counter() - start, time.process_time() - cpu
    print(f"import: {cpu:.1f} s of processor time", file=sys.stderr)
    limit = 30.0 * PAIRS / 250_000
    yield Figure(f"import of {PAIRS:,} pairs", "s", took, "limit", limit, 1.0, 1)
    yield Figure("longest write lock", "s", max(held), "limit", 1.0, 1.0, len(held))
    took, size = _frozen_again(snapshot)
    scale = PAIRS / 250_000
    yield Figure(f"freeze of {PAIRS:,} known hashes", "s", took, "limit", scale, 1.0, 1)
    yield Figure("manifest", "MB", size / 1e6, "limit", 12 * scale, 1.0, 1)


def _frozen_again(snapshot: Snapshot) -> tuple[float, int]:
    """(seconds, bytes of the manifest): from pairs whose hashes are known to the snapshot's id."""
    known = [
        SimpleNamespace(
            id=e.id, content_hash=e.content_hash, lesson_hash=e.lesson, source="s", domain="d"
        )
        for e in snapshot.entries
    ]
    start = time.perf_counter()
    freezer = Freezer()
    for pair in known:
        freezer.add(pair)  # type: ignore[arg-type]
    again = freezer.snapshot(created_at=snapshot.created_at)
    took = time.perf_counter() - start
    assert again.id == snapshot.id
    return took, len(zlib.compress(b"".join(manifest_pieces(again.entries)), 6))


def _search(reg: Registry) -> Iterator[Figure]:
    draw = random.Random(3)
    known = [row[0] for row in reg.rows("SELECT id FROM search_rows")]
    bodies = search.contents(reg, draw.sample(known, min(QUERIES, len(known))))
    asked = [pair["messages"][0]["content"] for _, pair in bodies.values()]
    kinds: dict[str, Callable[[str], str]] = {
        "as asked": lambda q: q,
        "one word wrong": lambda q: _wrong(q, 1, draw),
        "two words left": lambda q: _wrong(q, 99, draw),
        "being typed": lambda q: q[: draw.randint(3, len(q))],
    }
    for kind, change in kinds.items():
        queries = [change(q) for q in asked]
        ask = partial(search.find, reg, prefix=kind == "being typed")
        times = [_seconds(partial(ask, query)) for query in queries]
        yield Figure(f"search p95, {kind}", "s", _p95(times), "limit", 0.015, 1.0, len(times))
        peer = [_seconds(partial(_bm25, reg, query)) for query in queries[:60]]
        name = f"search p50, {kind}"
        yield Figure(name, "s", median(times), "BM25 of any word", median(peer), 1.0, len(peer))


def _wrong(question: str, count: int, draw: random.Random) -> str:
    """`count` words replaced by unknown ones; two stay at least."""
    words = question.split()
    for at in draw.sample(range(len(words)), min(count, len(words) - 2)):
        words[at] = f"zzq{draw.randint(0, 99)}"
    return " ".join(words)


def _bm25(reg: Registry, query: str) -> list[Any]:
    words = "".join(c if c.isalnum() else " " for c in query).split()
    sql = "SELECT rowid FROM search_questions WHERE search_questions MATCH ? ORDER BY rank LIMIT 10"
    rows = reg.rows(sql, (" OR ".join(f'"{w}"' for w in words),)) if words else []
    return list(search.contents(reg, [r[0] for r in rows]).values())


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


@contextmanager
def _locks_of(reg: Registry) -> Iterator[list[float]]:
    """How long each outermost transaction held the write lock, in seconds."""
    held: list[float] = []
    writing = reg.writing

    @contextmanager
    def timed() -> Iterator[None]:
        outermost = not reg.conn.in_transaction
        start = time.perf_counter()
        with writing():
            yield
        if outermost:
            held.append(time.perf_counter() - start)

    reg.writing = timed  # type: ignore[method-assign]
    try:
        yield held
    finally:
        del reg.writing
