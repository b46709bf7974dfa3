"""The status strip: link, job, load, what is live, what waits. It gives up what matters least first."""

from __future__ import annotations

from rich.style import Style
from rich.text import Text

from tui import clean
from tui.desk.api import Gauge, JobRow, Link, Overview
from tui.present import words
from tui.present.words import text

STALE_S = 5.0

# the strip's parts, in the order in which they give up room
SHRINK = (
    "gauge", "gauge", "unknown", "gauge", "queue", "link", "chips", "live", "job", "queue", "unknown", "job",
    "link", "live", "chips",
)  # fmt: skip
LEFT, RIGHT = ("chips", "link", "job", "gauge"), ("live", "unknown", "queue")


def row(
    width: int,
    *,
    host: str,
    link: Link,
    gauge: Gauge | None,
    overview: Overview | None,
    production: bool = False,
    read_only: bool = False,
    reconnect: str = "ctrl+r",
) -> Text:
    """The status strip, exactly `width` cells. What matters least shrinks, then goes, first.

    reconnect: the key that opens the route again.
    """
    parts = {
        "chips": _chips(production, read_only),
        "link": [_at("go('host')", p) for p in _link(host, link, reconnect)],
        "job": [
            _at("go('train')", p)
            for p in _job(overview.active_job if overview else None, stale=link.state != "up")
        ],
        "gauge": [_at("go('host')", p) for p in _gauge(gauge)],
        "live": [_at("go('versions')", p) for p in _live(overview)],
        "unknown": [_at("go('sources')", p) for p in _unknown(overview)],
        "queue": [_at("go('jobs')", p) for p in _queue(overview)],
    }
    size = dict.fromkeys(parts, 0)

    def side(*names: str) -> Text:
        shown = [parts[n][min(size[n], len(parts[n]) - 1)] for n in names]
        return text("  ").join([s for s in shown if s.cell_len])

    for name in SHRINK:
        left, right = side(*LEFT), side(*RIGHT)
        if left.cell_len + right.cell_len + 4 <= width:
            break
        size[name] += 1
    left, right = side(*LEFT), side(*RIGHT)
    drawn = words.join(left, right, max(0, width - 2))
    return words.fit(Text.assemble(" ", drawn, " ", end=""), width)


def _at(action: str, part: Text) -> Text:
    """A part that a click acts on."""
    part.stylize(Style(meta={"act": action}))
    return part


def _chips(production: bool, read_only: bool) -> list[Text]:
    """What the operator must not forget: white on colour, and a word."""
    full, brief = text(), text()
    for on, word, short, role in (
        (production, "PRODUCTION", "PROD", "alarm"),
        (read_only, "READ-ONLY", "R/O", "chip"),
    ):
        if on:
            full.append(" " if full.cell_len else "")
            full.append(f" {word} ", role)
            brief.append(f" {short} ", role)
    return [full, brief]


def _queue(overview: Overview | None) -> list[Text]:
    if overview is None or not overview.queued:
        return [text(), text()]
    n = overview.queued
    return [text((f"◔ queue {n}", "accent")), text((f"◔ {n}", "accent")), text()]


def _link(host: str, link: Link, reconnect: str) -> list[Text]:
    name = clean.line(host, 24)
    hops = [(_hop_name(h.name), h.rtt_ms) for h in link.hops]
    if link.state == "up":
        stale = link.age_s is None or link.age_s > STALE_S
        role = "dim" if stale else "ok"
        full, brief = text("laptop"), text()
        for hop, rtt in hops or [(name, None)]:
            full.append(" ━ ", role)
            full.append(f"{hop} ")
            full.append(words.milliseconds(rtt), "dim")
        age = words.ago(link.age_s)
        tail = ("▲ " if stale else "· ") + age
        full.append(f" {tail}", "warn" if stale else "dim")
        last = hops[-1][1] if hops else None
        brief = text((f"━ {name} ", role), (words.milliseconds(last), "dim"))
        brief.append(f" {tail}", "warn" if stale else "dim")
        return [full, brief]
    if link.state == "connecting":
        return [text("laptop", (" ┄ connecting to ", "accent"), name, ("…", "accent"))] * 2
    if link.state in ("lost", "failed"):
        full = text("laptop")
        for hop, rtt in hops[:-1]:
            full.append(" ━ " if rtt is not None else " ╳ ", "dim" if rtt is not None else "bad")
            full.append(f"{hop} ")
        heard = "" if link.age_s is None else f", heard {words.ago(link.age_s)} ago"
        word = "no route" if link.state == "failed" else "link lost"
        full.append(" ╳ " if not full.plain.endswith(" ") else "╳ ", "bad")
        full.append(f"{name} ")
        full.append(f"{word}{heard}", "loud")
        chip = _comes_back(link, reconnect)
        if chip:
            full.append(f" · {chip}", "warn")
        return [full, text(("╳ ", "bad"), f"{name} ", (word, "loud"), (f" {chip}", "warn"))]
    return [text("laptop", (" ╌ ", "dim"), name, (" not connected", "dim"))] * 2


def _comes_back(link: Link, reconnect: str) -> str:
    """Whether a lost link returns by itself."""
    if link.needs_you:
        return f"{reconnect} logs in"
    if link.retry_s is not None:
        return f"again in {words.ago(link.retry_s)}" if link.retry_s >= 1 else "trying again"
    return ""


def _hop_name(name: str) -> str:
    """`jump host a.b` and `host c` without the words that their place in the strip says already."""
    return clean.line(name.removeprefix("jump ").removeprefix("host "), 24)


def _job(job: JobRow | None, *, stale: bool) -> list[Text]:
    if job is None:
        return [text(("○ no job", "dim")), text()]
    shape, role = words.state(job.status)
    brief = text((f"{shape} ", "dim" if stale else role))
    brief.append(clean.line(job.routine, 16), "dim" if stale else None)
    if job.progress is not None:
        brief.append(f" {words.percent(job.progress)}", "dim" if stale else "strong")
    full = brief.copy()
    if job.eta_s is not None:
        full.append(f" ETA {words.duration(job.eta_s)}", "dim")
    return [full, brief, text()] if job.eta_s is not None else [brief, brief, text()]


def _gauge(gauge: Gauge | None) -> list[Text]:
    if gauge is None:
        return [text(), text()]
    stale = gauge.age_s > STALE_S
    role = "dim" if stale else load_role(gauge.utilisation)
    label = text((gauge.kind.upper(), "dim"), " ")
    share = words.percent(gauge.utilisation)
    brief = Text.assemble(label, (share, role))
    full = Text.assemble(label, words.bar(gauge.utilisation, 8, role), " ", (f"{share:>5}", role))
    if gauge.memory_total:
        memory = f"{words.gib(gauge.memory_used)} / {words.gib(gauge.memory_total)} GiB"
        return [Text.assemble(full, "  ", (memory, "dim")), full, brief, text()]
    return [full, full, brief, text()]


def load_role(share: float | None) -> str:
    """Busy is good for an accelerator; only its absence is dim."""
    return "dim" if share is None else "accent"


def _live(overview: Overview | None) -> list[Text]:
    if overview is None:
        return [text()]
    if not overview.live:
        return [text(("nothing live", "dim"))]
    full, brief = text(), text()
    for environment in sorted(overview.live):
        version = words.short_version(overview.live[environment])
        name = words.short_environment(environment)
        for out, label in ((full, name), (brief, name[:4])):
            out.append("  " if out.plain else "")
            out.append("● ", "ok")
            out.append(f"{label} ", "dim")
            out.append(version, "strong")
    return [full, brief, text()]


def _unknown(overview: Overview | None) -> list[Text]:
    if overview is None or not overview.unknown_sources:
        return [text(), text()]
    n = overview.unknown_sources
    word = "source" if n == 1 else "sources"
    return [text((f"▲ {n} unknown {word}", "warn")), text((f"▲ {n}", "warn")), text()]
