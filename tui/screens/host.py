"""Host: the way there, what it is fit for, what its devices do, and the tunnels through it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import OptionList, Static

from core.errors import QAError, UsageError
from tui import clean
from tui.bindings import HOST, bindings
from tui.desk.api_host import Checked, HostDesk, HostView, TunnelRow
from tui.present import host
from tui.present.words import text
from tui.screens.base import DeskScreen
from tui.widgets.confirm import Confirm
from tui.widgets.lists import Row, RowList
from tui.widgets.login import Questions
from tui.widgets.pane import Pane
from tui.widgets.steady import Steady

HOP, FINDING, DEVICE, TUNNEL, SETTINGS = "hop", "finding", "device", "tunnel", "settings"


class HostScreen(DeskScreen):
    MODE = "host"
    CSS_PATH = "host.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(HOST)

    def __init__(self) -> None:
        super().__init__()
        self.view: HostView | None = None
        self.checking = False

    @property
    def there(self) -> HostDesk:
        return self.desk.host

    def body(self) -> ComposeResult:
        with Horizontal(id="panes"):
            with Pane(id="host"):
                yield RowList(id="list", empty="The settings are loading…")
            with Pane(id="about"), VerticalScroll(id="scroll"):
                yield Static(id="detail")
            with Pane(id="live"), VerticalScroll(id="live-scroll"):
                yield Steady(id="live-detail")

    def on_mount(self) -> None:
        self.query_one("#host", Pane).title(clean.line(self.desk.host_name, 40))
        self.query_one("#about", Pane).title("about it")
        self.query_one("#live", Pane).title("devices")
        self.query_one("#list").focus()
        self.set_interval(1.0, self._tick)

    # what is shown

    def reload(self) -> None:
        self.ask(self.there.view, self._came, group="host")

    def _came(self, view: HostView) -> None:
        self.view = view
        self.redraw()
        self.call_after_refresh(self.redraw)  # now the panes have their widths
        self.keys_changed()

    def _tick(self) -> None:
        """Round trips, readings and tunnels are small values at hand."""
        if self.in_sight:
            self.redraw()

    def redraw(self) -> None:
        view = self.view
        if view is None:
            return
        self.query_one("#host", Pane).subtitle(clean.line(view.title, 60))
        self.query_one(RowList).fill(self._rows(view))
        self._draw_detail()
        self._draw_live()

    def _draw_live(self) -> None:
        """What the devices do, whatever is highlighted; only where there is room beside."""
        if self.query_one("#live").display:
            width = (self.query_one("#live-scroll").size.width or 55) - 1
            drawn = host.devices(self.there.devices(), self.there.processes(), width)
            self.query_one("#live-detail", Steady).update(drawn)

    def _rows(self, view: HostView) -> list[Row]:
        link, now = self.desk.link(), self.centre.clock()
        checked, devices, tunnels = self.there.checked(), self.there.devices(), self.there.tunnels()
        rows: list[Row] = [(None, partial(host.heading, "Way", ""))]
        rows += [
            (f"{HOP} {n}", partial(host.hop_row, n, title, link))
            for n, title in enumerate(view.hops)
        ]
        rows.append((None, partial(host.heading, "Devices", "")))
        rows += [(f"{DEVICE} {n}", partial(host.device_row, d)) for n, d in enumerate(devices)]
        if not devices:
            rows.append((None, partial(host.hint, "no readings yet: they start with the route")))
        word = "looking…" if self.checking else host.checked_word(checked, now)
        rows.append((None, partial(host.heading, "Preflight", word)))
        if checked is None:
            rows.append((None, partial(host.hint, host.NOT_LOOKED)))
        else:
            rows += [
                (f"{FINDING} {f.id}", partial(host.finding_row, f))
                for f in host.worst_first(checked)
            ]
        rows.append((None, partial(host.heading, "Tunnels", "")))
        rows += [(f"{TUNNEL} {t.port}", partial(host.tunnel_row, t)) for t in tunnels]
        if not tunnels:
            rows.append((None, partial(host.hint, host.NO_TUNNEL)))
        rows.append((None, partial(host.heading, "Settings", "")))
        rows.append((SETTINGS, partial(host.hint, "every value, and where it was found")))
        return rows

    def _draw_detail(self) -> None:
        width = (self.query_one("#scroll").size.width or 41) - 1
        drawn, crumb = self._detail(width)
        self.query_one("#detail", Static).update(drawn)
        self.crumb(crumb)

    def _detail(self, width: int) -> tuple[Text, str]:
        view, chosen = self.view, self.query_one(RowList).chosen or ""
        kind, _, name = chosen.partition(" ")
        if view is None:
            return text(), ""
        if kind == HOP:
            title = view.hops[int(name)]
            return host.hop_detail(int(name), title, self.desk.link(), view, width), title
        if kind == DEVICE:
            found = self.there.devices()
            if int(name) < len(found):
                device = found[int(name)]
                drawn = host.device_detail(device, self.there.processes(), width)
                return drawn, clean.line(device.gauge.name, 40)
        if kind == FINDING:
            checked = self.there.checked()
            for row in checked.findings if checked else ():
                if row.id == name:
                    return host.finding_detail(row, width), clean.line(row.title, 40)
        if kind == TUNNEL and self.tunnel is not None:
            return host.tunnel_detail(self.tunnel, self.desk.host_name, width), f"port {name}"
        if kind == SETTINGS:
            notes = text(*((f"▲ {clean.line(n, 300)}\n", "warn") for n in view.notes))
            return Text.assemble(notes, host.settings(view.settings, width)), "settings"
        return text(), ""

    @property
    def tunnel(self) -> TunnelRow | None:
        kind, _, name = (self.query_one(RowList).chosen or "").partition(" ")
        if kind != TUNNEL:
            return None
        return next((t for t in self.there.tunnels() if str(t.port) == name), None)

    @on(OptionList.OptionHighlighted, "#list")
    def highlighted(self) -> None:
        self._draw_detail()
        self.query_one("#scroll", VerticalScroll).scroll_home(animate=False)
        self.keys_changed()

    def finds(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        rows, checked = self.query_one(RowList), self.there.checked()
        for f in checked.findings if checked else ():
            yield (
                f"Preflight: {clean.line(f.title, 60)}",
                "",
                partial(rows.choose, f"{FINDING} {f.id}"),
            )

    def why_not(self, action: str) -> str | None:
        if action == "check":
            return "it is being looked at" if self.checking else self.no_route()
        if action in ("fix", "open_tunnel"):
            return self.no_route()
        if action == "close_tunnel" and self.tunnel is None:
            return "this is for a tunnel of this app: they stand below the preflight"
        return super().why_not(action)

    # preflight

    def action_check(self) -> None:
        if self.refused("check"):
            return
        self.checking = True
        self.redraw()
        self.ask(self.there.check, self._looked, group="check", failed=self._not_looked)

    def _looked(self, checked: Checked) -> None:
        self.checking = False
        self.redraw()
        worst = host.worst_first(checked)
        if worst:
            self.query_one(RowList).choose(f"{FINDING} {worst[0].id}")
        self.keys_changed()

    def _not_looked(self, problem: QAError) -> None:
        self.checking = False
        self.redraw()
        self.centre.report(problem)

    def action_fix(self) -> None:
        if self.refused("fix"):
            return
        body = text(
            "y starts a job on ",
            (clean.line(self.desk.host_name, 40), "strong"),
            " that makes the Python environment of the jobs, with uv where it is there.\n"
            "It is safe to repeat: what is there and right stays.",
        )

        def start(yes: bool | None) -> None:
            if yes:
                self.ask(self.there.fix, self._fixing, group="fix")

        self.app.push_screen(Confirm("Make the environment?", body, verb="starts it"), start)

    def _fixing(self, job_id: str) -> None:
        self.centre.say(f"job {job_id} makes the environment", title=self.desk.host_name)
        self.app.call_later(self.centre.open_job, job_id)

    # tunnels

    def action_open_tunnel(self) -> None:
        if self.refused("open_tunnel"):
            return

        def open_(answers: list[str] | None) -> None:
            if answers:
                self.ask(lambda: self._opened(*answers), self._tunnelled, group="tunnel")

        dialog = Questions(
            "Tunnel",
            text(
                "A port of the host's loopback as one of this machine, for as long as the app runs."
            ),
            [("port on the host", True), ("port here; empty takes a free one", True)],
            hint="enter opens · esc cancels",
        )
        self.app.push_screen(dialog, open_)

    def _opened(self, port: str, local: str) -> TunnelRow:
        return self.there.open_tunnel(_port(port), _port(local) if local.strip() else 0)

    def _tunnelled(self, row: TunnelRow) -> None:
        self.redraw()
        self.query_one(RowList).choose(f"{TUNNEL} {row.port}")
        self.centre.say(f"{row.address} is port {row.port} of {self.desk.host_name}")

    def action_close_tunnel(self) -> None:
        row = self.tunnel
        if self.refused("close_tunnel") or row is None:
            return
        self.ask(lambda: self.there.close_tunnel(row.port), lambda _: self.redraw(), group="tunnel")


def _port(said: str) -> int:
    """Raises UsageError; the range is checked where the tunnel is opened."""
    word = said.strip()
    if not (word.isascii() and word.isdigit()):
        raise UsageError(
            f"{clean.line(said, 40)!r} is no port", try_next="a number from 1 to 65535"
        )
    return int(word)
