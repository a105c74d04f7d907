"""Shell commands of a script, without a shell: what they do to a machine is done to this one.

Known are the commands that such scripts use to set knobs and to look at sockets; pipes of them through grep, `&&`, `;`.
Anything else is a Skip that names it.
"""

from __future__ import annotations

import re
import shlex
import warnings
from typing import Any

from pystack._fast.consts import SECOND
from pystack._fast.tcp_close import remove_timewait
from pystack.packetdrill.counters import Nstat
from pystack.packetdrill.verdict import Failure, Skip
from pystack.sysctl import KnobError, NoEffect
from pystack.views import tools

LINUX_BASE = {
    "net.ipv4.tcp_rmem": "4096 540000 15728640",
    "net.ipv4.tcp_wmem": "4096 262144 4194304",
    "net.ipv4.tcp_timestamps": "1",
    "net.ipv4.tcp_syn_retries": "5",
    "net.ipv4.tcp_synack_retries": "5",
    "net.ipv4.tcp_sack": "1",
    "net.ipv4.tcp_dsack": "1",
    "net.ipv4.tcp_reordering": "3",
    "net.ipv4.tcp_congestion_control": "cubic",
    "net.ipv4.tcp_slow_start_after_idle": "0",
    "net.ipv4.tcp_early_retrans": "4",
    "net.ipv4.tcp_recovery": "1",
    "net.ipv4.tcp_tso_win_divisor": "3",
    "net.ipv4.tcp_ecn": "0",
    "net.ipv4.tcp_frto": "2",
    "net.ipv4.tcp_fastopen": str(0x70403),
    "net.ipv4.tcp_fastopen_key": "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4",
    "net.ipv4.tcp_syncookies": "1",
}
"""What scripts mean by "the defaults" (a `defaults.sh` that sets them comes with many suites)."""

_QUOTED = re.compile(r"'[^']*'|\"[^\"$`\\]*\"")
_SYNTAX = re.compile(r"[$<(){}*?\[\]!`\\'\"]|\|\||(?<!&)&(?![&\d])")
"""What only a shell understands, outside of quotes."""
_NAME = re.compile(r"\b[A-Z]\w+")
"""A counter's name, or the beginning of some."""
_IGNORED = {"true", ":", "logger"}
_TOOLS = {"cat", "conntrack", "dmesg", "ipfw", "iptables"}
"""Commands of `pystack.views.tools` that are those of a shell; its tools that only look all are."""
_MODULE = re.compile(r"(accf|cc|tcp)_[a-z0-9]+(\.ko)?")
"""Modules that change nothing by being loaded: what they bring is chosen by a knob or a socket option, and that is
where a choice that this machine does not have is a Skip."""


class Shell:
    """The commands of one script for one machine."""

    def __init__(self, host: Any) -> None:
        self.host = host
        self.notes: list[str] = []
        """What was set without effect, for the trace."""
        self.counters = Nstat(host)
        self.sleep = 0
        """Nanoseconds that the commands so far would have slept."""

    def run(self, text: str) -> None:
        """Run a command. Raises Failure where a shell would answer non-zero, Skip for what is not known."""
        for line in text.replace("\\\n", " ").split("\n"):
            line = line.strip()
            if line and not line.startswith("#"):
                self._line(line)

    def _line(self, line: str) -> None:
        status = True
        for operator, words in _commands(line):
            if operator == "&&" and not status:
                continue
            if operator == ";" and not status:
                break
            status = self._pipeline(words, line)
        if not status:
            raise Failure(f"error executing command: `{line}` returned non-zero status 1")

    def _pipeline(self, stages: list[list[str]], line: str) -> bool:
        first = stages[0]
        if len(first) >= 4 and first[0] == "echo" and first[-2] == ">":
            if not first[-1].startswith("/proc/sys/"):
                raise Skip(f"the shell command `{line}`")
            self._set(_from_path(first[-1]), " ".join(first[1:-2]))
            return True
        if first[0].endswith(".sh") and "restore" in first[0]:
            return True  # whose machine is thrown away needs no knobs restored
        if first[0] == "nstat":
            self._know_counters(stages, line)
        stages = [_silent(stage, line) for stage in stages]
        lines, status = self._command(stages[0], line)
        for stage in stages[1:]:
            lines, status = _filter(stage, lines, line)
        return status

    # --- what can be done --------------------------------------------------------------------------

    def _command(self, words: list[str], text: str) -> tuple[list[str], bool]:
        """(what it prints, success)"""
        while words and words[0] in ("sudo", "sh", "bash", "/bin/sh", "python", "python3", "exec"):
            words = words[1:]
        name = words[0].rsplit("/", 1)[-1] if words else ""
        args = words[1:]
        if name == "defaults.sh" and not args:
            self.defaults()
            return [], True
        if name == "set_sysctls.py":
            for arg in args:
                path, _, value = arg.partition("=")
                self._set(_from_path(path), value)
            return [], True
        if name == "sysctl":
            return self._sysctl(args), True
        if name == "nstat" and self.host.profile.system == "linux":
            return self._nstat(args, text), True
        if name == "sockstat":
            return self._sockets(), True
        if name == "tcpdrop" and args[:2] == ["-s", "TIME_WAIT"]:
            self._drop_timewait()
            return [], True
        if name == "kldload":
            for module in args:
                if not module.startswith("-") and not _MODULE.fullmatch(module):
                    raise Skip(f"kldload {module}")
            return [], True
        if name == "sleep" and len(args) == 1 and re.fullmatch(r"\d+(\.\d+)?", args[0]):
            self.sleep += round(float(args[0]) * SECOND)
            return [], True
        if name == "echo":
            return [" ".join(args)], True
        if name in _IGNORED:
            return [], True
        if name == "false":
            return [], False
        if name in _TOOLS or name in tools.tools_of(self.host):
            shown = self._tool(name, args)
            if shown.status == 2:
                raise Skip(f"the shell command `{text}` ({shown.err.strip()})")
            return shown.out.splitlines(), shown.status == 0
        raise Skip(f"the shell command `{text}`")

    def _tool(self, name: str, args: list[str]) -> tools.Outcome:
        return tools.run(self.host, name, args)

    def defaults(self) -> None:
        """Set the knobs that scripts take for granted on Linux."""
        if self.host.profile.system != "linux":
            raise Skip("defaults.sh on another system than Linux")
        for name, value in LINUX_BASE.items():
            self._set(name, value)

    def _sysctl(self, args: list[str]) -> list[str]:
        said = []
        bare = False
        for arg in args:
            if arg.startswith("-"):
                if set(arg[1:]) - set("qwnei"):
                    raise Skip(f"sysctl {arg}")
                bare = bare or "n" in arg
                continue
            name, equals, value = arg.partition("=")
            if equals:
                self._set(name, value)
            else:
                try:
                    said.append(
                        self.host.sysctl.text(name) if bare else self.host.sysctl.show(name)
                    )
                except KnobError as e:
                    raise Skip(f"the sysctl {name}") from e
        return said

    def _set(self, name: str, value: str) -> None:
        name = name.strip().replace("/", ".") if "/" in name else name.strip()
        try:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always", NoEffect)
                self.host.sysctl[name] = value.strip().strip("'\"")
        except KnobError as e:
            raise Skip(f"the sysctl {name}={value} ({e})") from e
        self.notes += [str(w.message) for w in said]

    def _nstat(self, args: list[str], text: str) -> list[str]:
        flags = "".join(arg[1:] for arg in args if arg.startswith("-"))
        if set(flags) - set("nasz"):
            raise Skip(f"the shell command `{text}`")
        return self.counters.lines(flags, [arg for arg in args if not arg.startswith("-")])

    def _know_counters(self, stages: list[list[str]], line: str) -> None:
        """Every counter that is asked for must be one of ours: an unknown one would look like one that is 0."""
        asked = [name for stage in stages for word in stage for name in _NAME.findall(word)]
        for word in asked:
            if not self.counters.knows(word):
                raise Skip(f"the counter {word}")
        if len(stages) > 1 and not asked:
            raise Skip(f"the shell command `{line}`")

    def _sockets(self) -> list[str]:
        """Lines as `sockstat -4 -P tcp -s` prints them: one for each socket, with its state."""
        count = 3
        lines = []
        for state, n in self.host.tcp_states().items():
            for _ in range(n):
                where = "192.168.0.1:8080      192.0.2.1:8080"
                lines.append(f"root     packetdril 1000  {count:<3}tcp4   {where}      {state}")
                count += 1
        return lines

    def _drop_timewait(self) -> None:
        core = self.host.core
        core.settle(self.host.now)
        table = core.timewait
        for entry in table.rows():
            where = (entry["laddr"], entry["lport"], entry["faddr"], entry["fport"])
            remove_timewait(core, table.find(*where))


def _commands(line: str) -> list[tuple[str, list[list[str]]]]:
    """[(operator before it, its stages as words)] of a line."""
    restore = line.split("$")[0]
    if "restore" in restore and re.fullmatch(r"\S+\.sh", line):
        return [(";", [["restore.sh"]])]
    if _SYNTAX.search(_QUOTED.sub("", line)):
        raise Skip(f"the shell command `{line}`")
    words = shlex.shlex(line, posix=True, punctuation_chars="|&;>")
    words.whitespace_split = True
    words.commenters = ""
    found: list[tuple[str, list[list[str]]]] = [(";", [[]])]
    for word in words:
        if word in (";", "&&"):
            found.append((word, [[]]))
        elif word == "|":
            found[-1][1].append([])
        else:
            found[-1][1][-1].append(word)
    if found[-1] == (";", [[]]) and len(found) > 1:
        found.pop()
    if not all(stage for _, stages in found for stage in stages):
        raise Skip(f"the shell command `{line}`")
    return found


def _silent(words: list[str], line: str) -> list[str]:
    """A command without redirections to /dev/null; others are not known."""
    kept: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        nowhere = (">", ["/dev/null"]), (">>", ["/dev/null"]), (">&", ["1"]), (">&", ["2"])
        if (word, rest[:1]) in nowhere:
            rest.pop(0)
            if kept and kept[-1] in ("1", "2"):
                kept.pop()
        elif set(word) <= set("<>&|;"):
            raise Skip(f"the shell command `{line}`")
        else:
            kept.append(word)
    return kept


def _from_path(path: str) -> str:
    """net.ipv4.tcp_ecn of /proc/sys/net/ipv4/tcp_ecn."""
    return path.strip().removeprefix("/proc/sys/").replace("/", ".")


def _filter(words: list[str], lines: list[str], text: str) -> tuple[list[str], bool]:
    """Grep and wc -l."""
    if words[0] == "wc" and words[1:] == ["-l"]:
        return [str(len(lines))], True
    if words[0] not in ("grep", "egrep", "fgrep"):
        raise Skip(f"the shell command `{text}`")
    flags = "".join(word[1:] for word in words[1:] if word.startswith("-"))
    patterns = [word for word in words[1:] if not word.startswith("-")]
    if len(patterns) != 1 or set(flags) - set("cqvwiEF"):
        raise Skip(f"the shell command `{text}`")
    pattern = re.escape(patterns[0]) if "F" in flags or words[0] == "fgrep" else patterns[0]
    if "w" in flags:
        pattern = rf"\b(?:{pattern})\b"
    try:
        expression = re.compile(pattern, re.IGNORECASE if "i" in flags else 0)
    except re.error as e:
        raise Skip(f"the shell command `{text}`") from e
    found = [line for line in lines if bool(expression.search(line)) != ("v" in flags)]
    shown = [str(len(found))] if "c" in flags else [] if "q" in flags else found
    return shown, bool(found)
