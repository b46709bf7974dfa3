"""The verdict in one sentence that does not flatter, and what to do about each gate by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from core.evaluation.pages.fields import (
    candidate,
    count,
    interval,
    mapping,
    number,
    of,
    one_line,
    rows,
    share,
    texts,
    words,
)

Scores = Mapping[str, Any]
_TARGET = re.compile(r"([≥≤<])\s*(\d+(?:\.\d+)?)\s*%")
WEAK = 6  # areas named in an action


def verdict_of(s: Scores) -> str:
    """GO, NO-GO or UNDECIDED. A GO that its own gates do not bear out counts as UNDECIDED."""
    found = s.get("verdict")
    if found == "NO-GO" or (found == "GO" and _borne_out(s)):
        return str(found)
    return "UNDECIDED"


def name_of(s: Scores) -> str:
    return one_line(s.get("version") or candidate(s), 60)


def sentence(s: Scores) -> str:
    """One sentence for who reads nothing else. Pure."""
    name, verdict = name_of(s), verdict_of(s)
    gates = rows(s.get("gates"))
    state = [_word(g) for g in gates]
    failed, open_ = state.count("FAIL"), state.count("UNDECIDED")
    right = _right(s)
    if verdict == "GO":
        text = f"{name} may be released: {_all_pass(gates)}"
        return f"{text}; {right}{_still_wrong(s)}." if right else f"{text}."
    if gates and s.get("verdict") == "GO":
        return (
            f"Do not release {name}: its scores say GO although {failed + open_} of {len(gates)} gates"
            " do not pass; do not rely on them."
        )
    if verdict == "UNDECIDED":
        why = f"no gate fails, but {open_} of {len(gates)} cannot be decided on what was measured"
        if not gates:
            why = "nothing was held against any gate"
        elif failed:
            why = f"{failed} of {len(gates)} gates fail"
        return f"Do not release {name} yet: {why}{f'; {right}' if right else ''}."
    why = f"{failed} of {len(gates)} gates {'fails' if failed == 1 else 'fail'}"
    if open_:
        why += f" and {open_} {'is' if open_ == 1 else 'are'} undecided"
    return f"Do not release {name}: {f'{right}; ' if right else ''}{why}."


def summary(s: Scores) -> str:
    """The count of gates, as the evaluation put it."""
    headline = texts(s.get("headline"))
    if headline:
        return one_line(headline[0].partition(": ")[2] or headline[0], 160)
    state = [_word(g) for g in rows(s.get("gates"))]
    return (
        f"{state.count('FAIL')} fail, {state.count('UNDECIDED')} undecided, "
        f"{state.count('PASS')} pass"
    )


def weak_areas(s: Scores) -> list[tuple[str, Mapping[str, Any]]]:
    """Categories of the candidate below the accuracy target, the weakest first: name and measure."""
    gate = next((g for g in rows(s.get("gates")) if g.get("gate") == "accuracy"), {})
    target, _ = target_of(gate) or (0.95, True)
    found = mapping(mapping(s.get("categories")).get(candidate(s)))
    weak = [
        (words(name), mapping(m))
        for name, m in found.items()
        if (number(mapping(m).get("estimate")) or 0.0) < target and count(mapping(m).get("n"))
    ]
    return sorted(weak, key=lambda item: number(item[1].get("estimate")) or 0.0)


def named_action(gate: Mapping[str, Any], s: Scores) -> str:
    """The gate's action; where it is about weak areas, with their names. "" where it passes."""
    if str(gate.get("verdict")) == "PASS":
        return ""
    action = one_line(gate.get("action") or "", 400)
    if gate.get("n") == 0:
        return f"Measure it{f' first; then: {action}' if action else ''}"
    for name in mapping(mapping(s.get("categories")).get(candidate(s))):
        action = action.replace(str(name), words(name)) if name else action
    if gate.get("metric") != "accuracy" or gate.get("gate") == "retrieval":
        return action
    weak = [(name, m) for name, m in weak_areas(s) if name not in action]
    if not weak:
        return action
    return f"{action}: " + ", ".join(f"{name} ({of(m)})" for name, m in weak[:WEAK])


def target_of(gate: Mapping[str, Any]) -> tuple[float, bool] | None:
    """(0..1, at least or at most) of a target like "≥ 95 %"; None for others."""
    found = _TARGET.search(str(gate.get("target", "")))
    return (float(found[2]) / 100, found[1] == "≥") if found else None


def against_retrieval(s: Scores) -> Mapping[str, Any]:
    """The paired test against the nearest stored answer; empty if it was not measured."""
    return mapping(mapping(s.get("comparisons")).get(f"{candidate(s)}_vs_retrieval"))


def _borne_out(s: Scores) -> bool:
    gates = rows(s.get("gates"))
    return bool(gates) and all(_word(g) in ("PASS", "WAIVED") for g in gates)


def _word(gate: Mapping[str, Any]) -> str:
    return "WAIVED" if gate.get("waived") else str(gate.get("verdict", "UNDECIDED"))


def _all_pass(gates: list[Mapping[str, Any]]) -> str:
    waived = [one_line(g.get("title") or g.get("gate"), 60) for g in gates if g.get("waived")]
    if not waived:
        return f"all {len(gates)} gates pass"
    return (
        f"{len(gates) - len(waived)} of {len(gates)} gates pass, and"
        f" “{'”, “'.join(waived)}” was accepted for a stated reason"
    )


def _right(s: Scores) -> str:
    """ "it answers 17 of 170 questions correctly (10 % [6–15]), the stored answers …"."""
    systems = mapping(s.get("systems"))
    own = mapping(mapping(systems.get(candidate(s))).get("accuracy"))
    if number(own.get("estimate")) is None:
        return ""
    text = f"it answers {count(own.get('k'))} of {count(own.get('n'))} questions correctly"
    text += f" ({share(own['estimate'])} % {interval(own)}".rstrip() + ")"
    stored = mapping(mapping(systems.get("retrieval")).get("accuracy"))
    if number(stored.get("estimate")) is None:
        return text + " and was not compared with the stored answers it is to replace"
    return (
        f"{text}, the stored answers it is to replace {count(stored.get('k'))}"
        f" ({share(stored['estimate'])} %)"
    )


def _still_wrong(s: Scores) -> str:
    own = mapping(mapping(mapping(s.get("systems")).get(candidate(s))).get("accuracy"))
    low = number(own.get("low"))
    return "" if low is None else f", and up to {share(1 - low)} in 100 answers may still be wrong"
