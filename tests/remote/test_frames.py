"""Frames survive any way of being cut into pieces; what is no frame is refused."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote.agent.frames import MAX_DATA, MAX_HEADER, FrameError, FrameReader, pack, read_frame

headers = st.dictionaries(
    st.text(min_size=1, max_size=8).filter(lambda k: k != "n"),
    st.integers() | st.text(),
    max_size=3,
)
frames = st.lists(st.tuples(headers, st.binary(max_size=300)), max_size=6)


@given(frames, st.lists(st.integers(1, 97), min_size=1))
def test_any_cut_gives_the_same_frames(
    sent: list[tuple[dict[str, object], bytes]], steps: list[int]
) -> None:
    stream = b"".join(pack(h, d) for h, d in sent)
    reader, got, at, turn = FrameReader(), [], 0, 0
    while at < len(stream):
        step = steps[turn % len(steps)]
        got += reader.feed(stream[at : at + step])
        at, turn = at + step, turn + 1
    want = [(dict(h, n=len(d)), d) for h, d in sent]
    assert got == want
    blocking, again = io.BytesIO(stream), []
    while (frame := read_frame(blocking)) is not None:
        again.append(frame)
    assert again == want


@pytest.mark.parametrize(
    "line",
    [b"hello", b"[]", b'{"n": -1}', b'{"n": "3"}', b'{"n": true}', b'{"n": %d}' % (MAX_DATA + 1),
     b"{}", b'{"n": 1e3}', b"\xff\xfe", b"[" * 5000],
)  # fmt: skip
def test_what_is_no_header_is_refused(line: bytes) -> None:
    with pytest.raises(FrameError):
        FrameReader().feed(line + b"\n")
    with pytest.raises(FrameError):
        read_frame(io.BytesIO(line + b"\n"))


def test_an_endless_header_is_refused() -> None:
    reader = FrameReader()
    with pytest.raises(FrameError):
        for _ in range(MAX_HEADER):
            reader.feed(b"xxxx")


@given(st.binary(max_size=200))
def test_arbitrary_bytes_give_frames_or_a_frame_error(data: bytes) -> None:
    try:
        for header, body in FrameReader().feed(data):
            assert header["n"] == len(body)
    except FrameError:
        pass
