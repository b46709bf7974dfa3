"""One spelling for texts that say the same: what every comparison of an answer rests on.

    "Delta has **4× A100** and 1,024 GB. <<SRC:compute-resources:delta>>"
    "delta has 4 a100 and 1024 gb."

`normalise` gives the text, `words` its words, `quantities` its numbers with what they count.
All of it is linear in the length of the text: an answer may be a megabyte of anything.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from core.evaluation.aliases import one_spelling
from core.evaluation.patterns import any_of

# A marker, cut off or whole: its entity id is full of digits that are no claim of the answer.
_MARKER = re.compile(r"<<[ \t]*SRC\b[^<>\n]*>{0,2}", re.IGNORECASE)
_LINK = re.compile(r"\[([^\[\]\n]{1,300})\]\([^()\s]{1,500}\)")
_LINE_START = re.compile(r"(?m)^[ \t]*(?:#{1,6} +|>+ ?|[-+•] +|\d{1,3}[.)] +)")
_UNDERSCORES = re.compile(r"(?<!\w)__?(?=\S)|(?<=\S)__?(?!\w)")
_CHARACTERS = str.maketrans(
    {
        "*": None,
        "`": None,
        "|": " ",
        "\u2019": "'",
        "\u2018": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u00d7": "x",
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),
    }
)
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"))
_THIN_SPACE = re.compile("[\u00a0\u2009\u202f](?<=\\d.)(?=\\d{3}(?!\\d))")
# Patterns begin with the character they look for and look back from there: `re` then skips to it,
# where a pattern that begins by looking back is tried at every character.
_SEPARATOR = re.compile(r"[,'_](?<=\d.)(?=\d{3}(?!\d))")
_BIT_RATE = re.compile(r"\b([KMGT])(?:b|bit)(?:/s|ps)\b")
_BYTE_RATE = re.compile(r"\b([KMGTkmgt])B(?:/s|ps)\b")
_LARGE = re.compile(r"[kKM](?<=\d.)\b")
_TIMES_AFTER = re.compile(r"(\d) ?x(?=[ ]?[a-z]|[^\w]|$)")
_TIMES_BEFORE = re.compile(r"x(?<!\wx) ?(?=\d)")
_SCALED = re.compile(
    r"(?<![\w.])(\d{1,30}(?:\.\d{1,30})?)((?:[\s-]{0,3}(?:thousand|million|billion|trillion)s?\b){1,3})"
)
_SCALE = re.compile("(?:thous|milli|billi|trilli)")
_DOLLARS = re.compile(r"\$ ?(\d+(?:\.\d+)?)")
_SCALES = {"hundred": 100, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}
_POWERS = {"thous": 3, "milli": 6, "billi": 9, "trilli": 12}

_SMALL = {
    word: n
    for n, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
        "fifteen sixteen seventeen eighteen nineteen".split()
    )
} | {
    word: 10 * n
    for n, word in enumerate(
        "twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2
    )
}
_NUMBER_WORDS = re.compile(
    rf"\b{any_of(_SMALL)}(?:(?:[ -]|[ ]and[ ]){any_of([*_SMALL, *_SCALES])}\b)*(?!\w)"
)

_UNIT_SPELLINGS = {
    "byte": "byte bytes",
    "kb": "kb kilobyte kilobytes",
    "mb": "mb mbyte mbytes megabyte megabytes",
    "gb": "gb gbs gbyte gbytes gigabyte gigabytes",
    "tb": "tb tbs tbyte tbytes terabyte terabytes",
    "pb": "pb pbs pbyte pbytes petabyte petabytes",
    "eb": "eb ebs ebyte ebytes exabyte exabytes",
    "kib": "kib kibibyte kibibytes",
    "mib": "mib mebibyte mebibytes",
    "gib": "gib gibibyte gibibytes",
    "tib": "tib tebibyte tebibytes",
    "pib": "pib pebibyte pebibytes",
    "eib": "eib exbibyte exbibytes",
    "mhz": "mhz megahertz",
    "ghz": "ghz gigahertz",
    "gflops": "gf gflop gflops gflop/s gigaflop gigaflops gigaflop/s",
    "tflops": "tf tflop tflops tflop/s teraflop teraflops teraflop/s",
    "pflops": "pf pflop pflops pflop/s petaflop petaflops petaflop/s",
    "eflops": "ef eflop eflops eflop/s exaflop exaflops exaflop/s",
    "hour": "hour hours hr hrs",
    "minute": "minute minutes min mins",
    "day": "day days",
    "week": "week weeks",
    "month": "month months",
    "year": "year years yr yrs",
    "percent": "percent % pct",
    "watt": "watt watts",
    "dollar": "dollar dollars usd",
}
UNITS: dict[str, str] = {s: unit for unit, names in _UNIT_SPELLINGS.items() for s in names.split()}
"""Spelling of a measured unit → its name here."""
UNITS |= {f"{p}{kind}/s": f"{p}{kind}/s" for p in "kmgt" for kind in ("bit", "b")}

# name → (family, size in the family's smallest unit)
_FAMILIES: dict[str, tuple[str, float]] = {
    "byte": ("byte", 0.001),
    **{f"{p}b": ("byte", 1000.0**n) for n, p in enumerate("kmgtpe")},
    **{f"{p}ib": ("binary byte", 1024.0**n) for n, p in enumerate("kmgtpe")},
    **{f"{p}flops": ("flops", 1000.0**n) for n, p in enumerate("gtpe")},
    "mhz": ("hertz", 1.0),
    "ghz": ("hertz", 1000.0),
    **{f"{p}bit/s": ("bit rate", 1000.0**n) for n, p in enumerate("kmgt")},
    **{f"{p}b/s": ("byte rate", 1000.0**n) for n, p in enumerate("kmgt")},
    "minute": ("time", 1.0),
    "hour": ("time", 60.0),
    "day": ("time", 1440.0),
    "week": ("time", 10080.0),
}
_ATTACHED = re.compile(r"\d(?=-?[a-z%])")
_ATTACHED_UNIT = re.compile(rf"(\d)-?({any_of(u for u in UNITS if u[-1].isalpha())}\b|%)")

_MONTHS = {
    name: n
    for n, names in enumerate(
        "january|jan february|feb march|mar april|apr may june|jun july|jul august|aug "
        "september|sept|sep october|oct november|nov december|dec".split(),
        start=1,
    )
    for name in names.split("|")
}
_MONTH = "|".join(_MONTHS)
_DATE_US = re.compile(rf"\b({_MONTH})\.? (\d{{1,2}})(?:st|nd|rd|th)?,? (\d{{4}})\b")
_DATE_EU = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)? (?:of )?({_MONTH})\.?,? (\d{{4}})\b")
_DATE_SLASHES = re.compile(r"(?<![\d./])(\d{1,2})/(\d{1,2})/((?:19|20)\d\d)(?![\d/])")

_WORD = re.compile(r"\w+(?:/s\b|(?:[.']\w+)+)?\+*|%")
_NUMBER = re.compile(r"\d(?<![\w.].)(?<![a-z]-.)(?<!\d-.)\d*(?:\.\d+)*(?!\w)")
_FOLLOWING = re.compile(r"[ -]*(\w+(?:/s)?|%)(?=(.?))")


def without_markers(text: str) -> str:
    """The text without its source markers, whole or cut off; a blank stands for each."""
    return _MARKER.sub(" ", text) if "<<" in text else text


def normalise(text: str) -> str:
    """Lower-case text without markers and Markdown, with one spelling of numbers, dates and units.

    Bits and bytes are told apart by their capital before case is dropped: "Gb/s" → "gbit/s".
    Never fails; the empty text and texts without a letter are themselves.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", _THIN_SPACE.sub("", text)).translate(_INVISIBLE)
    text = without_markers(text)  # also one in wide or with invisible characters: no link, no claim
    if "](" in text:
        text = _LINK.sub(r"\1", text)
    text = _LINE_START.sub("", text) if "\n" in text or text[:1] in "#>-+• 0123456789" else text
    if not text.isascii() or "*" in text or "`" in text or "|" in text:
        text = text.translate(_CHARACTERS)
    if "_" in text:
        text = _UNDERSCORES.sub("", text)
    if "/s" in text or "bps" in text or "Bps" in text:
        text = _BIT_RATE.sub(r"\1bit/s", text)
        text = _BYTE_RATE.sub(r"\1B/s", text)
    has_digits = _DIGIT.search(text) is not None
    if has_digits:
        text = _LARGE.sub(_large, _SEPARATOR.sub("", text))
    text = _NUMBER_WORDS.sub(_spelled_number, text.casefold())
    if has_digits or _DIGIT.search(text):
        text = _numbers(text)
    return one_spelling(" ".join(text.split()))


_DIGIT = re.compile(r"\d")


def _large(match: re.Match[str]) -> str:
    return " million" if match[0] == "M" else " thousand"


def _numbers(text: str) -> str:
    if "x" in text:
        text = _TIMES_BEFORE.sub("", _TIMES_AFTER.sub(r"\1 ", text))
    if "illion" in text or "thousand" in text:
        text = _SCALED.sub(_scaled_number, text)
    if "$" in text:
        text = _DOLLARS.sub(r"\1 dollar ", text)
    if _ATTACHED.search(text):
        text = _ATTACHED_UNIT.sub(r"\1 \2", text)
    if ("19" in text or "20" in text) and _YEAR.search(text):
        text = _DATE_US.sub(lambda m: _iso(m[3], _MONTHS[m[1]], m[2]), text)
        text = _DATE_EU.sub(lambda m: _iso(m[3], _MONTHS[m[2]], m[1]), text)
        if "/" in text:
            text = _DATE_SLASHES.sub(_slashed_date, text)
    return text


_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")


def _slashed_date(match: re.Match[str]) -> str:
    """Month first, as it is written where these systems stand; day first where only that can be."""
    first, second = int(match[1]), int(match[2])
    if first > 12:
        first, second = second, first
    possible = 1 <= first <= 12 and 1 <= second <= 31
    return _iso(match[3], first, str(second)) if possible else match[0]


def _iso(year: str, month: int, day: str) -> str:
    return f"{year}-{month:02}-{int(day):02}"


def _spelled_number(match: re.Match[str]) -> str:
    """ "one hundred and twenty-eight" → "128"; words that make no one number stay apart."""
    out: list[str] = []
    total = current = 0
    room = 0  # the next small word must be below this to belong to the same number
    joined = False
    for word in re.split(r"[ -]", match[0]):
        if word == "and":
            joined = True
            continue
        value = _SMALL.get(word)
        if value is not None:
            if out or room or total or current:
                fits = 0 < value < room and (room == 100 or not joined)
                if not fits:
                    out.append(str(total + current))
                    if joined:
                        out.append("and")
                    total = current = 0
            elif joined:
                out.append("and")
            current += value
            room = 10 if value >= 20 else 1
        elif word == "hundred":
            current = max(current, 1) * 100
            room = 100
        else:
            total += max(current, 1) * _SCALES[word]
            current = 0
            room = 100
        joined = False
    out.append(str(total + current))
    return " ".join(out)


def _scaled_number(match: re.Match[str]) -> str:
    """ "2.01 million" → "2010000", "500 million million" → fifteen digits."""
    power = sum(_POWERS[scale] for scale in _SCALE.findall(match[2]))
    value = f"{Decimal(match[1]).scaleb(power):f}"
    return value.rstrip("0").rstrip(".") if "." in value else value


def stem(word: str) -> str:
    """Enough stemming for "A100s" and "nodes"; both sides of a comparison must go through it."""
    if word.endswith("'s"):
        word = word[:-2]
    if word.endswith("s") and not word.endswith("ss") and (len(word) > 3 or word == "sus"):
        return word[:-1]
    return word


class _Read(dict[str, tuple[str, ...]]):
    """Text between two blanks → its words. Answers say the same things again and again; emptied when
    full, so that a hostile text does not fill the memory.
    """

    def __missing__(self, piece: str) -> tuple[str, ...]:
        found = tuple(UNITS[w] if w in UNITS else stem(w) for w in _WORD.findall(piece))
        if len(piece) <= 40:
            if len(self) >= 50_000:
                self.clear()
            self[piece] = found
        return found


_READ = _Read()


def words(normalised: str) -> list[str]:
    """The stemmed words of a normalised text; units in their one spelling."""
    read = _READ
    return [word for piece in normalised.split() for word in read[piece]]


PREPOSITIONS = frozenset(
    stem(w)
    for w in "per on in at for with and or is are was were has have by from as to which that each while "
    "so than run via".split()
)


class Quantity(NamedTuple):
    """A number in a normalised text.

    unit: a measured unit of UNITS' values, or "".  nouns: up to four stemmed words that follow in
    the same clause ("cpu", "node").  value: None for a version such as 1.5.2.  start: its offset.
    """

    literal: str
    value: float | None
    unit: str
    nouns: tuple[str, ...]
    start: int

    @property
    def counted(self) -> tuple[str, ...]:
        """The nouns up to the first preposition: "128 cores per node" counts cores."""
        end = next((n for n, noun in enumerate(self.nouns) if noun in PREPOSITIONS), None)
        return self.nouns[:end]

    def __str__(self) -> str:
        return " ".join([self.literal, self.unit or " ".join(self.counted[:2])]).strip()


def quantities(normalised: str) -> list[Quantity]:
    """All free-standing numbers; "A100" and "Bridges-2" are names, not numbers."""
    return [
        Quantity(
            m[0],
            float(m[0]) if m[0].count(".") < 2 and len(m[0]) < 300 else None,
            *_what_follows(normalised, m.end()),
            m.start(),
        )
        for m in _NUMBER.finditer(normalised)
    ]


def _what_follows(text: str, at: int) -> tuple[str, tuple[str, ...]]:
    unit = ""
    nouns: list[str] = []
    per = False
    while len(nouns) < 4:
        match = _FOLLOWING.match(text, at)
        if match is None or match[1][0].isdigit():
            break
        word = match[1]
        if not unit and not per and len(nouns) < 2 and word in UNITS:
            unit = UNITS[word]
        else:
            per = per or word == "per"
            nouns.append(stem(word))
        at = match.end()
        if match[2] in _CLAUSE_END:
            break
    return unit, tuple(nouns)


_CLAUSE_END = frozenset(".,;:!?()")


def words_before(normalised: str, at: int, n: int = 6) -> list[str]:
    """Up to `n` stemmed words that stand before offset `at` in the same sentence."""
    return words(_SENTENCE_END.split(normalised[max(0, at - 60) : at])[-1])[-n:]


_SENTENCE_END = re.compile(r"[.;!?]\s")


def convert(value: float, unit: str, to: str) -> float | None:
    """`value` in another unit of the same family; None where there is no such conversion.

    Decimal and binary bytes are different families: GB is never silently GiB.
    """
    if unit == to:
        return value
    a, b = _FAMILIES.get(unit), _FAMILIES.get(to)
    if a is None or b is None or a[0] != b[0]:
        return None
    return value * a[1] / b[1]


def unit_name(spelling: str) -> str:
    """The name of a measured unit, or "" if `spelling` is none ("nodes", "")."""
    spelling = _BYTE_RATE.sub(r"\1B/s", _BIT_RATE.sub(r"\1bit/s", spelling.strip()))
    return UNITS.get(spelling.casefold(), "")


@dataclass(slots=True)
class Prepared:
    """A text read once: normalised, its words and numbers on demand."""

    raw: str
    text: str = field(init=False)
    _words: list[str] | None = field(default=None, init=False, repr=False)
    _quantities: list[Quantity] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.text = normalise(self.raw)

    @property
    def words(self) -> list[str]:
        if self._words is None:
            self._words = words(self.text)
        return self._words

    @property
    def quantities(self) -> list[Quantity]:
        if self._quantities is None:
            self._quantities = quantities(self.text)
        return self._quantities
