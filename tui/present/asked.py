"""A reply of the Ask side: the answer, what answered and how fast."""

from __future__ import annotations

from rich.text import Text

from tui import clean
from tui.desk.api_traces import RETRIEVAL, ReplyView
from tui.present import empty, words
from tui.present.marked import answer, legend
from tui.present.words import text

PATHS = {
    "endpoint": ("●", "ok", "asked now"),
    "stored": ("◔", "warn", "answered when it was evaluated"),
    "retrieval": ("○", "dim", "the nearest pair; no model"),
}


def who_word(who: str) -> str:
    """The name of the one who is asked, as the operator chose it."""
    if who == RETRIEVAL:
        return "retrieval"
    return clean.line(who, 80) or "newest version"


def start(ask: str, choose: str, beside: str, endpoint: str) -> Text:
    return empty.state(
        "Ask a question",
        "A server answers where one is named. Else the answer a version gave when it was evaluated "
        "on the same or a like question; else the nearest pair. Which it was is said.",
        [
            (ask, "type the question"),
            (choose, "whose answer"),
            (beside, "a second one beside it"),
            (endpoint, "the address of a server, through a tunnel or on this machine"),
        ],
    )


def waiting(who: str, seconds: float, stop: str) -> Text:
    out = text(("◌ ", "accent"), f"asking {who_word(who)}", (f"  {seconds:.0f} s\n\n", "dim"))
    out.append(stop, "key")
    return out.append(" stops", "dim")


def failed(what: str, why: str, try_next: str, width: int) -> Text:
    out = text(("✘ ", "bad"), words.hang(clean.line(what, 400), width, 2).lstrip())
    for label, value in (("why", why), ("try", try_next)):
        if value:
            out.append(f"{label:<5}", "dim")
            out.append(words.hang(clean.block(value, 600, 6), width, 5).lstrip())
    return out


def reply(view: ReplyView, width: int) -> Text:
    shape, role, meaning = PATHS.get(view.path, ("·", "dim", ""))
    out = text((f"{shape} {view.path}", role), (f"  {meaning}\n", "dim"))
    out.append(words.hang(clean.line(view.where, 300), width, 2), "dim")
    if view.path != "endpoint" and view.answered:
        share = f"{100 * view.alike:.0f} %"
        kind = "alike" if view.path == "stored" else "of the words"
        out.append(words.hang(f"▲ to another question, {share} {kind}:", width, 0), "warn")
        out.append(words.hang(clean.block(view.answered, 1000, 10), width, 2), "warn")
    out.append("\n")
    out.append_text(answer(view.answer, view.marks) if view.answer else text(("(empty)", "dim")))
    out.append("\n\n")
    out.append_text(legend(view.marks, width))
    out.append("\n")
    latency = "not measured" if view.latency_s is None else words.seconds(view.latency_s)
    out.append(f"{'latency':<10}", "dim")
    out.append(latency + (" then\n" if view.path == "stored" and view.latency_s else "\n"))
    out.append(f"{'fallback':<10}", "dim")
    if view.deferred or view.tools:
        tools = ", ".join(clean.line(t, 60) for t in view.tools) or "no live tool is named"
        out.append("⇢ handed over: ", "accent")
        out.append(words.hang(tools, width, 10).lstrip())
    else:
        out.append("none: it answers by itself\n")
    if view.note and view.path == "endpoint":
        out.append(words.hang("▲ " + clean.line(view.note, 200), width, 0), "warn")
    return out


def past_row(question: str, width: int) -> Text:
    return words.fit(text(clean.line(question, 300)), width)
