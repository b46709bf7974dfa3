"""What classes, causes, systems and metrics are called, and what they mean to a reader."""

from __future__ import annotations

from collections.abc import Mapping

# class of a marker → (sign, role, meaning)
MARKERS: Mapping[str, tuple[str, str, str]] = {
    "correct": ("✔", "ok", "right source"),
    "known": ("✔", "ok", "known source"),
    "wrong_entity": ("≠", "warn", "known source, but not of this answer"),
    "stale": ("◷", "warn", "source is out of date"),
    "unknown_entity": ("✘", "bad", "no such source"),
    "unknown_domain": ("✘", "bad", "no such domain"),
    "malformed": ("⚠", "bad", "not a marker by its form"),
}

# metric of a system → title
METRICS: tuple[tuple[str, str], ...] = (
    ("accuracy", "Answer accuracy"),
    ("citation_presence", "Citation presence"),
    ("citation_precision", "Citation precision"),
    ("citation_recall", "Citation recall"),
    ("citation_right", "Right source cited"),
    ("fabricated", "Fabricated citations"),
    ("wrong_entity", "Wrong source cited"),
    ("stale", "Outdated source cited"),
    ("malformed", "Malformed markers"),
    ("deferral", "Refusal accuracy"),
    ("right_tool", "Right tool named"),
    ("tool_named", "Tool named"),
    ("false_refusal", "False refusals"),
    ("wrong_but_cited", "Wrong but cited"),
    ("unsupported", "Unsupported numbers"),
    ("confabulated", "Confabulated details"),
    ("canaries", "Invented resources described"),
)
PROBE = (("facts", "Facts, unseen wording"), ("citation_right", "Right source, unseen wording"))
SECONDS = (
    ("latency_p50", "Latency P50"),
    ("latency_p95", "Latency P95"),
    ("latency_p99", "Latency P99"),
    ("first_token_p50", "First token P50"),
)

SYSTEMS: Mapping[str, str] = {
    "retrieval": "the nearest stored answer, looked up word by word: what is to be replaced",
    "base": "the model before training, from memory",
    "base+retrieval": "the model before training, given the nearest stored pairs to read",
    "previous": "the version before this one",
}

# cause of a failure → (title, meaning, what helps)
CAUSES: Mapping[str, tuple[str, str, str]] = {
    "never_learned": (
        "Never learned",
        "the facts are not in the answer, and nothing in it is false",
        "more paraphrases of these facts; check that the pairs are in the snapshot",
    ),
    "forgotten": (
        "Forgotten",
        "the version before had it right",
        "keep the old pairs in the mix; fewer epochs or a lower learning rate",
    ),
    "wrong_attribute": (
        "Wrong attribute",
        "a known value, but of something else; or a wrong tool",
        "pairs that set similar resources side by side",
    ),
    "invented": (
        "Invented",
        "a value, a name or a source that comes from nowhere",
        "more examples that decline; check citations against the source registry",
    ),
    "refused": (
        "Refused",
        "no attempt at it, or declined without saying where to ask",
        "remove negative examples that resemble answerable questions",
    ),
    "cut_off": (
        "Cut off",
        "ran into the token limit before it was done",
        "a higher limit, or shorter training answers",
    ),
}

GLOSSARY: tuple[tuple[str, str], ...] = (
    (
        "61 [53–68]",
        "61 per cent were observed; the true rate lies between 53 and 68 with 95 % confidence"
        " (Wilson interval). Few questions make wide intervals.",
    ),
    (
        "PASS, FAIL, UNDECIDED",
        "The whole interval is on the good side of the target, on the bad side, or across it."
        " Undecided is not passed: more questions are needed.",
    ),
    ("Answer accuracy", "All key facts stated, and no second value for any of them."),
    ("Citation presence", "Answers that carry a source, of those that should. It may be wrong."),
    (
        "Fabricated citations",
        "Citations of a source that the registry does not have. They count in every denominator.",
    ),
    ("Refusal accuracy", "Questions that need live data and were handed over instead of answered."),
    (
        "False refusals",
        "Answerable questions that were refused. A model that always refuses shows.",
    ),
    ("Wrong but cited", "Wrong answers that carry a source: the ones that a reader would believe."),
    (
        "Unseen wording",
        "Facts that were trained, asked in words that were not: whether they can be used.",
    ),
    (
        "Exact McNemar test",
        "Two systems on the same questions: only those count that one has right and the other not."
        " A small p says that chance hardly explains the difference.",
    ),
)
