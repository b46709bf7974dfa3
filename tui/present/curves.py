"""What is said about curves: probe strip, title with the run to beat, the words at the cross-hair."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from rich.text import Text

from tui import clean
from tui.feed import JobFeed, share
from tui.present import words
from tui.present.words import text

BLOCKS = "▁▂▃▄▅▆▇█"
# name, word in the strip, whether more is better
PROBED = (
    ("recall", "recall", True),
    ("fabricated", "fabricated", False),
    ("refusal", "refusal", True),
)
SMALL = 0.05  # shares below this are drawn low, not blown up


def sparkline(values: Sequence[float], width: int) -> str:
    """One block a value, the newest last; where there are more, each block is the mean of several."""
    known = [v for v in values if math.isfinite(v)]
    if not known or width < 1:
        return ""
    if len(known) > width:
        edges = [round(n * len(known) / width) for n in range(width + 1)]
        known = [sum(known[a:b]) / (b - a) for a, b in pairwise(edges)]
    top = max(max(known), SMALL)
    return "".join(BLOCKS[min(7, max(0, int(v / top * 7.999)))] for v in known)


def strip(feed: JobFeed, width: int) -> Text | None:
    """`recall 61 % ▁▂▃▅▆  fabricated 1.4 % ▇▅▃  refusal 93 %  ▲ 3 facts lost`; None without a probe."""
    probe = feed.facts.probe
    if probe is None:
        return None
    out, room = text(), 12 if width >= 120 else 5 if width >= 76 else 3
    for name, word, more in PROBED:
        found = share(probe.get(name))
        if found is None:
            continue
        values = feed.probes[name].values
        worse = len(values) > 1 and (values[-1] < values[-2]) == more and values[-1] != values[-2]
        out.append("  " if out.plain else "")
        out.append(f"{word} ", "dim")
        out.append(words.percent(found, 1 if found < 0.1 else 0), "strong")
        out.append(f" {sparkline(values, room)}", "warn" if worse else "accent")
    changed = _changed(probe, short=width < 120)
    if changed.plain:
        out.append("  ")
        out.append_text(changed)
    if width >= 120 and probe.get("epoch") is not None:
        out.append(f"   at epoch {words.measured(probe.get('epoch'))}", "dim")
    return words.fit(out, width)


def _changed(probe: Mapping[str, Any], *, short: bool) -> Text:
    lost, won = words.number(probe.get("forgotten")), words.number(probe.get("learned"))
    if lost and lost >= (won or 0):
        fact = "fact" if lost == 1 else "facts"
        more = " lost" if short else f" {fact} lost since the last probe"
        return text((f"▲ {words.count(lost)}{more}", "warn"))
    said = [f"+{words.count(won)} learned"] if won else []
    said += [f"−{words.count(lost)} lost"] if lost else []
    return text((" ".join(said), "dim"))


def loss_title(loss: float | None, label: str, gap: float | None, *, drawn: bool) -> Text:
    """`loss 0.41   ┄ v1.2.0, ahead by 0.04 at this step`. label: of the run to beat, or ""."""
    out = text("loss")
    if loss is not None:
        out.append(f" {words.measured(loss)}", "strong")
    if label and drawn:
        out.append("  ┄ ", "dim")
        out.append(words.short_version(label), "dim")
        if gap is not None:
            word, role = ("ahead", "ok") if gap >= 0 else ("behind", "warn")
            out.append(f", {word} by {abs(gap):.2g} at this step", role)
    return out


def recall_title() -> Text:
    return text(
        ("recall ━", "accent"), "  ", ("fabricated ╍", "warn"), "  ", ("refusal ┄", "ok"),
        ("  shares of what the probe asked", "dim"),
    )  # fmt: skip


def at_hair(feed: JobFeed, index: int) -> str:
    """`lr 1.6e-4  09:41:07` of the loss with that index."""
    said = []
    if index < len(feed.lr) and math.isfinite(feed.lr[index]):
        said.append(f"lr {words.measured(feed.lr[index])}")
    if index < len(feed.times) and math.isfinite(feed.times[index]):
        with contextlib.suppress(OverflowError, OSError, ValueError):
            said.append(time.strftime("%H:%M:%S", time.localtime(feed.times[index])))
    return "  ".join(said)


def state(*, log_y: bool, smooth: bool, zoomed: bool) -> str:
    """What is switched on, in the corner of the frame."""
    said = (("log y", log_y), ("smoothed", smooth), ("zoomed, 0 shows all", zoomed))
    return " · ".join(word for word, on in said if on)


def why(what: str, try_next: str, line: str, width: int, key: str) -> Text:
    """What a failure usually means; key: goes to the line."""
    out = text()
    out.append(words.hang(f"✘ {clean.line(what, 300)}", width, 0), "bad")
    out.append(words.hang(clean.line(try_next, 600), width, 2))
    out.append(words.hang(f"» {clean.line(line, 300)}", width, 2), "dim")
    if key:
        out.append(f"  {key}", "key")
        out.append(" goes to that line\n", "dim")
    return out


def predicted(peak: int | None, now: float | None, width: int) -> Text:
    """`predicted 60.1 GiB · now 61.2`, and by how much it is above."""
    if peak is None:
        return text()
    out = text((f"{'peak':<8}", "dim"), f"predicted {words.gib(peak)} GiB")
    if now is not None:
        over = now / peak - 1 if peak else 0.0
        out.append(f" · now {words.gib(now)}", "warn" if over > 0.1 else "dim")
        if over > 0.1:
            out.append(f"  ▲ {over:.0%} above", "warn")
    return words.fit(out, width)
