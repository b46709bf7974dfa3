"""Would this training be refused? Looked at on its host before it waits in line. Nothing is written.

The run looks at the same things once more when it begins: what is here now may be gone by then.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.jobdir import JobDir
from core.training import environment, given, refusals, watched
from core.training.promises import refuse_unkept
from core.training.request import of_settings

ROWS_MOST = 20_000  # rendered within some ten seconds; a larger set is left to the run


def look(settings: Mapping[str, Any], *, here: bool = True) -> dict[str, Any]:
    """settings: of the job.  here: on the machine it will run on, with its packages; False on one that
    only hands it on (a login node), which cannot render rows and has no accelerator.

    The answer says what was looked at. Raises what the run would.
    """
    request = of_settings(settings, JobDir(Path("not-yet")))
    if here:
        refuse_unkept(request.recipe)
    found = given.sound(request, verify=False)  # the run reads all of it; here somebody waits
    if watched.wanted(found.recipe) and not request.census_only:
        negatives = found.mix.negatives if found.mix else ()
        watched.settle(request, found.recipe, given.known(request, found), negatives)
    rendered = here and len(found.conversations) <= ROWS_MOST
    if rendered:
        _render(found, request.data)
    return {"rows": len(found.conversations), "rendered": rendered, "revision": found.revision}


def _render(found: given.Sound, file: Path) -> None:
    """With the real tokenizer. Raises PreflightRefused, and what a tokenizer cannot be trained with for."""
    environment.prepare()
    from core.training import preflight
    from core.training.tokenizer import load_tokenizer

    tokenizer, ends = load_tokenizer(found.base)
    rows = found.conversations
    refusals.refuse(preflight.check(rows, tokenizer, found.recipe, eos_ids=ends, file=file))
