"""The matches of iptables that remember, as text: limit, hashlimit, connlimit, statistic, recent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pystack._fast import consts, nf_match, nf_rate
from pystack.addresses import dotted
from pystack.firewall import words
from pystack.firewall.errors import RefusedError
from pystack.firewall.extension import (
    Extension,
    MatchText,
    Option,
    flag,
    prefix_mask,
    text,
    whole,
)

if TYPE_CHECKING:
    from pystack.firewall.spec import Spec
    from pystack.firewall.tables import Shared

UNITS = {"day": 86400, "hour": 3600, "min": 60, "sec": 1}
LIMIT_SCALE = 10_000
HASH_SCALE = 1_000_000
U32 = words.ALL_ONES


def period_of(rate: str, scale: int) -> tuple[int, int] | None:
    """(1 / `scale` seconds that a packet costs, seconds of its unit) of `N[/unit]`; None: not a rate; 0: too fast."""
    count_text, slash, unit_text = rate.partition("/")
    count = words.number(count_text, 1)
    long_names = {"day": 86400, "hour": 3600, "minute": 60, "second": 1}
    unit = 1
    if slash:
        found = [n for n in long_names if unit_text and n.startswith(unit_text.lower())]
        if not found:
            return None
        unit = long_names[found[0]]
    return None if count is None else (scale * unit // count, unit)


def rate_text(period: int, scale: int) -> str:
    """A period as a rate: the largest unit in which it is a whole number, or nearly."""
    best = "day"
    for name, seconds in UNITS.items():
        unit = seconds * scale
        if name != "day" and (period > unit or unit // period < unit % period):
            break
        best = name
    return f"{UNITS[best] * scale // period}/{best}"


def limit_rate(_e: Extension, _o: Option, args: Sequence[str]) -> int:
    """What a packet costs, in 1 / 10,000 s."""
    period = period_of(args[0], LIMIT_SCALE)
    if period is None:
        raise RefusedError(f'bad rate "{args[0]}"\'')
    if period[0] == 0:
        raise RefusedError(f'Rate too fast "{args[0]}"')
    return period[0]


class LimitText(MatchText):
    name = "limit"
    options = (Option("limit", limit_rate), Option("limit-burst", whole(0, 10000)))

    @property
    def period(self) -> int:
        return int(self.given.get("limit", LIMIT_SCALE * 3600 // 3))

    @property
    def burst(self) -> int:
        return int(self.given.get("limit-burst", 5)) or 5

    def save(self) -> str:
        burst = f" --limit-burst {self.burst}" if self.burst != 5 else ""
        return f" --limit {rate_text(self.period, LIMIT_SCALE)}{burst}"

    def show(self, numeric: bool) -> str:
        return f"limit: avg {rate_text(self.period, LIMIT_SCALE)} burst {self.burst}"

    def build(self, shared: Shared) -> nf_match.Match:
        return nf_rate.Limit(self.period * (10**9 // LIMIT_SCALE), self.burst)


def octet_cost(octets: int) -> int:
    """What 16 octets cost at so many octets a second, in 2**-32 s."""
    return U32 // ((octets >> 4) + 1)


def octets_of(cost: int) -> int:
    """The octets a second of such a cost."""
    return ((U32 // cost if cost else U32) - 1) << 4


def octets_text(cost: int) -> str:
    """A rate of octets in the largest unit in which it is whole."""
    octets = octets_of(cost)
    for unit, name in ((1 << 20, "mb"), (1 << 10, "kb")):
        if octets & (unit - 1) == 0:
            return f"{octets // unit}{name}"
    return f"{octets}b"


def octets_read(word: str) -> int | None:
    """`10kb`, `2mb`, `100b`: octets; None if it is none."""
    for suffix, factor in (("kb", 1 << 10), ("mb", 1 << 20), ("b", 1)):
        if word.endswith(suffix):
            count = words.number(word.removesuffix(suffix), 1)
            return None if count is None else count * factor
    return None


def hash_rate(e: Extension, o: Option, args: Sequence[str]) -> tuple[str, int, int]:
    """("packets", cost in µs, seconds of the unit) or ("octets", cost in 2**-32 s, 15)."""
    rate = args[0]
    amount, slash, unit = rate.partition("/")
    if amount[-1:] == "b":
        octets = octets_read(amount)
        if octets is None or (slash and unit not in ("s", "sec", "second")):
            raise RefusedError(f'bad rate "{rate}"\'')
        return "octets", octet_cost(octets), 15
    period = period_of(rate, HASH_SCALE)
    if period is None:
        raise RefusedError(f'bad value for option "--{o.name}" near "{rate}"')
    if period[0] == 0:
        raise RefusedError(f'Rate too fast "{rate}"')
    return "packets", period[0], period[1]


MODES = {
    "srcip": consts.BY_SRC,
    "srcport": consts.BY_SPORT,
    "dstip": consts.BY_DST,
    "dstport": consts.BY_DPORT,
}


def hash_mode(e: Extension, o: Option, args: Sequence[str]) -> int:
    """What is kept apart."""
    value = 0
    for word in args[0].split(","):
        if word not in MODES:
            raise RefusedError(f'{e.name}: Bad value for "--{o.name}" option: "{args[0]}"')
        value |= MODES[word]
    return value


def hash_burst(_e: Extension, o: Option, args: Sequence[str]) -> tuple[str, int]:
    """Packets or octets."""
    octets = octets_read(args[0])
    if octets is not None:
        return "octets", octets
    count = words.number(args[0], 1, 1_000_000)
    if count is None:
        raise RefusedError(f'bad value for option "--{o.name}", or out of range (1-1000000).')
    return "packets", count


class HashlimitText(MatchText):
    name = "hashlimit"
    options = (
        Option("hashlimit-upto hashlimit", hash_rate, inverts=True, without="hashlimit-above"),
        Option("hashlimit-above", hash_rate, inverts=True, without="hashlimit-upto"),
        Option("hashlimit-srcmask", whole(0, 255)),
        Option("hashlimit-dstmask", whole(0, 255)),
        Option("hashlimit-burst", hash_burst),
        Option("hashlimit-htable-size", whole()),
        Option("hashlimit-htable-max", whole()),
        Option("hashlimit-htable-gcinterval", whole()),
        Option("hashlimit-htable-expire", whole()),
        Option("hashlimit-mode", hash_mode),
        Option("hashlimit-name", text(255, 1), required=True),
    )

    @property
    def above(self) -> bool:
        return ("hashlimit-above" in self.given) != bool(self.inverted)

    @property
    def rate(self) -> tuple[str, int, int]:
        found: tuple[str, int, int] = (
            self.given.get("hashlimit-upto") or self.given["hashlimit-above"]
        )
        return found

    @property
    def burst(self) -> int:
        """Packets, or how often a second's worth of octets may be had at once (0: not given)."""
        kind, cost, _ = self.rate
        if kind == "packets":
            return int(self.given.get("hashlimit-burst", ("packets", 5))[1])
        if "hashlimit-burst" not in self.given:
            return 0 if self.above else 1
        octets = int(self.given["hashlimit-burst"][1])
        second = octets_of(cost)
        return -(-octets // second) + (0 if self.above else 1)

    @property
    def expire(self) -> int:
        return int(self.given.get("hashlimit-htable-expire", 0)) or self.rate[2] * 1000

    def check(self, spec: Spec) -> None:
        if "hashlimit-upto" not in self.given and "hashlimit-above" not in self.given:
            if "hashlimit-name" in self.given:
                raise RefusedError("You have to specify --hashlimit")
            return
        burst = self.given.get("hashlimit-burst")
        if self.rate[0] == "octets" and burst:
            if burst[1] < octets_of(self.rate[1]):
                raise RefusedError(f"burst cannot be smaller than {octets_of(self.rate[1])}b")

    def kernel_check(self, spec: Spec, table: str) -> str | None:
        masks = (self.given.get(f"hashlimit-{side}mask", 32) for side in ("src", "dst"))
        return "Invalid argument" if max(masks) > 32 else None

    def rate_words(self) -> tuple[str, str]:
        """The rate and the burst ("": not said)."""
        kind, cost, _ = self.rate
        if kind == "packets":
            return rate_text(cost, HASH_SCALE), str(self.burst)
        burst = self.burst - (0 if self.above else 1)
        if burst <= 0:
            return f"{octets_text(cost)}/s", ""
        octets = burst * octets_of(cost)
        for unit, name in ((1 << 20, "mb"), (1 << 10, "kb")):
            if octets & (unit - 1) == 0:
                return f"{octets_text(cost)}/s", f"{octets // unit}{name}"
        return f"{octets_text(cost)}/s", f"{octets}b"

    def quantum(self) -> int:
        """The expiry that goes without saying, in ms."""
        if self.rate[0] == "octets":
            return 15_000
        return UNITS[rate_text(self.rate[1], HASH_SCALE).rpartition("/")[2]] * 1000

    def table_words(self) -> list[tuple[str, int]]:
        """What is said of the table, by the ends of the options' names."""
        out = [
            (name, self.given[f"hashlimit-{name}"])
            for name in ("htable-size", "htable-max")
            if self.given.get(f"hashlimit-{name}")
        ]
        if self.given.get("hashlimit-htable-gcinterval", 1000) != 1000:
            out.append(("htable-gcinterval", self.given["hashlimit-htable-gcinterval"]))
        if self.expire != self.quantum():
            out.append(("htable-expire", self.expire))
        return out + [
            (side, self.given[f"hashlimit-{side}"])
            for side in ("srcmask", "dstmask")
            if self.given.get(f"hashlimit-{side}", 32) != 32
        ]

    def mode_names(self) -> list[str]:
        return [name for name, bit in MODES.items() if self.given.get("hashlimit-mode", 0) & bit]

    def save(self) -> str:
        rate, burst = self.rate_words()
        out = f" --hashlimit-{'above' if self.above else 'upto'} {rate}"
        if burst:
            out += f" --hashlimit-burst {burst}"
        if self.mode_names():
            out += " --hashlimit-mode " + ",".join(self.mode_names())
        out += f" --hashlimit-name {words.quoted(self.given['hashlimit-name'])}"
        return out + "".join(f" --hashlimit-{name} {value}" for name, value in self.table_words())

    def show(self, numeric: bool) -> str:
        rate, burst = self.rate_words()
        out = f"limit: {'above' if self.above else 'up to'} {rate}"
        if burst:
            out += f" burst {burst}"
        if self.mode_names():
            out += " mode " + "-".join(self.mode_names())
        return out + "".join(f" {name} {value}" for name, value in self.table_words())

    def build(self, shared: Shared) -> nf_match.Match:
        kind, cost, _ = self.rate
        name = self.given["hashlimit-name"]
        table = shared.hash_tables.get(name)
        if table is None:
            in_octets = kind == "octets"
            table = nf_rate.HashTable(
                cost * 10**9 >> 32 if in_octets else cost * (10**9 // HASH_SCALE),
                self.burst,
                in_octets,
                self.given.get("hashlimit-htable-max", 0),
                self.expire * 10**6,
                self.given.get("hashlimit-htable-gcinterval", 1000) * 10**6,
            )
            shared.hash_tables[name] = table
        masks = [
            words.ALL_ONES << (32 - self.given.get(f"hashlimit-{side}", 32)) & words.ALL_ONES
            for side in ("srcmask", "dstmask")
        ]
        return nf_rate.HashLimit(
            table, self.given.get("hashlimit-mode", 0), masks[0], masks[1], self.above
        )


class ConnlimitText(MatchText):
    name = "connlimit"
    tracks = True
    options = (
        Option("connlimit-upto", whole(), inverts=True, without="connlimit-above"),
        Option("connlimit-above", whole(), inverts=True, without="connlimit-upto"),
        Option("connlimit-mask", prefix_mask),
        Option("connlimit-saddr", flag, words=0, without="connlimit-daddr"),
        Option("connlimit-daddr", flag, words=0, without="connlimit-saddr"),
    )

    def check(self, spec: Spec) -> None:
        if "connlimit-upto" not in self.given and "connlimit-above" not in self.given:
            raise RefusedError('You must specify "--connlimit-above" or "--connlimit-upto".')

    @property
    def above(self) -> bool:
        return ("connlimit-above" in self.given) != bool(self.inverted)

    @property
    def limit(self) -> int:
        return int(self.given.get("connlimit-upto", self.given.get("connlimit-above", 0)))

    @property
    def length(self) -> int:
        return int(self.given.get("connlimit-mask", 32))

    def save(self) -> str:
        side = "daddr" if "connlimit-daddr" in self.given else "saddr"
        how = "above" if self.above else "upto"
        return f" --connlimit-{how} {self.limit} --connlimit-mask {self.length} --connlimit-{side}"

    def show(self, numeric: bool) -> str:
        side = "dst" if "connlimit-daddr" in self.given else "src"
        return f"#conn {side}/{self.length} {'>' if self.above else '<='} {self.limit}"

    def build(self, shared: Shared) -> nf_match.Match:
        bits = words.ALL_ONES << (32 - self.length) & words.ALL_ONES
        return nf_rate.ConnLimit(self.limit, bits, "connlimit-daddr" in self.given, self.above)


def statistic_mode(_e: Extension, _o: Option, args: Sequence[str]) -> str:
    """Which of the two."""
    if args[0] not in ("random", "nth"):
        raise RefusedError(f'Bad mode "{args[0]}"')
    return args[0]


def probability(e: Extension, o: Option, args: Sequence[str]) -> int:
    """In 2**-31, rounded half away from zero as lround does."""
    try:
        value = float(args[0])
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise RefusedError(f'{e.name}: bad value for option "--{o.name}", or out of range (0-1).\n')
    return int(value * 0x80000000 + 0.5)


class StatisticText(MatchText):
    name = "statistic"
    options = (
        Option("mode", statistic_mode),
        Option("probability", probability, inverts=True, without="every"),
        Option("every", whole(1), inverts=True, without="probability", along="packet"),
        Option("packet", whole(), along="every"),
    )

    def check(self, spec: Spec) -> None:
        mode = self.given.setdefault("mode", "random")
        if mode == "random" and "probability" not in self.given:
            raise RefusedError("--probability must be specified when using random mode")
        if mode == "nth" and not self.given.keys() & {"every", "packet"}:
            raise RefusedError("--every and --packet must be specified when using nth mode")
        if mode == "nth" and self.given.get("packet", 0) >= self.given.get("every", U32):
            raise RefusedError("the --packet p must be 0 <= p <= n-1")

    def save(self) -> str:
        if self.given["mode"] == "random":
            return (
                f" --mode random {self.bang('probability')}"
                f"--probability {self.given['probability'] / 0x80000000:.11f}"
            )
        return (
            f" --mode nth {self.bang('every')}--every {self.given['every']}"
            f" --packet {self.given['packet']}"
        )

    def show(self, numeric: bool) -> str:
        if self.given["mode"] == "random":
            chance = f"{self.given['probability'] / 0x80000000:.11f}"
            return f"statistic mode random {self.bang('probability')}probability {chance}"
        packet = f" packet {self.given['packet']}" if self.given["packet"] else ""
        return f"statistic mode nth {self.bang('every')}every {self.given['every']}{packet}"

    def build(self, shared: Shared) -> nf_match.Match:
        if self.given["mode"] == "random":
            return nf_rate.Statistic(
                self.given["probability"], inverted="probability" in self.inverted
            )
        return nf_rate.Statistic(
            0, self.given["every"], self.given["packet"], inverted="every" in self.inverted
        )


def recent_mask(e: Extension, o: Option, args: Sequence[str]) -> int:
    """A mask, dotted."""
    value = words.address(args[0])
    if value is None:
        raise RefusedError(f'{e.name}: Bad value for "--{o.name}" option: "{args[0]}"')
    return value


ACTIONS = {
    "set": ("SET", consts.RECENT_SET),
    "rcheck": ("CHECK", consts.RECENT_CHECK),
    "update": ("UPDATE", consts.RECENT_UPDATE),
    "remove": ("REMOVE", consts.RECENT_REMOVE),
}


class RecentText(MatchText):
    name = "recent"
    options = (
        Option("set", flag, words=0, inverts=True, without="rcheck update remove"),
        Option("rcheck", flag, words=0, inverts=True, without="set update remove"),
        Option("update", flag, words=0, inverts=True, without="set rcheck remove"),
        Option("seconds", whole(1)),
        Option("reap", flag, words=0, along="seconds"),
        Option("hitcount", whole(0, 65535)),
        Option("remove", flag, words=0, inverts=True, without="set rcheck update"),
        Option("rttl", flag, words=0),
        Option("name", text(199, 1)),
        Option("rsource", flag, words=0),
        Option("rdest", flag, words=0),
        Option("mask", recent_mask),
    )

    def check(self, spec: Spec) -> None:
        if not self.given.keys() & ACTIONS.keys():
            raise RefusedError(
                "recent: you must specify one of `--set', `--rcheck' `--update' or `--remove'"
            )

    @property
    def action(self) -> str:
        return next(name for name in ACTIONS if name in self.given)

    def kernel_check(self, spec: Spec, table: str) -> str | None:
        timed = self.given.keys() & {"seconds", "hitcount", "rttl"}
        return "Invalid argument" if timed and self.action in ("set", "remove") else None

    def parts(self) -> list[tuple[str, Any]]:
        names = ("seconds", "reap", "hitcount", "rttl")
        return [(name, self.given[name]) for name in names if self.given.get(name)]

    @property
    def list_name(self) -> str:
        return str(self.given.get("name", "DEFAULT"))

    @property
    def mask(self) -> int:
        return int(self.given.get("mask", words.ALL_ONES))

    def save(self) -> str:
        out = f" {self.bang(self.action)}--{self.action}"
        for name, value in self.parts():
            out += f" --{name}" + ("" if value is True else f" {value}")
        out += f" --name {self.list_name} --mask {dotted(self.mask)}"
        return out + (" --rdest" if "rdest" in self.given else " --rsource")

    def show(self, numeric: bool) -> str:
        out = f"{self.bang(self.action)}recent: {ACTIONS[self.action][0]}"
        said = {
            "seconds": "seconds:",
            "reap": "reap",
            "hitcount": "hit_count:",
            "rttl": "TTL-Match",
        }
        for name, value in self.parts():
            out += f" {said[name]}" + ("" if value is True else f" {value}")
        side = "dest" if "rdest" in self.given else "source"
        return out + f" name: {self.list_name} side: {side} mask: {dotted(self.mask)}"

    def build(self, shared: Shared) -> nf_match.Match:
        hits = self.given.get("hitcount", 0)
        table = shared.recent_tables.setdefault(self.list_name, nf_rate.RecentTable())
        if hits > table.stamps:
            table.widen(1 << (hits - 1).bit_length())
        return nf_rate.Recent(
            table,
            ACTIONS[self.action][1],
            self.mask,
            "rdest" in self.given,
            self.given.get("seconds", 0) * 10**9,
            hits,
            "rttl" in self.given,
            "reap" in self.given,
            bool(self.inverted),
        )


RATES: tuple[type[MatchText], ...] = (
    LimitText,
    HashlimitText,
    ConnlimitText,
    StatisticText,
    RecentText,
)
