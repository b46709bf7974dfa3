"""How a screen asks the desk: in a thread, one answer, one place where errors go."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from core.errors import QAError

if TYPE_CHECKING:
    from textual.dom import DOMNode

    from tui.app import ControlCentre

T = TypeVar("T")


class Asks:
    """Mixin of the app and the screens."""

    def ask(
        self,
        call: Callable[[], T],
        then: Callable[[T], Any],
        *,
        group: str,
        failed: Callable[[QAError], Any] | None = None,
        poll: bool = False,
    ) -> None:
        """Run `call` in a thread, then `then(result)` here; a QAError goes to `failed`.

        A newer question of the same group replaces an older one, whose answer is dropped. With
        `poll` it is the other way round: nothing is asked while an answer is outstanding, so a slow
        host is asked less often. Default for errors: a dialog, or for polls a short notice.
        """
        node = cast("DOMNode", self)
        if poll and any(
            w.group == group and w.node is node and not w.is_finished for w in node.workers
        ):
            return
        node.run_worker(
            # not the coroutine itself: a replaced worker may never start, and would leave it unawaited
            cast("Callable[[], Any]", partial(self._ask, call, then, failed, poll)),
            name=group,
            group=group,
            exclusive=not poll,
            exit_on_error=False,
        )

    async def _ask(
        self,
        call: Callable[[], T],
        then: Callable[[T], Any],
        failed: Callable[[QAError], Any] | None,
        poll: bool,
    ) -> None:
        node = cast("DOMNode", self)
        app = cast("ControlCentre", node.app)
        try:
            result = await app.threads.run(call)
            if node.is_attached or node is app:
                then(result)
        except Exception as error:
            problem = error if isinstance(error, QAError) else app.unexpected(error)
            if failed is not None:
                failed(problem)
            else:
                app.report(problem, quietly=poll)
