"""The dialogs of a login: what a hop asks, and a host key nobody has seen yet.

Title, instructions and prompts come from the other end, so they are shown as plain, cleaned text.
What is typed lives in the field only and is handed over once.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.widgets import Input, Static

from tui import clean
from tui.present.words import text
from tui.widgets.confirm import Dialog

ACCEPT = "accept"


class Questions(Dialog[list[str]]):
    """One field a prompt; enter goes to the next and, on the last, hands all answers over.

    prompts: (text, echo): without echo the field shows dots. None if the operator leaves.
    """

    def __init__(
        self,
        title: str,
        body: Text,
        prompts: Sequence[tuple[str, bool]],
        *,
        hint: str,
        values: Sequence[str] = (),
    ) -> None:
        """values: what the fields hold at first."""
        super().__init__(title, body, hint=hint)
        self._prompts = list(prompts)
        self._values = [*values, *[""] * (len(self._prompts) - len(values))]

    def fields(self) -> ComposeResult:
        for n, (prompt, echo) in enumerate(self._prompts):
            yield Static(text(clean.line(prompt, 200)), classes="gap")
            yield Input(self._values[n], password=not echo, classes="field", id=f"answer-{n}")

    def on_mount(self) -> None:
        if self._prompts:
            self.query_one("#answer-0", Input).focus()

    @on(Input.Submitted)
    def submitted(self, event: Input.Submitted) -> None:
        event.stop()
        n = int((event.input.id or "answer-0").removeprefix("answer-"))
        if n + 1 < len(self._prompts):
            self.query_one(f"#answer-{n + 1}", Input).focus()
            return
        fields = [self.query_one(f"#answer-{i}", Input) for i in range(len(self._prompts))]
        answers = [field.value for field in fields]
        for field in fields:
            field.clear()
        self.dismiss(answers)


class Login(Questions):
    """What a hop asks. Title, instructions and prompts are the other end's words."""

    def __init__(self, title: str, instructions: str, prompts: Sequence[tuple[str, bool]]) -> None:
        body = Text()
        said = clean.block(instructions, 2000, 12).strip()
        if said:
            body.append(said + "\n")
        body.append("Nothing typed here is stored or logged.", "dim")
        super().__init__(title or "Log in", body, prompts, hint="enter sends · esc stops the login")


class HostKey(Dialog[bool]):
    """Shows an unknown host key. Only the typed word files it; everything else is no."""

    def __init__(self, *, hop: str, name: str, key_type: str, fingerprint: str) -> None:
        body = Text.assemble(
            "The key of ",
            (clean.line(hop, 80), "strong"),
            f" is not on file under {clean.line(name, 100)!r}.\n\n",
            ("type         ", "dim"),
            clean.line(key_type, 40),
            ("\nfingerprint  ", "dim"),
            (clean.line(fingerprint, 80), "strong"),
            "\n\nCompare it with what the administrators give out. If you cannot, leave: someone "
            "may stand in between, and would see the password you type next.\n\n",
            ("type ", "dim"),
            (ACCEPT, "strong"),
            (" to file this key and go on", "dim"),
        )
        super().__init__(
            "Unknown host key", body, hint=f"esc: no (default) · {ACCEPT}: yes", danger=True
        )

    def fields(self) -> ComposeResult:
        yield Input(classes="field gap", id="answer", placeholder="no")

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    @on(Input.Submitted)
    def submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(event.value.strip().lower() == ACCEPT)
