"""Rows and details of the Host screen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from rich.text import Text

from tui import clean
from tui.desk.api import Link
from tui.desk.api_host import (
    Checked,
    Device,
    FindingRow,
    HostKey,
    HostView,
    Process,
    Setting,
    TunnelRow,
)
from tui.present import jobs, words
from tui.present.words import text

BLOCKS = " ▁▂▃▄▅▆▇█"
RANK = {"fail": 0, "warn": 1, "pass": 2, "info": 3}
NOT_LOOKED = "not looked at yet: c checks what the host is and what would fail there"
NO_TUNNEL = "none: t opens a port of the host here"
UNITS = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def heading(name: str, right: str, width: int) -> Text:
    return words.join(text((name, "title")), text((right, "dim")), width)


def hint(said: str, width: int) -> Text:
    return words.fit(text(("  " + said, "dim")), width)


# -- the way


def hop_row(n: int, title: str, link: Link, width: int) -> Text:
    """`━ jump host … 12 ms`; a hop that does not answer is crossed."""
    rtt = link.hops[n].rtt_ms if n < len(link.hops) else None
    up = link.state == "up" or rtt is not None
    shape, role = ("━", "ok") if up else ("╳", "bad") if link.state != "off" else ("╌", "dim")
    name = text((f"{shape} ", role), clean.line(title, 80))
    return words.join(name, text((words.milliseconds(rtt), "" if up else "dim")), width)


def hop_detail(n: int, title: str, link: Link, view: HostView, width: int) -> Text:
    out = text((clean.line(title, 120), "strong"), "\n")
    rtt = link.hops[n].rtt_ms if n < len(link.hops) else None
    out.append(f"round trip {words.milliseconds(rtt)}", "dim")
    if link.age_s is not None and n == len(view.hops) - 1:
        out.append(f", last heard {words.ago(link.age_s)} ago", "dim")
    out.append("\n")
    if link.error:
        out.append(f"\n▲ {clean.line(link.error, 300)}\n", "warn")
        out.append(words.hang(clean.line(link.try_next, 300), width))
    out.append("\nsettings\n", "title")
    out.append_text(settings(_of_hop(view.settings, title), width))
    keys = [k for k in view.keys if k.hop == title]
    out.append("\nhost keys on file\n", "title")
    if not keys:
        out.append("none: at the first connection its fingerprint is asked about\n", "dim")
    for key in keys:
        out.append_text(_key(key, width))
    return out


def _of_hop(rows: Sequence[Setting], title: str) -> list[Setting]:
    """The rows below the hop's own, which begins the block."""
    found: list[Setting] = []
    for row in rows:
        if row.label == title:
            found = [Setting("address", row.value, row.origin)]
        elif found and (row.label.startswith("  ") or not row.label):
            found.append(row)
        elif found:
            break
    return found


def settings(rows: Iterable[Setting], width: int) -> Text:
    """label, value and, dim on the right or below, where it was found."""
    out = text()
    for row in rows:
        label = clean.line(row.label.strip(), 18)
        out.append(f"{label:<16} ", "dim")
        value, origin = clean.line(row.value, 300), clean.line(row.origin, 80)
        room = max(12, width - 17)
        if origin and len(value) + len(origin) + 2 <= room:
            out.append(value + " " * (room - len(value) - len(origin)))
            out.append(origin + "\n", "faint")
            continue
        out.append(words.hang(value, width, 17).lstrip())
        if origin:
            out.append(f"{' ' * 17}{origin}\n", "faint")
    return out


def _key(key: HostKey, width: int) -> Text:
    shape, role = {"key": ("✔", "ok"), "authority": ("✔", "ok")}.get(key.kind, ("✘", "bad"))
    word = {"key": "", "authority": "  authority", "revoked": "  REVOKED"}[key.kind]
    out = text((f"{shape} ", role), clean.line(key.key_type, 40), (word + "\n", role))
    out.append(words.hang(clean.line(key.fingerprint, 100), width))
    out.append(
        words.hang(f"{clean.line(key.name, 80)} in {clean.line(key.where, 200)}", width), "dim"
    )
    return out


# -- preflight


def worst_first(checked: Checked) -> list[FindingRow]:
    return sorted(checked.findings, key=lambda f: RANK.get(f.outcome, 9))


def checked_word(checked: Checked | None, now: float) -> str:
    if checked is None:
        return ""
    counts = Counter(f.outcome for f in checked.findings)
    said = [f"{counts[o]} {w}" for o, w in (("fail", "fail"), ("warn", "warn")) if counts[o]]
    return f"{', '.join(said) or 'all pass'} · {words.ago(max(0.0, now - checked.at))} ago"


def finding_row(row: FindingRow, width: int) -> Text:
    shape, role = words.state(row.outcome)
    title = clean.line(row.title, 30)
    detail = clean.line(row.detail, 200)
    return words.fit(text((f"{shape} ", role), f"{title:<18} ", (detail, "dim")), width)


def finding_detail(row: FindingRow, width: int) -> Text:
    shape, role = words.state(row.outcome)
    out = text((f"{shape} ", role), (clean.line(row.title, 80), "strong"), "\n\n")
    out.append(words.hang(clean.block(row.detail, 2000, 20), width, 0))
    for label, said in (("what it means", row.consequence), ("try next", row.try_next)):
        if said:
            out.append(f"\n{label}\n", "title")
            out.append(words.hang(clean.block(said, 2000, 20), width, 0))
    return out


# -- devices


def device_row(device: Device, width: int) -> Text:
    g = device.gauge
    stale = g.age_s > 5
    role = "dim" if stale else "accent"
    name = clean.line(g.name, 40) or g.kind.upper()
    right = Text.assemble(
        words.bar(g.utilisation, 10, role), (f" {words.percent(g.utilisation):>5}", role)
    )
    return words.join(text((f"{g.kind.upper()} {device.index}  ", "dim"), name), right, width)


def device_detail(device: Device, processes: Sequence[Process] | None, width: int) -> Text:
    """processes: None where they are told elsewhere."""
    out = jobs.gauge(device.gauge, width)
    out.append("\n")
    shares = [share for _, share in device.past]
    if len(shares) > 1:
        span = words.duration(device.past[-1][0] - device.past[0][0])
        out.append(f"\nload, the last {span}\n", "title")
        out.append_text(history(shares, width, 4))
    if device.gauge.kind == "gpu" and processes is not None:
        out.append("\nprocesses\n", "title")
        if not processes:
            out.append("none is told by the driver\n", "dim")
        for p in processes[:40]:
            memory = "" if p.memory is None else f"{words.gib(p.memory)} GiB"
            name = text((f"{p.pid:>8}  ", "dim"), clean.line(p.name, 120))
            out.append_text(words.join(name, text((memory, "dim")), width))
            out.append("\n")
    return out


def devices(found: Sequence[Device], processes: Sequence[Process], width: int) -> Text:
    """All of them, one below the other; who uses them once, as the driver does not tell which."""
    if not found:
        return text(("no readings yet: they start with the route", "dim"))
    parts = [
        device_detail(device, processes if n == len(found) - 1 else None, width)
        for n, device in enumerate(found)
    ]
    return text("\n").join(parts)


def history(shares: Sequence[float | None], width: int, height: int) -> Text:
    """Shares 0..1 as a filled curve: the newest on the right, a gap where nothing was known.

    Where there are more values than cells, each cell shows the greatest of its values.
    """
    columns = _columns(shares, max(1, width))
    out = text()
    for row in range(height - 1, -1, -1):
        cells = ""
        for share in columns:
            eighths = 0 if share is None else round(min(1.0, max(0.0, share)) * height * 8)
            cells += BLOCKS[min(8, max(0, eighths - row * 8))]
        out.append(cells.rstrip() + "\n", "accent")
    return out


def _columns(shares: Sequence[float | None], width: int) -> list[float | None]:
    if len(shares) <= width:
        return list(shares)
    edges = [round(n * len(shares) / width) for n in range(width + 1)]
    parts = (shares[a:b] for a, b in pairwise(edges))
    return [max((s for s in part if s is not None), default=None) for part in parts]


# -- tunnels


def tunnel_row(row: TunnelRow, width: int) -> Text:
    shape, role = ("▲", "warn") if row.error else ("●", "ok") if row.open else ("○", "dim")
    left = text((f"{shape} ", role), f"{clean.line(row.address, 40)} → port {row.port}")
    word = f"{row.open} open" if row.open else f"{row.served} served"
    return words.join(left, text((word, "dim")), width)


def tunnel_detail(row: TunnelRow, host: str, width: int) -> Text:
    name = clean.line(host, 40)
    out = text((clean.line(row.address, 60), "strong"), f" is port {row.port} of {name}\n\n")
    for label, value in (
        ("connections", f"{row.open} open, {row.served} so far"),
        ("to the host", _bytes(row.sent)),
        ("from it", _bytes(row.received)),
    ):
        out.append(f"{label:<14}", "dim")
        out.append(value + "\n")
    if row.error:
        out.append(f"\n▲ {clean.line(row.error, 300)}\n", "warn")
    out.append("\n")
    out.append(words.hang("x closes it; it ends with the app too", width, 0), "dim")
    return out


def _bytes(n: int) -> str:
    for unit, size in UNITS:
        if n >= size:
            return f"{n / size:.1f} {unit}"
    return f"{n} bytes"
