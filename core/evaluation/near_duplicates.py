"""Near-duplicate questions, as evaluation knows them. They are found in `core.near_duplicates`."""

from core.near_duplicates import (
    NearDuplicate,
    content_words,
    near_duplicates,
    near_duplicates_within,
    words,
)

__all__ = [
    "NearDuplicate",
    "content_words",
    "near_duplicates",
    "near_duplicates_within",
    "words",
]
