"""The matches of iptables that remember, as text: limit, hashlimit, connlimit, statistic, recent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pystack._fast import nf_consts, nf_count, nf_match, nf_rate, nf_recent
from pystack.addresses import dotted
from pystack.firewall import words
from pystack.firewall.errors import RefusedError
from pystack.firewall.extension import (
    Extension,
    MatchText,
    Option,
    flag,
    prefix_length,
    prefix_mask,
    text,
    unresolved,
    whole,
)

if TYPE_CHECKING:
    from pystack.firewall.spec import Spec
    from pystack.firewall.tables import Shared

UNITS = {"day": 86400, "hour": 3600, "min": 60, "sec": 1}
LIMIT_SCALE = 10_000
HASH_SCALE = 1_000_000
U32 = words.ALL_ONES


def period_of(rate: str, scale: int, widest: int = U32) -> tuple[int, int, int] | None:
    """(1 / `scale` seconds that a packet costs, seconds of its unit, packets) of `N[/unit]`; None: not a rate; a cost
    of 0: too fast.
    """
    count_text, slash, unit_text = rate.partition("/")
    count = words.digits(count_text) & widest
    long_names = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
    unit = 1
    if slash:
        found = [n for n in long_names if unit_text and n.startswith(unit_text.lower())]
        if not found:
            return None
        unit = long_names[found[0]]
    return (scale * unit // count, unit, count) if count else None


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
    return U32 // (((octets & U32) >> 4) + 1)


def octets_of(cost: int) -> int:
    """The octets a second of such a cost."""
    return ((U32 // cost if cost else U32) - 1) << 4


def octets_text(cost: int) -> str:
    """A rate of octets in the largest unit in which it costs the same."""
    octets = octets_of(cost)
    for unit, name in ((1 << 20, "mb"), (1 << 10, "kb")):
        if octets >= unit and octet_cost(octets & -unit) == cost:
            return f"{octets // unit}{name}"
    return f"{octets}b"


def hash_rate(e: Extension, o: Option, args: Sequence[str]) -> HashRate:
    """Packets or octets in a unit of time."""
    rate = args[0]
    bad = RefusedError(f'{e.name}: Bad value for "--{o.name}" option: "{rate}"')
    amount, in_octets, _ = rate.partition("b/s")
    if in_octets:
        digits = re.match(r"[ \t]*\+?([0-9]+)", amount)
        octets = int(digits[1]) << {"k": 10, "m": 20}.get(amount[-1], 0) if digits else 0
        if octets == 0 or octets >> 4 >= U32:  # the tool crashes where it is too much
            raise bad
        return HashRate(in_octets=True, cost=U32 // ((octets >> 4) + 1) or 1, unit=15)
    period = period_of(rate, HASH_SCALE, (1 << 64) - 1)
    if period is None:
        raise bad
    if period[0] == 0:
        raise RefusedError(f'Rate too fast "{rate}"')
    return HashRate(in_octets=False, cost=period[0], unit=period[1], count=period[2])


@dataclass(frozen=True)
class HashRate:
    """`cost` of a packet in µs, or of 16 octets in 2**-32 s; `unit`: seconds for which a key is kept at least."""

    in_octets: bool
    cost: int
    unit: int
    count: int = 0
    """Packets in the unit."""


MODES = {
    "srcip": nf_consts.BY_SRC,
    "srcport": nf_consts.BY_SPORT,
    "dstip": nf_consts.BY_DST,
    "dstport": nf_consts.BY_DPORT,
}


def hash_mode(e: Extension, o: Option, args: Sequence[str]) -> int:
    """What is kept apart."""
    value = 0
    for word in filter(None, args[0].split(",")):
        if word not in MODES:
            raise RefusedError(f'{e.name}: Bad value for "--{o.name}" option: "{args[0]}"')
        value |= MODES[word]
    return value


MOST_BURST = 1_000_000


def hash_burst(_e: Extension, o: Option, args: Sequence[str]) -> int:
    """Packets or octets; what stands behind the number and its unit does not matter."""
    count, rest = words.leading(args[0])
    if not count or count >= U32:
        raise RefusedError(f'bad value for option "--{o.name}", or out of range (1-{MOST_BURST}).')
    return count << {"k": 10, "m": 20}.get(rest[:1], 0)


def hash_interval(e: Extension, o: Option, args: Sequence[str]) -> int:
    """Seconds."""
    value = words.number(args[0], 1, U32 - 1)
    if value is None:
        raise RefusedError(f'{e.name}: Bad value for "--{o.name}" option: "{args[0]}"')
    return value


CREDITS_PER_US = (250 << 39) // HASH_SCALE
"""What the kernel counts in, at 250 jiffies a second."""
MOST_ROWS = 1 << 20
BURST_EXPIRE = 60
"""Seconds for which a key is kept where octets have a burst."""
BUCKETS = 8192
"""Of a hash table of which nobody says it, with 1 GiB of memory or more."""


class HashlimitText(MatchText):
    name = "hashlimit"
    options = (
        Option("hashlimit-upto hashlimit", hash_rate, inverts=True, without="hashlimit-above"),
        Option("hashlimit-above", hash_rate, inverts=True, without="hashlimit-upto"),
        Option("hashlimit-srcmask", prefix_length),
        Option("hashlimit-dstmask", prefix_length),
        Option("hashlimit-burst", hash_burst),
        Option("hashlimit-htable-size", whole()),
        Option("hashlimit-htable-max", whole()),
        Option("hashlimit-htable-gcinterval", whole()),
        Option("hashlimit-htable-expire", whole()),
        Option("hashlimit-mode", hash_mode),
        Option("hashlimit-name", text(254, 1), required=True),
        Option("hashlimit-rate-match", flag, words=0),
        Option("hashlimit-rate-interval", hash_interval),
    )

    @property
    def above(self) -> bool:
        return ("hashlimit-above" in self.given) != bool(self.inverted)

    @property
    def rate(self) -> HashRate:
        found: HashRate = self.given.get("hashlimit-upto") or self.given["hashlimit-above"]
        return found

    @property
    def rate_match(self) -> bool:
        """Whole intervals are counted, instead of credit that comes back."""
        return "hashlimit-rate-match" in self.given

    @property
    def interval(self) -> int:
        return int(self.given.get("hashlimit-rate-interval", 1))

    @property
    def packet_cost(self) -> int:
        """In µs; whole intervals do not know the unit."""
        return HASH_SCALE // self.rate.count if self.rate_match else self.rate.cost

    @property
    def burst(self) -> int:
        """Packets, or how often a second's worth of octets may be had at once (0: not given)."""
        if not self.rate.in_octets:
            return int(self.given.get("hashlimit-burst", 5))
        if "hashlimit-burst" not in self.given:
            return 0
        return -(-int(self.given["hashlimit-burst"]) // octets_of(self.rate.cost))

    @property
    def expire(self) -> int:
        unit = BURST_EXPIRE if self.rate.in_octets and self.burst else self.rate.unit
        return int(self.given.get("hashlimit-htable-expire", unit * 1000))

    def check(self, spec: Spec) -> None:
        if "hashlimit-upto" not in self.given and "hashlimit-above" not in self.given:
            raise RefusedError("You have to specify --hashlimit")
        burst = self.given.get("hashlimit-burst")
        if burst is None:
            return
        if self.rate.in_octets and burst < octets_of(self.rate.cost):
            raise RefusedError(f"burst cannot be smaller than {octets_of(self.rate.cost)}b")
        if not self.rate.in_octets and burst > MOST_BURST:
            raise RefusedError(
                f'bad value for option "--hashlimit-burst", or out of range (1-{MOST_BURST}).'
            )

    def kernel_check(self, spec: Spec, table: str) -> str | None:
        masks = (self.given.get(f"hashlimit-{side}mask", 32) for side in ("src", "dst"))
        name = self.given["hashlimit-name"]
        if max(masks) > 32 or "/" in name or name in (".", ".."):
            return "Invalid argument"
        if not self.expire or not self.given.get("hashlimit-htable-gcinterval", 1):
            return "Invalid argument"
        if not self.rate.in_octets:
            cost = self.packet_cost * CREDITS_PER_US
            if (cost * self.burst) % (1 << 64) < cost:
                return "Numerical result out of range"
        return None

    @property
    def rows(self) -> int:
        """Keys at most: no fewer than there are buckets."""
        buckets = min(self.given.get("hashlimit-htable-size", 0), MOST_ROWS) or BUCKETS
        most = min(self.given.get("hashlimit-htable-max", 0), MOST_ROWS) or 8 * buckets
        return max(most, buckets)

    def rate_words(self, stretch: int = 1) -> tuple[str, str]:
        """The rate and the burst ("": not said)."""
        if not self.rate.in_octets:
            return rate_text(self.packet_cost * stretch, HASH_SCALE), str(self.burst)
        said = f"{octets_text(self.rate.cost)}/s"
        if not self.burst:
            return said, ""
        octets = self.burst * octets_of(self.rate.cost)
        for unit, name in ((1 << 20, "mb"), (1 << 10, "kb")):
            if octets >= unit:
                return said, f"{octets // unit}{name}"
        return said, f"{octets}b"

    def quantum(self, rate: str) -> int:
        """The expiry that goes without saying, in ms."""
        if self.rate.in_octets:
            return (BURST_EXPIRE if self.burst else self.rate.unit) * 1000
        return UNITS[rate.rpartition("/")[2]] * 1000

    def table_words(self, rate: str) -> list[str]:
        """What is said of the table and of the rest, by the ends of the options' names."""
        out = [
            f"{name} {min(self.given[f'hashlimit-{name}'], MOST_ROWS)}"
            for name in ("htable-size", "htable-max")
            if self.given.get(f"hashlimit-{name}")
        ]
        if self.given.get("hashlimit-htable-gcinterval", 1000) != 1000:
            out.append(f"htable-gcinterval {self.given['hashlimit-htable-gcinterval']}")
        if self.expire != self.quantum(rate):
            out.append(f"htable-expire {self.expire}")
        out += [
            f"{side} {self.given[f'hashlimit-{side}']}"
            for side in ("srcmask", "dstmask")
            if self.given.get(f"hashlimit-{side}", 32) != 32
        ]
        if self.rate_match:
            out.append("rate-match")
            if self.interval != 1:
                out.append(f"rate-interval {self.interval}")
        return out

    def mode_names(self) -> list[str]:
        return [name for name, bit in MODES.items() if self.given.get("hashlimit-mode", 0) & bit]

    def save(self) -> str:
        rate, burst = self.rate_words()
        out = f" --hashlimit-{'above' if self.above else 'upto'} {rate}"
        if burst:
            out += f" --hashlimit-burst {burst}"
        if self.mode_names():
            out += " --hashlimit-mode " + ",".join(self.mode_names())
        out += f" --hashlimit-name {self.given['hashlimit-name']}"
        return out + "".join(f" --hashlimit-{said}" for said in self.table_words(rate))

    def show(self, numeric: bool) -> str:
        rate, burst = self.rate_words(self.interval)
        out = f"limit: {'above' if self.above else 'up to'} {rate}"
        if burst:
            out += f" burst {burst}"
        if self.mode_names():
            out += " mode " + "-".join(self.mode_names())
        return out + "".join(f" {said}" for said in self.table_words(rate))

    def build(self, shared: Shared) -> nf_match.Match:
        rate, name = self.rate, self.given["hashlimit-name"]
        table = shared.hash_tables.get(name)
        if table is None:
            table = nf_rate.HashTable(
                rate.cost * 10**9 >> 32 if rate.in_octets else rate.cost * (10**9 // HASH_SCALE),
                self.burst,
                rate.in_octets,
                self.rows,
                self.expire * 10**6,
                self.given.get("hashlimit-htable-gcinterval", 1000) * 10**6,
            )
            if self.rate_match:
                if rate.in_octets:
                    most = octets_of(rate.cost)
                    burst = (
                        max(self.burst, 1) - 1
                    ) * most  # of which the first goes without saying
                else:
                    most, burst = HASH_SCALE // self.packet_cost, self.burst
                table.count_windows(most, most + burst, self.interval * 10**9)
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
        return nf_count.ConnLimit(self.limit, bits, "connlimit-daddr" in self.given, self.above)


def statistic_mode(_e: Extension, _o: Option, args: Sequence[str]) -> str:
    """Which of the two."""
    if args[0] not in ("random", "nth"):
        raise RefusedError(f'Bad mode "{args[0]}"')
    return args[0]


def probability(e: Extension, o: Option, args: Sequence[str]) -> int:
    """In 2**-31, rounded half away from zero as lround does."""
    try:
        value = float.fromhex(args[0]) if "x" in args[0].lower() else float(args[0])
    except ValueError:
        value = -1.0
    if value != value:
        return 0
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
    value = words.host(args[0])
    if value is None:
        raise RefusedError(f"getaddrinfo: {unresolved(args[0])}\n")
    return value


ACTIONS = {
    "set": ("SET", nf_consts.RECENT_SET),
    "rcheck": ("CHECK", nf_consts.RECENT_CHECK),
    "update": ("UPDATE", nf_consts.RECENT_UPDATE),
    "remove": ("REMOVE", nf_consts.RECENT_REMOVE),
}


MOST_HITS = 65535


def signed(value: int) -> int:
    """32 bits as C prints them with %d."""
    return value - (1 << 32) if value >> 31 else value


class RecentText(MatchText):
    name = "recent"
    options = (
        Option("set", flag, words=0, inverts=True, without="rcheck update remove"),
        Option("rcheck", flag, words=0, inverts=True, without="set update remove"),
        Option("update", flag, words=0, inverts=True, without="set rcheck remove"),
        Option("seconds", whole(1)),
        Option("reap", flag, words=0, along="seconds"),
        Option("hitcount", whole()),
        Option("remove", flag, words=0, inverts=True, without="set rcheck update"),
        Option("rttl", flag, words=0),
        Option("name", text(199)),
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
        if timed and self.action in ("set", "remove"):
            return "Invalid argument"
        if self.given.get("hitcount", 0) > MOST_HITS or self.list_name in ("", ".", ".."):
            return "Invalid argument"
        return "Invalid argument" if "/" in self.list_name else None

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
            out += f" --{name}" + ("" if value is True else f" {signed(value)}")
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
            out += f" {said[name]}" + ("" if value is True else f" {signed(value)}")
        side = "dest" if "rdest" in self.given else "source"
        return out + f" name: {self.list_name} side: {side} mask: {dotted(self.mask)}"

    def build(self, shared: Shared) -> nf_match.Match:
        hits = self.given.get("hitcount", 0)
        table = shared.recent_tables.setdefault(self.list_name, nf_recent.RecentTable())
        if hits > table.stamps:
            table.widen(1 << (hits - 1).bit_length())
        return nf_recent.Recent(
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
