"""The way to a `Host` alias of the operator's OpenSSH configuration, as `ssh` itself understands it.

`ssh -G` prints what holds for a host, with Include, Match and wildcards worked out. Where there is no
`ssh`, paramiko's reader is asked, and refused where it is known to be silently wrong.
Importing this loads no SSH library.
"""

from __future__ import annotations

import getpass
import os
import re
import shutil
import socket
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.errors import MissingComponent, NotFound, SettingsError
from remote.hops import METHODS, LoginOptions
from remote.ways.ssh_config_text import literal_names, trusted_text

ENV = "QA_SSH_CONFIG"  # another configuration file, also instead of the system's
CONFIG, DEFAULT = "ssh config", "ssh default"
MAX_HOPS = 8
WAIT_S = 20.0  # `Match exec` may run a program of the operator's

Values = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class HopSpec:
    """One element of ProxyJump: `[user@]host[:port]`."""

    host: str
    user: str | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Resolved:
    """What holds for one alias. origins: by field, "ssh config" or "ssh default"."""

    alias: str
    hostname: str
    port: int
    user: str
    host_key_alias: str | None
    login: LoginOptions
    known_hosts: tuple[Path, ...]
    jumps: tuple[Resolved, ...] = ()
    origins: dict[str, str] = field(default_factory=dict, compare=False)
    notes: tuple[str, ...] = ()


def config_file() -> Path | None:
    """The file named by QA_SSH_CONFIG; None: the operator's and the system's."""
    name = os.environ.get(ENV)
    return Path(name).expanduser() if name else None


def resolve(alias: str) -> Resolved:
    """The way to `alias`. Raises NotFound if no configuration speaks of it; SettingsError."""
    check_name(alias, "host name")
    if not mentions(alias):
        raise NotFound(
            f"no host named {alias!r} in {config_file() or '~/.ssh/config'}",
            try_next="see `qa hosts list`",
        )
    return _resolve(HopSpec(alias), [], follow=True)


def check_name(text: str, what: str) -> str:
    """What goes into ssh's argument list or a known_hosts line. Raises SettingsError."""
    if not text or len(text) > 255 or text[0] == "-" or re.search(r"[\s\x00-\x1f\x7f]", text):
        fault = "is empty" if not text else "begins with '-' or holds blanks or controls"
    elif re.search(r"""['"`$\\;&<>|(){}*?!,#]""", text):
        fault = "holds a character with a meaning of its own"
    else:
        return text
    raise SettingsError(f"{what} {text[:80]!r} {fault}", try_next="correct it where it is written")


# -- what OpenSSH says ----------------------------------------------------------------------


def ssh_binary() -> str | None:
    return shutil.which("ssh")


def _values(spec: HopSpec) -> Values:
    """Every keyword that holds for a hop, lower case, with its values in order."""
    if ssh_binary() is None:
        return _values_without_ssh(spec)
    argv = ["-l", spec.user] if spec.user else []
    argv += ["-p", str(spec.port)] if spec.port else []
    file = config_file()
    text = _ssh_g(spec.host, argv + (["-F", str(file)] if file else []))
    return parse_values(text)


def _defaults(spec: HopSpec) -> Values:
    """What would hold for a hop without any configuration."""
    if ssh_binary() is None:
        return {}
    return parse_values(_ssh_g(spec.host, ["-F", "none"]))


def _ssh_g(host: str, options: list[str]) -> str:
    binary = ssh_binary() or "ssh"
    try:
        done = subprocess.run(
            [binary, "-G", "-T", *options, "--", host],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=WAIT_S,
        )
    except subprocess.TimeoutExpired as e:
        raise SettingsError(
            f"ssh did not say in {WAIT_S:.0f} s how {host!r} is reached",
            try_next="a `Match exec` of the ssh configuration may hang: try `ssh -G` by hand",
        ) from e
    except OSError as e:
        raise MissingComponent(
            f"{binary} cannot be run", why=str(e), try_next="install the OpenSSH client"
        ) from e
    if done.returncode != 0:
        said = [_one_line(line) for line in done.stderr.decode("utf-8", "replace").splitlines()]
        said = [line for line in said if line and not line.startswith("Pseudo-terminal")]
        raise SettingsError(
            f"ssh cannot make out how {host!r} is reached",
            why="; ".join(said[:3]),
            try_next="correct the ssh configuration; `ssh -G` shows the same",
        )
    return done.stdout.decode("utf-8", "replace")


def _one_line(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", text).strip()[:300]


def parse_values(text: str) -> Values:
    """`keyword value` lines; a keyword may come several times."""
    values: Values = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key:
            values.setdefault(key.lower(), []).append(value.strip())
    return values


def aliases() -> list[str]:
    """Host names that are written out in the configuration and what it includes, in order."""
    own = config_file()
    usual = [Path("~/.ssh/config").expanduser(), Path("/etc/ssh/ssh_config")]
    return literal_names([own] if own else usual)


def mentions(alias: str) -> bool:
    """Does any Host or Match of the configuration change something for this name?

    Its values are compared with those of a name that nobody has written down: `Host *` alone does not
    make every word a host.
    """
    if alias in aliases():
        return True
    if ssh_binary() is None:
        return False
    nobody = "no-such-alias-" + "z" * 12
    argv = ["-F", str(config_file())] if config_file() else []
    ours = _ssh_g(alias, argv).replace(f"hostname {alias.lower()}\n", f"hostname {alias}\n")
    return ours != _ssh_g(nobody, argv).replace(nobody, alias)


def _values_without_ssh(spec: HopSpec) -> Values:
    """paramiko's reading, where it can be trusted. Raises SettingsError where it cannot."""
    import paramiko

    file = config_file() or Path("~/.ssh/config").expanduser()
    text = trusted_text(file)
    try:
        found = paramiko.SSHConfig.from_text(text).lookup(spec.host)
    except Exception as e:  # it raises many kinds
        raise SettingsError(
            f"{file} cannot be read", why=_one_line(str(e)), try_next="correct that file"
        ) from e
    values: Values = {
        key: [str(v) for v in value] if isinstance(value, list) else [str(value)]
        for key, value in found.items()
    }
    if spec.user:
        values["user"] = [spec.user]
    if spec.port:
        values["port"] = [str(spec.port)]
    values.setdefault("identityfile", [f"~/.ssh/{n}" for n in ("id_ed25519", "id_ecdsa", "id_rsa")])
    values.setdefault("userknownhostsfile", ["~/.ssh/known_hosts"])
    values.setdefault("globalknownhostsfile", ["/etc/ssh/ssh_known_hosts"])
    return values


# -- from values to a hop -------------------------------------------------------------------


def _resolve(spec: HopSpec, path: list[HopSpec], *, follow: bool) -> Resolved:
    """One hop. follow: with its own ProxyJump, which an explicit list before it overrides."""
    check_name(spec.host, "host name")
    if spec.user is not None:
        check_name(spec.user, "user")
    if spec in path or len(path) > MAX_HOPS:
        names = " → ".join(s.host for s in [*path, spec])
        raise SettingsError(
            f"the jump hosts of {path[0].host!r} go in a circle",
            why=names,
            try_next="correct ProxyJump in the ssh configuration",
        )
    values = _values(spec)
    _refuse_proxy_command(spec, values)
    jumps: list[Resolved] = []
    if follow:
        for hop in parse_jumps(_first(values, "proxyjump")):
            # Only the first of a list keeps a ProxyJump of its own, as with `ssh -J`.
            found = _resolve(hop, [*path, spec], follow=not jumps)
            jumps += [*found.jumps, _without_jumps(found)]
        if len(jumps) > MAX_HOPS:
            raise SettingsError(
                f"more than {MAX_HOPS} jump hosts on the way to {spec.host!r}",
                try_next="correct ProxyJump in the ssh configuration",
            )
    return _hop(spec, values, tuple(jumps))


def _without_jumps(hop: Resolved) -> Resolved:
    return replace(hop, jumps=())


def _refuse_proxy_command(spec: HopSpec, values: Values) -> None:
    command = _first(values, "proxycommand")
    if command and command.lower() != "none":
        raise SettingsError(
            f"{spec.host!r} is reached by a ProxyCommand, which is not run here",
            why=f"ProxyCommand {_one_line(command)}",
            try_next="write the way as ProxyJump, or as jumps in hosts.yaml",
        )


def parse_jumps(text: str) -> list[HopSpec]:
    """`a@j1:2222,[::1]:22,ssh://b@j2` → hops, the first from here first. "" or "none": no hop."""
    if not text or text.lower() == "none":
        return []
    return [_parse_jump(part.strip()) for part in text.split(",")]


def _parse_jump(text: str) -> HopSpec:
    rest = text.removeprefix("ssh://").rstrip("/")
    user, at, rest = rest.rpartition("@")
    found = re.fullmatch(r"\[([^\[\]]+)\](?::(\d{1,5}))?|([^:\[\]]+)(?::(\d{1,5}))?", rest)
    address = (found.group(1) or found.group(3)) if found else rest if rest.count(":") > 1 else ""
    port = (found.group(2) or found.group(4)) if found else None
    if not address or (at and not user) or (port and not 0 < int(port) < 65536):
        raise SettingsError(
            f"ProxyJump {_one_line(text)!r} is not [user@]host[:port]",
            try_next="correct it in the ssh configuration",
        )
    return HopSpec(address, user or None, int(port) if port else None)


def _hop(spec: HopSpec, values: Values, jumps: tuple[Resolved, ...]) -> Resolved:
    user = check_name(_first(values, "user") or getpass.getuser(), f"user of {spec.host!r}")
    hostname = check_name(
        _first(values, "hostname") or spec.host, f"HostName of {spec.host!r}"
    ).rstrip(".")
    alias = _first(values, "hostkeyalias")
    if alias:
        check_name(alias, f"HostKeyAlias of {spec.host!r}")
    port = int(_first(values, "port") or 22)
    expand = _Expander(spec, hostname, port, user, alias or "")
    notes = list(_notes(values))
    if ssh_binary() is None:
        notes.append("there is no `ssh` here: the ssh configuration was read by a simpler reader")
    agent = _first(values, "identityagent")
    login = LoginOptions(
        identity_files=expand.paths(values.get("identityfile", [])),
        certificate_files=expand.paths(values.get("certificatefile", [])),
        agent=None if agent in ("", "SSH_AUTH_SOCK") else expand.agent(agent),
        identities_only=_first(values, "identitiesonly") == "yes",
        methods=_methods(values),
    )
    files = [*_files(values, "userknownhostsfile"), *_files(values, "globalknownhostsfile")]
    return Resolved(
        alias=spec.host,
        hostname=hostname,
        port=port,
        user=user,
        host_key_alias=alias or None,
        login=login,
        known_hosts=expand.paths(files),
        jumps=jumps,
        origins=_origins(spec, values),
        notes=tuple(notes),
    )


def _first(values: Values, key: str) -> str:
    found = values.get(key, [""])[0]
    return "" if found.lower() == "none" and key != "identityagent" else found


def _files(values: Values, key: str) -> list[str]:
    return [name for line in values.get(key, []) for name in line.split() if name != "none"]


def _methods(values: Values) -> tuple[str, ...]:
    """The ways of logging in that are permitted, in the order asked for."""
    off = {
        "publickey": _first(values, "pubkeyauthentication") in ("no", "false"),
        "keyboard-interactive": _first(values, "kbdinteractiveauthentication") == "no",
        "password": _first(values, "passwordauthentication") == "no",
    }
    wanted = _first(values, "preferredauthentications")
    order = [w.strip() for w in wanted.split(",")] if wanted else list(METHODS)
    return tuple(m for m in order if m in METHODS and not off[m])


def _notes(values: Values) -> list[str]:
    """What the configuration asks for and does not get here."""
    notes = []
    if _first(values, "stricthostkeychecking") in ("no", "off", "false", "accept-new"):
        notes.append(
            "StrictHostKeyChecking is set lower: host keys are checked strictly all the same"
        )
    if values.get("revokedhostkeys", ["none"])[0] not in ("", "none"):
        notes.append("RevokedHostKeys is not read: use @revoked lines in known_hosts")
    if _first(values, "gssapiauthentication") == "yes":
        notes.append("GSSAPIAuthentication (Kerberos) is not offered")
    return notes


_SHOWN = {
    "hostname": "address",
    "port": "port",
    "user": "user",
    "hostkeyalias": "host_key_alias",
    "identityfile": "identity_files",
    "certificatefile": "certificate_files",
    "identityagent": "agent",
    "identitiesonly": "identities_only",
    "userknownhostsfile": "known_hosts_also",
    "proxyjump": "jumps",
    "preferredauthentications": "methods",
}


def _origins(spec: HopSpec, values: Values) -> dict[str, str]:
    """By field: set by the configuration, by the ProxyJump that named this hop, or by default."""
    usual = _defaults(spec)
    said = {"port": spec.port, "user": spec.user}
    return {
        name: "ProxyJump"
        if said.get(key)
        else (DEFAULT if values.get(key) == usual.get(key) else CONFIG)
        for key, name in _SHOWN.items()
    }


@dataclass(frozen=True, slots=True)
class _Expander:
    """`~`, `${NAME}` and %-tokens in file names, which `ssh -G` leaves as they are written."""

    spec: HopSpec
    hostname: str
    port: int
    user: str
    host_key_alias: str

    def paths(self, names: list[str]) -> tuple[Path, ...]:
        found = [Path(self.text(n)).expanduser() for n in names if n and n.lower() != "none"]
        return tuple(dict.fromkeys(found))

    def agent(self, value: str) -> str:
        """A socket, or "none"; `$NAME` stands for what the environment says."""
        if value.lower() == "none":
            return "none"
        if re.fullmatch(r"\$[A-Za-z_]\w*", value):
            return os.environ.get(value[1:], "none")
        return str(Path(self.text(value)).expanduser())

    def text(self, text: str) -> str:
        def variable(found: re.Match[str]) -> str:
            name = found.group(1)
            if name not in os.environ:
                raise SettingsError(
                    f"the ssh configuration of {self.spec.host!r} uses ${{{name}}}, which is not set",
                    try_next=f"set {name}, or write the path out",
                )
            return os.environ[name]

        text = re.sub(r"\$\{(\w+)\}", variable, text)
        local = socket.gethostname()
        tokens = {
            "%": "%",
            "d": str(Path.home()),
            "h": self.hostname,
            "i": str(os.getuid()) if hasattr(os, "getuid") else "",
            "k": self.host_key_alias or self.spec.host,
            "l": local,
            "L": local.partition(".")[0],
            "n": self.spec.host,
            "p": str(self.port),
            "r": self.user,
            "u": getpass.getuser(),
        }
        return re.sub(r"%(.)", lambda m: tokens.get(m.group(1), m.group(0)), text)
