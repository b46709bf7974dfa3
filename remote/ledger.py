"""The registry of record on a host, through its helper: a `core.registry.ledger.Ledger`."""

from __future__ import annotations

import base64
import secrets
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.errors import RegistryError
from core.registry.ledger import BLOCK, DIGEST, MAX_BLOCKS, Head, HeadMoved
from core.registry.marks import head_from, mark_of
from remote.helper_client import Carrier

AT_ONCE = 48  # blocks in one question: 3 MiB before packing
SLOW_S = 300.0


def ledger_for(path: Path, route_to: Callable[[str], Carrier]) -> HostLedger | None:
    """The ledger that the registry at `path` is shared through; None if it is one laptop's own.

    route_to: a route that is up to the host of that name, which need not be the host worked on.
    """
    mark = mark_of(path)
    return None if mark is None else HostLedger(route_to(mark.host), mark.host)


class HostLedger:
    """name: of the host. Thread-safe, as its helper is."""

    def __init__(self, route: Carrier, name: str) -> None:
        self._route = route
        self.name = name

    def head(self) -> Head | None:
        """Raises RouteError, RegistryError (the host's answer is not one)."""
        return self._head(self._call("ledger_head"))

    def blocks(self, generation: int) -> bytes:
        answer = self._call("ledger_blocks", generation=generation)
        if answer is None:
            raise HeadMoved("that generation is gone")
        hashes = _decoded(answer)
        if hashes is None or len(hashes) % DIGEST or len(hashes) > MAX_BLOCKS * DIGEST:
            raise self._odd("a list of blocks")
        return hashes

    def fetch(self, generation: int, numbers: Sequence[int]) -> Iterator[bytes]:
        for start in range(0, len(numbers), AT_ONCE):
            some = list(numbers[start : start + AT_ONCE])
            answer = self._call("ledger_get_blocks", generation=generation, numbers=some)
            if answer is None:
                raise HeadMoved("that generation is gone")
            if not isinstance(answer, list) or len(answer) != len(some):
                raise self._odd("blocks")
            for text in answer:
                data = _unpacked(text)
                if data is None:
                    raise self._odd("a block")
                yield data

    def put(
        self, base: Head | None, new: Head, hashes: bytes, block: Callable[[int], bytes]
    ) -> Head:
        token = f"put-{secrets.token_hex(12)}"
        values = {
            "token": token,
            "base": None if base is None else {"generation": base.generation, "root": base.root},
            "new": asdict(new),
            "hashes": base64.b64encode(hashes).decode(),
        }
        self._stage(token, _differing(hashes, self._known(base)), block)
        while True:
            answer = self._call("ledger_put", **values)
            if not isinstance(answer, dict):
                raise self._odd("an answer")
            if "moved" in answer:
                raise HeadMoved(f"another generation was put on {self.name} first")
            if "missing" not in answer:
                return self._head(answer.get("head")) or new
            numbers = answer["missing"]
            count = len(hashes) // DIGEST
            if not isinstance(numbers, list) or not numbers or not all(
                type(n) is int and 0 <= n < count for n in numbers
            ):  # fmt: skip
                raise self._odd("a list of missing blocks")
            self._stage(token, numbers, block)

    def _known(self, base: Head | None) -> bytes:
        return b"" if base is None else self.blocks(base.generation)

    def _stage(self, token: str, numbers: Iterable[int], block: Callable[[int], bytes]) -> None:
        packed: list[list[Any]] = []
        for number in numbers:
            data = zlib.compress(block(number), 1)
            packed.append([number, base64.b64encode(data).decode()])
            if len(packed) == AT_ONCE:
                self._call("ledger_stage", token=token, packed=packed)
                packed = []
        if packed:
            self._call("ledger_stage", token=token, packed=packed)

    def _call(self, op: str, **values: Any) -> Any:
        return self._route.helper().call(op, timeout=SLOW_S, **values)

    def _head(self, answer: Any) -> Head | None:
        try:
            return head_from(answer)
        except (ValueError, KeyError, TypeError):
            raise self._odd("a head") from None

    def _odd(self, what: str) -> RegistryError:
        return RegistryError(
            f"{self.name} sent {what} of the registry that this program does not understand",
            try_next="look at <workdir>/registry on the host; this replica was left as it is",
        )


def _differing(hashes: bytes, known: bytes) -> Iterator[int]:
    for i in range(len(hashes) // DIGEST):
        place = slice(i * DIGEST, (i + 1) * DIGEST)
        if hashes[place] != known[place]:
            yield i


def _decoded(text: Any) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, TypeError):
        return None


def _unpacked(text: Any) -> bytes | None:
    """At most a block, whatever the host sends."""
    data = _decoded(text)
    if data is None:
        return None
    try:
        packed = zlib.decompressobj()
        out = packed.decompress(data, BLOCK)
    except zlib.error:
        return None
    return out if packed.eof and not packed.unconsumed_tail else None
