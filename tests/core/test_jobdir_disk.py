"""Events outlive a full disk, and a reader outlives a file that was cut short."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from core.jobdir import EventWriter, read_events


class Disk:
    """A raw file with limited room."""

    def __init__(self, room: int) -> None:
        self.room, self.data = room, b""

    def write(self, data: bytes) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        part = bytes(data)[: self.room]
        self.room -= len(part)
        self.data += part
        return len(part)

    def close(self) -> None:
        pass


def on(disk: Disk, tmp_path: Path) -> EventWriter:
    events = EventWriter(tmp_path / "events.jsonl")
    events._file.close()
    events._file = disk  # type: ignore[assignment]
    return events


def kinds(disk: Disk, tmp_path: Path) -> list[dict[str, object]]:
    path = tmp_path / "read.jsonl"
    path.write_bytes(disk.data)
    return read_events(path)[0]


def test_events_wait_for_room_and_none_is_torn(tmp_path: Path) -> None:
    disk = Disk(room=100)
    events = on(disk, tmp_path)
    for step in range(50):
        events.metric(step, loss=0.5)
    disk.room = 1 << 20
    events.phase("save")
    read = kinds(disk, tmp_path)
    assert [e.get("step") for e in read] == [*range(50), None]


def test_what_does_not_fit_in_memory_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EventWriter, "HELD", 300)
    disk = Disk(room=0)
    events = on(disk, tmp_path)
    for step in range(50):
        events.metric(step)
    disk.room = 1 << 20
    events.phase("save")
    events.close()
    read = kinds(disk, tmp_path)
    steps = [e["step"] for e in read if e["kind"] == "metric"]
    (warning,) = [e["text"] for e in read if e["kind"] == "warning"]
    assert steps == list(range(len(steps))) and str(warning).startswith(f"{50 - len(steps)} events")
    assert read[-1]["name"] == "save"


def test_other_faults_are_not_hidden(tmp_path: Path) -> None:
    class Broken(Disk):
        def write(self, data: bytes) -> int:
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        on(Broken(0), tmp_path).phase("x")


def test_a_reader_begins_again_after_a_file_was_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"kind": "a"}\n{"kind": "b"}\n')
    _, offset = read_events(path)
    path.write_text('{"kind": "c"}\n')
    assert [e["kind"] for e in read_events(path, offset)[0]] == ["c"]
