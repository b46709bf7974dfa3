"""What people and a judge model say of the same answers, and how far they agree with the key facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from core.evaluation.pages.dossier import Dossier
from core.evaluation.pages.fields import (
    DASH,
    candidate,
    count,
    mapping,
    moment,
    number,
    one_line,
    percent,
    share,
    system_name,
)
from core.evaluation.pages.model import Block, Line, Para, Section, Table, line

_HEAD = ("who is compared", "n", "same grade", "kappa")


def opinions(d: Dossier) -> Iterator[Section]:
    """Left out where nobody labelled an answer and no judge was asked."""
    found = d.opinions
    judge = mapping(found.get("judge"))
    if not found:
        return
    kappa = mapping(judge.get("kappa"))
    compared = [
        ("people and key facts", found.get("facts_people")),
        ("judge and key facts", kappa.get("key_facts")),
        ("judge and people", kappa.get("people")),
    ]
    body = [_row(name, mapping(value)) for name, value in compared if value]
    blocks: list[Block] = [Para(line(sentence(found)), "warn" if judge else "plain")]
    blocks.append(Table(_HEAD, tuple(body)))
    if judge:
        blocks += _judge(judge, candidate(d.scores))
    yield Section("Second opinions: people, and a judge model", tuple(blocks))


def sentence(found: Mapping[str, Any]) -> str:
    """Whether the judge is worth a look; that it is no gate is said either way."""
    judge, n = mapping(found.get("judge")), count(found.get("labels"))
    labelled = f"{n:,} answer{' is' if n == 1 else 's are'} labelled by people."
    if not judge:
        return f"{labelled} No judge model was asked. Gates are decided by key facts alone."
    least, needed = share(number(found.get("threshold"))), count(found.get("needed"))
    rule = f"A judge never gates below a kappa of 0.{least[:1]} against people's labels"
    people = mapping(mapping(judge.get("kappa")).get("people"))
    value, of = number(people.get("kappa")), count(people.get("n"))
    if judge.get("trusted") is True:
        return (
            f"{rule}; this one reaches {value:.2f} on {of:,}. No gate reads it even so: it is a"
            " second opinion to look at."
        )
    why = (
        f"only {of:,} of at least {needed} labels are there"
        if of < needed
        else f"this one reaches {value:.2f} on {of:,}"
        if value is not None
        else f"on {of:,} labels it has none"
    )
    return f"{rule}: {why}, so its grades decide nothing and are not to be argued with."


def _row(name: str, a: Mapping[str, Any]) -> tuple[Line, ...]:
    value, low, high = (number(a.get(k)) for k in ("kappa", "low", "high"))
    said = DASH if value is None else f"{value:.2f}"
    if value is not None and low is not None and high is not None:
        said += f" [{low:.2f}–{high:.2f}]"
    agree = number(a.get("agree"))
    return (
        line((name, "strong")),
        line(f"{count(a.get('n')):,}"),
        line(DASH if agree is None else f"{share(agree)} %"),
        line(said),
    )


def _judge(judge: Mapping[str, Any], own: str) -> Iterator[Block]:
    systems = mapping(judge.get("systems"))
    body = tuple(
        (
            line((system_name(str(name), own), "strong")),
            line(f"{percent(mapping(m).get('accuracy'))}"),
            line(f"{count(mapping(m).get('unreadable')):,}"),
        )
        for name, m in systems.items()
    )
    if body:
        yield Table(("judge's view of", "correct, per cent", "replies that are no grade"), body)
    temperature = number(judge.get("temperature"))
    told = [
        f"Judge {one_line(judge.get('judge') or DASH, 60)}",
        "" if temperature is None else f"temperature {temperature:g}",
        f"judged {moment(judge['judged_at'])}" if judge.get("judged_at") else "",
        f"{count(judge.get('unanswered')):,} not answered"
        if count(judge.get("unanswered"))
        else "",
    ]
    prompt = one_line(judge.get("prompt") or DASH, 64)
    yield Para(
        line(", ".join(t for t in told if t), ", prompt ", (prompt[:16], "code"),
             ". Kappa is Cohen's, its 95 % interval by bootstrap; 0 is what chance gives.")
    )  # fmt: skip
