"""Options of a rule: one function for each, by the words that name it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pystack._fast.ipfw_ops import (
    O_ANTISPOOF,
    O_DIVERTED,
    O_DSCP,
    O_ESTAB,
    O_FIB,
    O_FRAG,
    O_GID,
    O_IN,
    O_IP4,
    O_IP6,
    O_IP_DST_LOOKUP,
    O_IP_DSTPORT,
    O_IP_FLOW_LOOKUP,
    O_IP_SRCPORT,
    O_IPID,
    O_IPLEN,
    O_IPOPT,
    O_IPPRECEDENCE,
    O_IPSEC,
    O_IPTOS,
    O_IPTTL,
    O_IPVER,
    O_JAIL,
    O_KEEP_STATE,
    O_LAYER2,
    O_LIMIT,
    O_MAC_TYPE,
    O_NOP,
    O_RECV,
    O_SOCKARG,
    O_TAGGED,
    O_TCPACK,
    O_TCPDATALEN,
    O_TCPFLAGS,
    O_TCPMSS,
    O_TCPOPTS,
    O_TCPSEQ,
    O_TCPWIN,
    O_UID,
    O_VERREVPATH,
    O_VERSRCREACH,
    O_VIA,
    O_XMIT,
)
from pystack.firewall.ipfw import operands, protocols, tokens
from pystack.firewall.ipfw.actions import DEFAULT_STATE
from pystack.firewall.ipfw.addresses import DESTINATION, SOURCE, Side, address
from pystack.firewall.ipfw.cnumbers import strtol, strtoul
from pystack.firewall.ipfw.draft import Draft
from pystack.firewall.ipfw.eras import Era
from pystack.firewall.ipfw.errors import EX_DATAERR, EX_UNAVAILABLE, EX_USAGE, Refusal

SETUP = 0x02 | 0x10 << 8
"""SYN set and ACK clear."""
_COMMENT_MAX = 84


@dataclass(frozen=True)
class Option:
    """Words that mean the same, what reads the rest, and since when there is such a thing."""

    words: str
    read: Callable[[Draft], None]
    since: Era = Era.E8


def _plain(op: int, arg: int = 0) -> Callable[[Draft], None]:
    return lambda draft: draft.put(op, arg)


def _out(draft: Draft) -> None:
    """`out` is `not in`, and `not out` is `in`."""
    draft.neg = not draft.neg
    draft.put(O_IN)


def _interface(op: int) -> Callable[[Draft], None]:
    return lambda draft: operands.interface(draft, op)


def _listed(op: int, missing: str, invalid: str) -> Callable[[Draft], None]:
    return lambda draft: operands.number_or_ranges(draft, op, missing, invalid)


def _single(op: int, missing: str, shift: int = 0, mask: int = 0xFFFF) -> Callable[[Draft], None]:
    """One number."""

    def read(draft: Draft) -> None:
        value = strtoul(draft.words.need(missing), 0)[0]
        draft.words.take()
        draft.put(op, (value & mask) << shift)

    return read


def _flags(op: int, table: tokens.Table, keyword: str) -> Callable[[Draft], None]:
    def read(draft: Draft) -> None:
        arg = tokens.read_flags(table, draft.words.need(f"missing argument for {keyword}"))
        draft.words.take()
        draft.put(op, arg)

    return read


def _sequence(op: int) -> Callable[[Draft], None]:
    """A sequence number. ipfw forgets a `not` that stands before it."""

    def read(draft: Draft) -> None:
        value = strtoul(draft.words.need("tcpseq/tcpack requires argument"), 0)[0]
        draft.words.take()
        draft.neg = False
        draft.put(op, data=(value & 0xFFFFFFFF,))

    return read


def _window(draft: Draft) -> None:
    if draft.era >= Era.E10:
        operands.number_or_ranges(draft, O_TCPWIN, "tcpwin requires length", "invalid tcpwin len")
    else:
        _single(O_TCPWIN, "tcpwin requires length")(draft)


def _tagged(draft: Draft) -> None:
    word = draft.words.peek()
    if word is not None and ("-" in word or "," in word):
        data = operands.ranges(draft, word, 0)
        if data is None:
            raise Refusal(EX_DATAERR, f"tagged: invalid tag list: {word}")
        draft.words.take()
        draft.put(O_TAGGED, data=data)
    else:
        draft.put(O_TAGGED, draft.uint("tagged"))


def _code_points(draft: Draft) -> None:
    text = draft.words.need("missing DSCP code")
    draft.words.take()
    draft.put(O_DSCP, data=operands.code_points(text))


def _owner(op: int, keyword: str) -> Callable[[Draft], None]:
    """Uid and gid: numbers and names that the machine knows."""

    def read(draft: Draft) -> None:
        text = draft.words.need(f"{keyword} requires argument")
        known = draft.names.users if op == O_UID else draft.names.groups
        value, rest = strtoul(text, 0)
        found = known.get(text) if rest or not text else value if value in known.values() else None
        if found is None:
            raise Refusal(EX_DATAERR, f'{keyword} "{text}" nonexistent')
        draft.words.take()
        draft.put(op, data=(found,))

    return read


def _jail(draft: Draft) -> None:
    text = draft.words.need("jail requires argument")
    value, rest = strtol(text, 0)
    if value < 0 or rest:
        raise Refusal(EX_DATAERR, "jail requires prison ID")
    draft.words.take()
    draft.put(O_JAIL, data=(value & 0xFFFFFFFF,))


def _only_state(draft: Draft, keyword: str) -> None:
    """A rule makes one kind of state, outside of braces."""
    if draft.open:
        raise Refusal(EX_USAGE, f"{keyword} cannot be part of an or block")
    if draft.state is not None:
        which = (
            "keep-state, record-state,  limit and set-limit"
            if draft.era >= Era.E12
            else "keep-state and limit"
        )
        raise Refusal(EX_USAGE, f"only one of {which} is allowed")


def _state_name(draft: Draft) -> str:
    """The name behind keep-state and limit."""
    if not draft.era.names_states:
        return ""
    word = draft.words.peek()
    if word is None or not word.startswith(":"):
        return DEFAULT_STATE
    name = word[1:]
    if name == "any" or not operands.valid_name(name):
        raise Refusal(EX_DATAERR, f"Invalid state name {word}")
    draft.words.take()
    return name


def _keep_state(draft: Draft) -> None:
    keyword = draft.words.taken().removeprefix("!")
    _only_state(draft, keyword)
    draft.installs_only = keyword == "record-state"
    draft.keep(draft.insn(O_KEEP_STATE, text=_state_name(draft)))


def _limit(draft: Draft) -> None:
    """`limit src-addr dst-port 10`. ipfw forgets a `not` that stands before it."""
    keyword = draft.words.taken().removeprefix("!")
    _only_state(draft, keyword)
    draft.installs_only = keyword == "set-limit"
    draft.neg = False
    mask = operands.need_one_of(tokens.LIMIT_MASKS, draft)
    most = draft.uint(keyword)
    draft.keep(draft.insn(O_LIMIT, most, (mask,), _state_name(draft)))


def _defer(draft: Draft) -> None:
    """The action waits for a packet that finds the state."""
    if draft.deferred:
        raise Refusal(EX_USAGE, "only one defer-action is allowed")
    draft.deferred = True


def _protocol(draft: Draft) -> None:
    text = draft.words.need("missing protocol")
    if not protocols.protocol(draft, text, old_names=False):
        raise Refusal(EX_DATAERR, f"invalid protocol ``{text}''")
    draft.words.take()


def _address(side: Side, missing: str) -> Callable[[Draft], None]:
    def read(draft: Draft) -> None:
        text = draft.words.need(missing)
        address(draft, side, text)
        draft.words.take()

    return read


def _ports(op: int, which: str) -> Callable[[Draft], None]:
    def read(draft: Draft) -> None:
        text = draft.words.need(f"missing {which} port")
        if not ports(draft, op):
            raise Refusal(EX_DATAERR, f"invalid {which} port {text}")

    return read


def ports(draft: Draft, op: int) -> bool:
    """Take ports if the next word is such a list; `any` is none of them. False: it is something else."""
    words = draft.words
    if words.skip("any"):
        return True
    data = operands.ranges(draft, words.need(""), draft.proto)
    if data is None:
        return False
    words.take()
    draft.put(op, data=data)
    return True


def _mac_type(draft: Draft) -> None:
    text = draft.words.need("missing mac type")
    if not mac_type(draft, text):
        raise Refusal(EX_DATAERR, f"invalid mac type {text}")


def mac_type(draft: Draft, text: str) -> bool:
    """The type of a frame."""
    if draft.words.skip("any"):
        return True
    data = operands.ranges(draft, text, operands.ETHERTYPE)
    if data is None:
        return False
    draft.words.take()
    draft.put(O_MAC_TYPE, data=data)
    return True


def _lookup(draft: Draft) -> None:
    """`lookup KEY TABLE`: a field of the packet is looked for in a table."""
    words = draft.words
    if len(words) < 2:
        raise Refusal(EX_USAGE, "format: lookup argument tablenum")
    key = words.take()
    if key not in tokens.LOOKUP_KEYS:
        raise Refusal(EX_USAGE, f"format: cannot lookup on {key}")
    text = words.take()
    name, number = text, 0
    if not draft.era.names_objects:
        number, rest = strtoul(text, 0)
        if rest:
            raise Refusal(EX_USAGE, "format: lookup argument tablenum")
        name = str(number & 0xFFFF)
    elif not operands.valid_name(name):
        raise Refusal(EX_DATAERR, f"Invalid table name: {name}")
    draft.put(O_IP_DST_LOOKUP, number, (0, tokens.LOOKUP_KEYS.index(key)), name)


def _flow(draft: Draft) -> None:
    """`flow table(NAME)`."""
    text = draft.words.need("missing table name")
    if not text.startswith("table("):
        raise Refusal(EX_DATAERR, 'enclose table name into "table()"')
    draft.words.take()
    name = operands.table_name(draft, text)
    _, comma, value = text.partition(",")
    draft.put(
        O_IP_FLOW_LOOKUP, data=(strtoul(value, 0)[0] & 0xFFFFFFFF,) if comma else (), text=name
    )


def _flow_id(draft: Draft) -> None:
    raise Refusal(EX_USAGE, "flow-id filter is active only for ipv6 protocol\n")


def _of_ip6(draft: Draft) -> None:
    raise Refusal(EX_UNAVAILABLE, f"{draft.words.taken()}: there is no IPv6 on this machine")


def comment(draft: Draft) -> None:
    """Everything behind `//`."""
    words = draft.words.rest()
    if sum(len(word) + 1 for word in words) > _COMMENT_MAX:
        raise Refusal(EX_DATAERR, "comment too long (max 80 chars)")
    if words:
        draft.put(O_NOP, text=" ".join(words))


_OPTIONS = (
    Option("in", _plain(O_IN)),
    Option("out", _out),
    Option("diverted", _plain(O_DIVERTED, 3)),
    Option("diverted-loopback", _plain(O_DIVERTED, 1)),
    Option("diverted-output", _plain(O_DIVERTED, 2)),
    Option("frag fragment", _plain(O_FRAG)),
    Option("layer2 bridged", _plain(O_LAYER2)),
    Option("xmit", _interface(O_XMIT)),
    Option("recv", _interface(O_RECV)),
    Option("via", _interface(O_VIA)),
    Option("icmptype icmptypes", operands.icmp_types),
    Option("ipttl", _listed(O_IPTTL, "ipttl requires TTL", "invalid ipttl")),
    Option("ipid", _listed(O_IPID, "ipid requires id", "invalid ipid")),
    Option("iplen", _listed(O_IPLEN, "iplen requires length", "invalid ip len")),
    Option("ipver ipversion", _single(O_IPVER, "ipver requires version")),
    Option("ipprecedence", _single(O_IPPRECEDENCE, "ipprecedence requires value", 5, 7)),
    Option("dscp", _code_points, Era.E10),
    Option("ipoptions ipopts", _flags(O_IPOPT, tokens.IP_OPTIONS, "ipoptions")),
    Option("iptos", _flags(O_IPTOS, tokens.IP_TOS, "iptos")),
    Option("uid", _owner(O_UID, "uid")),
    Option("gid", _owner(O_GID, "gid")),
    Option("jail", _jail),
    Option("established estab", _plain(O_ESTAB)),
    Option("setup", _plain(O_TCPFLAGS, SETUP)),
    Option(
        "tcpdatalen", _listed(O_TCPDATALEN, "tcpdatalen requires length", "invalid tcpdata len")
    ),
    Option("tcpmss", _listed(O_TCPMSS, "tcpmss requires size", "invalid tcpmss size"), Era.E12),
    Option("tcpopts tcpoptions", _flags(O_TCPOPTS, tokens.TCP_OPTIONS, "tcpoptions")),
    Option("tcpseq", _sequence(O_TCPSEQ)),
    Option("tcpack", _sequence(O_TCPACK)),
    Option("tcpwin", _window),
    Option("tcpflags tcpflgs", _flags(O_TCPFLAGS, tokens.TCP_FLAGS, "tcpflags")),
    Option("keep-state", _keep_state),
    Option("record-state", _keep_state, Era.E12),
    Option("limit", _limit),
    Option("set-limit", _limit, Era.E12),
    Option("defer-immediate-action defer-action", _defer, Era.E12),
    Option("proto", _protocol),
    Option("src-ip", _address(SOURCE, "missing source IP")),
    Option("dst-ip", _address(DESTINATION, "missing destination IP")),
    Option("src-port", _ports(O_IP_SRCPORT, "source")),
    Option("dst-port", _ports(O_IP_DSTPORT, "destination")),
    Option("MAC mac", operands.mac_addresses),
    Option("mac-type", _mac_type),
    Option("verrevpath", _plain(O_VERREVPATH)),
    Option("versrcreach", _plain(O_VERSRCREACH)),
    Option("antispoof", _plain(O_ANTISPOOF)),
    Option("ipsec", _plain(O_IPSEC)),
    Option("ipv6 ip6", _plain(O_IP6)),
    Option("ipv4 ip4", _plain(O_IP4)),
    Option("flow-id", _flow_id),
    Option("icmp6type icmp6types ext6hdr src-ip6 src-ipv6 dst-ip6 dst-ipv6", _of_ip6),
    Option("tagged", _tagged),
    Option("fib", _single(O_FIB, "fib requires fib number")),
    Option("sockarg", _plain(O_SOCKARG), Era.E10),
    Option("lookup", _lookup, Era.E10),
    Option("flow", _flow, Era.E11),
    Option("//", comment),
)
OPTIONS = {word: option for option in _OPTIONS for word in option.words.split()}
