"""The golden set: questions with the labels an answer is scored against.

One JSON object a line. Required fields:

    id                 unique in all files that are used together
    category           one of CATEGORIES
    question           what is asked
    expected_answer    a right answer in words (for people; not compared word by word)
    key_facts          list; every entry is required in the answer. An entry is a list of accepted
                       alternatives, or {"type": "number", "value": 256, "unit": "GB"}
    expected_sources   list of "domain:entity_id" an answer may cite
    expected_tools     list of live tools a deferral should name
    query_type         STATIC (answer it) or DYNAMIC (defer to a live tool)
    citation_expected  true or false; never true when DYNAMIC

Optional:

    forbidden          texts that must not occur in an answer
    paraphrases        the same question in other words, same labels; used where asked for
    canary             true: what is asked about does not exist; the right answer is not to know it
    cluster            id of the item it belongs to, where that is another one
    set                name of the set

Other fields are passed over (a team may carry notes in them), unless one looks like a misspelt
field.

A number's `unit` is a measured unit ("GB", "Gb/s", "hours") or the noun that is counted ("nodes");
"" is a bare number. `aliases` are texts accepted in place of it ("half a terabyte"); `tolerance` is
relative (0.01 is 1 %).
"""

from core.evaluation.golden.files import golden_sha256, load_golden
from core.evaluation.golden.model import (
    CATEGORIES,
    DESIGN_COUNTS,
    QUERY_TYPES,
    Fault,
    GoldenFileError,
    GoldenQuestion,
    KeyFact,
    NumberFact,
    category_counts,
)

__all__ = [
    "CATEGORIES",
    "DESIGN_COUNTS",
    "QUERY_TYPES",
    "Fault",
    "GoldenFileError",
    "GoldenQuestion",
    "KeyFact",
    "NumberFact",
    "category_counts",
    "golden_sha256",
    "load_golden",
]
