"""What surrounds every screen: status strip, tabs, key bar, error and help texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rich.style import Style
from rich.text import Text

from core.errors import QAError
from tui import clean
from tui.bindings import EVERYWHERE, LISTS, PLACES, SIGNS, Key, Place
from tui.desk.api import Gauge, JobRow, Link, Overview
from tui.present import words
from tui.present.words import text

STALE_S = 5.0

# the strip's parts, in the order in which they give up room
SHRINK = ("gauge", "unknown", "gauge", "live", "job", "link", "gauge", "job", "unknown", "live")


def strip(
    width: int, *, host: str, link: Link, gauge: Gauge | None, overview: Overview | None
) -> Text:
    """The status strip, exactly `width` cells. What matters least shrinks, then goes, first."""
    parts = {
        "link": _link(host, link),
        "job": _job(overview.active_job if overview else None, stale=link.state != "up"),
        "gauge": _gauge(gauge),
        "live": _live(overview),
        "unknown": _unknown(overview),
    }
    size = dict.fromkeys(parts, 0)

    def side(*names: str) -> Text:
        shown = [parts[n][min(size[n], len(parts[n]) - 1)] for n in names]
        return text("  ").join([s for s in shown if s.cell_len])

    for name in SHRINK:
        left, right = side("link", "job", "gauge"), side("live", "unknown")
        if left.cell_len + right.cell_len + 4 <= width:
            break
        size[name] += 1
    left, right = side("link", "job", "gauge"), side("live", "unknown")
    row = words.join(left, right, max(0, width - 2))
    return words.fit(Text.assemble(" ", row, " ", end=""), width)


def _link(host: str, link: Link) -> list[Text]:
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
        chip = _comes_back(link)
        if chip:
            full.append(f" · {chip}", "warn")
        return [full, text(("╳ ", "bad"), f"{name} ", (word, "loud"), (f" {chip}", "warn"))]
    return [text("laptop", (" ╌ ", "dim"), name, (" not connected", "dim"))] * 2


def _comes_back(link: Link) -> str:
    """Whether a lost link returns by itself."""
    if link.needs_you:
        return "ctrl+r logs in"
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


def tabs(width: int, current: str, crumb: str = "", places: Sequence[Place] = PLACES) -> Text:
    """Tab row: the places that exist, the crumb of what is open on the right."""
    out = text(" ")
    for place in places:
        on = place.mode == current
        click = Style(meta={"press": place.number})
        label = Text(f" {place.number} {place.name} ", end="")
        label.stylize("reverse" if on else "dim")
        label.stylize(click)
        out.append_text(label)
        out.append(" ")
    room = max(0, width - out.cell_len - 2)
    trail = text((clean.line(crumb, 60), "dim"))
    trail.truncate(room, overflow="ellipsis")
    return words.join(out, Text.assemble(trail, " ", end=""), width)


def key_bar(
    width: int, keys: Iterable[Key], blocked: Callable[[Key], bool] = lambda key: False
) -> Text:
    """The keys that matter here; those that cannot be used now are dim."""
    right = text()
    for key in EVERYWHERE:
        if key.footer:
            right.append_text(_key(key, False))
    room = width - right.cell_len - 1
    left = text(" ")
    for key in keys:
        if not key.footer:
            continue
        piece = _key(key, blocked(key))
        if left.cell_len + piece.cell_len > room:
            break
        left.append_text(piece)
    return words.join(left, right, width)


def _key(key: Key, dim: bool) -> Text:
    out = text(
        (key.written, "faint" if dim else "key"), (f" {key.label}  ", "faint" if dim else "dim")
    )
    if key.action:
        # a click presses the key, so that both do the same
        out.stylize(Style(meta={"press": key.key.split(",")[0]}))
    return out


def error(problem: QAError) -> Text:
    """what / why / try next, one below the other."""
    out = text((clean.block(problem.what), "strong"))
    for label, role, said in (("why", "dim", problem.why), ("try next", "key", problem.try_next)):
        if said:
            out.append(f"\n\n{label}\n", role)
            out.append(clean.block(said))
    return out


def help_page(place: Place) -> Text:
    """The `?` page of a screen, from the same table as its bindings."""
    out = text((place.name, "title"), (f"   {place.purpose}\n", "dim"))
    for title, keys in ((place.name, place.keys), ("Lists", LISTS), ("Everywhere", EVERYWHERE)):
        if title != place.name:
            out.append(f"\n{title}\n", "title")
        for key in keys:
            out.append(f"  {key.written:<9}", "key")
            out.append(f"{key.help}\n")
    out.append("\nSigns\n", "title")
    for shape, role, meaning in SIGNS:
        out.append(f"  {shape:<9}", role)
        out.append(f"{meaning}\n")
    return out
