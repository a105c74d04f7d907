"""The settings of `pystack serve`: from a TOML file, from options, or from both (options win).

tun = "tun0"
address = "10.9.0.2/24"
profile = "freebsd-14"
http = 80
http_root = "site"            # relative to this file
http_like = "apache-1.3"      # its habits
loss = "1%"

loader_conf = "loader.conf"   # as the machine's system reads it when it boots (FreeBSD)
sysctl_conf = "sysctl.conf"   # and right after

[http_options]
keepalive = "off"             # a change to them

[sysctl]
"net.inet.tcp.msl" = 1000

[policy]
timewait = "linux"            # behaviour other than the profile's (`pystack profiles NAME`)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pystack.cli.common import fail
from pystack.sysctl.near import near
from pystack.sysctl.strict_toml import Document, TomlError

if TYPE_CHECKING:
    from pystack.host import Host
    from pystack.services import Service

_PORTS = ("http", "echo", "discard", "chargen")
_PATHS = frozenset({"http_root", "loader_conf", "sysctl_conf"})
"""Files that a file names by where it is itself."""
_PAIRS = ("sysctl", "policy", "http_option")
"""Options that may be given again: NAME=VALUE."""


@dataclass
class Settings:
    """All settings, defaults where nobody said otherwise."""

    tun: str = "tun0"
    address: str = "10.9.0.2/24"
    kernel_address: str | None = None
    name: str = "web"
    profile: str = "freebsd-14"
    http: int | None = None
    http_root: str | None = None
    http_like: str = "pystack"
    http_options: dict[str, Any] = field(default_factory=dict)
    echo: int | None = None
    discard: int | None = None
    chargen: int | None = None
    offload: bool = True
    mtu: int = 1500
    loss: str | float = 0.0
    delay: str = "0s"
    jitter: str = "0s"
    pcap: str | None = None
    netns: str | None = None
    control: bool = True
    loader_conf: str | None = None
    sysctl_conf: str | None = None
    iptables: str | None = None
    ipfw: str | None = None
    sysctl: dict[str, object] = field(default_factory=dict)
    policy: dict[str, object] = field(default_factory=dict)

    def host(self) -> Host:
        """The machine. Raises what `Host` raises."""
        from pystack.control.place import check_name
        from pystack.host import Host
        from pystack.tun import MTU_MAX, MTU_MIN, choose_addresses

        if self.control:
            check_name(self.name)
        ours, _ = choose_addresses(self.address, self.kernel_address)
        if not MTU_MIN <= self.mtu <= MTU_MAX:
            raise ValueError(f"mtu {self.mtu} is not from {MTU_MIN} to {MTU_MAX}")
        made = Host(
            self.name,
            str(ours),
            profile=self.profile,
            mtu=self.mtu,
            sysctl=self.sysctl,
            policy=self.policy,
            loader_conf=Path(self.loader_conf).read_text("utf-8") if self.loader_conf else "",
        )
        if self.sysctl_conf is not None:
            path = Path(self.sysctl_conf)
            made.sysctl.load_sysctl_conf(path.read_text("utf-8"), str(path))
        if self.iptables is not None:
            self._load_rules(made, self.iptables)
        if self.ipfw is not None:
            self._load_ipfw(made, self.ipfw)
        return made

    def _load_ipfw(self, host: Host, path: str) -> None:
        """A rule file of ipfw. Raises OSError, and ValueError with the place of what is refused."""
        from pystack.firewall.ipfw.machine import IpfwError

        try:
            host.ipfw.load(Path(path).read_text("utf-8"))
        except IpfwError as error:
            raise ValueError(f"{path}: {error}") from None

    def _load_rules(self, host: Host, path: str) -> None:
        """What iptables-save wrote into a file. Raises OSError, and ValueError with the place of what is refused."""
        from pystack.firewall import FirewallError

        try:
            host.iptables_restore(Path(path).read_text("utf-8"))
        except FirewallError as error:
            place = ":".join(str(n) for n in (path, error.line, error.column) if n)
            raise ValueError(f"{place}: {error}") from None

    def services(self) -> list[Service]:
        """The services that have a port. Raises ValueError: a port twice, a bad value."""
        from pystack.services import ChargenService, DiscardService, EchoService, HttpService
        from pystack.services.http_habits import choose

        taken: dict[int, str] = {}
        for name in _PORTS:
            port = getattr(self, name)
            if port is not None and taken.setdefault(port, name) != name:
                raise ValueError(f"port {port} is given to {taken[port]} and to {name}")
        if self.http is None and self.http_root is not None:
            raise ValueError("a directory needs a port: give --http too")
        if self.http is None and (self.http_options or self.http_like != "pystack"):
            raise ValueError("habits need a port: give --http too")
        found: list[Service] = []
        choose(self.http_like, self.http_options)  # these, and no other argument of the service
        if self.http is not None:
            found.append(
                HttpService(
                    self.http, root=self.http_root, like=self.http_like, **self.http_options
                )
            )
        plain = (("echo", EchoService), ("discard", DiscardService), ("chargen", ChargenService))
        for name, kind in plain:
            port = getattr(self, name)
            if port is not None:
                found.append(kind(port))
        return found

    def device(self) -> dict[str, Any]:
        """What `Server` takes besides host, device name and services."""
        names = ("kernel_address", "offload", "loss", "delay", "jitter", "pcap", "control")
        return {name: getattr(self, name) for name in names}


def read_settings(path: Path | None, options: Mapping[str, Any]) -> Settings:
    """What the file says, overridden by the options. Ends the process where one cannot be."""
    values = dict(_from_file(path)) if path is not None else {}
    knobs = dict(values.pop("sysctl", {})) | _pairs("--sysctl", options.get("sysctl", ()))
    policy = dict(values.pop("policy", {})) | _pairs("--policy", options.get("policy", ()))
    habits = dict(values.pop("http_options", {}))
    habits |= _pairs("--http-option", options.get("http_option", ()))
    values |= {k: value for k, value in options.items() if k not in _PAIRS}
    return Settings(**values, sysctl=knobs, policy=policy, http_options=habits)


def _pairs(option: str, texts: Iterable[str]) -> dict[str, object]:
    """What NAME=VALUE, given several times, says."""
    found: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            fail(f"{option} {text!r}: write NAME=VALUE")
        found[name.strip()] = value.strip()
    return found


def _from_file(path: Path) -> Mapping[str, Any]:
    try:
        document = Document(path.read_text("utf-8"), str(path))
        return _checked(document, path)
    except UnicodeDecodeError:
        fail(f"{path}: not UTF-8 text")
    except (OSError, TomlError) as error:
        fail(error)


def _checked(document: Document, path: Path) -> Mapping[str, Any]:
    known = {each.name: str(each.type) for each in fields(Settings)}
    known.pop("netns")
    values = dict(document.data)
    for key, value in values.items():
        if key not in known:
            raise document.error("", key, f"unknown key {key!r}{near(key, known)}")
        wanted = known[key]
        kinds = tuple(
            kind
            for word, kind in (("str", str), ("int", int), ("bool", bool), ("dict", dict))
            if word in wanted
        ) + ((float, int) if "float" in wanted else ())
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            names = " or ".join(kind.__name__ for kind in kinds)
            raise document.error("", key, f"{key} must be {names}, not {type(value).__name__}")
    _check_habits(document, values.get("http_like", "pystack"), values.get("http_options", {}))
    for name in values.get("sysctl", {}):
        _check_knob(document, name, values.get("profile", Settings.profile))
    for name in _PATHS.intersection(values):
        values[name] = str(path.parent / values[name])
    return values


def _check_habits(document: Document, like: str, options: Mapping[str, object]) -> None:
    from pystack.services.http_habits import choose

    try:
        choose(like, {})
    except ValueError as error:
        raise document.error("", "http_like", str(error)) from None
    for name, value in options.items():
        try:
            choose(like, {name: value})
        except ValueError as error:
            raise document.error("http_options", name, str(error)) from None


def _check_knob(document: Document, name: str, profile: str) -> None:
    from pystack import profiles

    try:
        chosen = profiles.load(profile)
    except profiles.UnknownProfile as error:
        raise document.error("", "profile", str(error)) from None
    if chosen.find(name) is None:
        hint = near(name, chosen.knobs)
        raise document.error("sysctl", name, f"{profile} has no knob {name!r}{hint}")
