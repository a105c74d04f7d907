"""Instructions as text: what each of them looks like in a listing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pystack._fast import ipfw_ops as ops
from pystack.addresses import dotted
from pystack.firewall.ipfw import tokens
from pystack.firewall.ipfw.cnumbers import mask_length
from pystack.firewall.ipfw.eras import Era
from pystack.firewall.ipfw.insn import Insn
from pystack.firewall.ipfw.names import USUAL, Names
from pystack.firewall.ipfw.operands import ETHERTYPE
from pystack.firewall.ipfw.options import SETUP

SOURCES = (ops.O_IP_SRC, ops.O_IP_SRC_LOOKUP, ops.O_IP_SRC_MASK, ops.O_IP_SRC_ME, ops.O_IP_SRC_SET)
DESTINATIONS = (
    ops.O_IP_DST,
    ops.O_IP_DST_LOOKUP,
    ops.O_IP_DST_MASK,
    ops.O_IP_DST_ME,
    ops.O_IP_DST_SET,
)


@dataclass(frozen=True)
class Style:
    """How a listing is wanted. `resolve`: names for numbers (-N)."""

    era: Era
    names: Names = USUAL
    resolve: bool = False
    compact: bool = False
    comment_only: bool = False
    show_sets: bool = False
    show_time: int = 0
    """1: the date (-t), 2: seconds (-T)."""
    value_as_ip: bool = False


def arg_text(style: Style, arg: int) -> str:
    """A number, or `tablearg`."""
    return "tablearg" if arg == style.era.tablearg else str(arg)


def ports_text(style: Style, insn: Insn, proto: int) -> str:
    """`80,8000-8100`."""

    def one(port: int) -> str:
        if proto == ETHERTYPE:
            named = tokens.name(tokens.ETHER_TYPES, port) if style.resolve else None
            return named or f"0x{port:04x}"
        return (style.resolve and style.names.service_name(port, proto)) or str(port)

    parts = []
    for word in insn.data:
        low, high = word & 0xFFFF, word >> 16
        parts.append(one(low) if low == high else f"{one(low)}-{one(high)}")
    return ",".join(parts)


def address_text(style: Style, insn: Insn) -> str:
    """The address of a rule, without `not` and keyword."""
    if insn.op in (ops.O_IP_SRC_ME, ops.O_IP_DST_ME):
        return "me"
    if insn.op in (ops.O_IP_SRC_LOOKUP, ops.O_IP_DST_LOOKUP):
        return table_text(insn)
    if insn.op in (ops.O_IP_SRC_SET, ops.O_IP_DST_SET):
        return _set_text(insn)
    if len(insn.data) == 1:
        return _network_text(style, insn.data[0], 0xFFFFFFFF)
    pairs = zip(insn.data[::2], insn.data[1::2], strict=True)
    return ",".join(_network_text(style, addr, mask) for addr, mask in pairs)


def table_text(insn: Insn) -> str:
    """`table(1)`, `table(1,5)`."""
    value = f",{insn.data[0]}" if len(insn.data) == 1 else ""
    return f"table({insn.text}{value})"


def _network_text(style: Style, addr: int, mask: int) -> str:
    length = mask_length(mask)
    if length == 0:
        return "any"
    if length < 0:
        # The 2014 listing prints the address where the mask belongs.
        return f"{dotted(addr)}:{dotted(addr if style.era == Era.E11 else mask)}"
    if length < 32:
        return f"{dotted(addr)}/{length}"
    return (style.resolve and style.names.host_name(addr)) or dotted(addr)


def _set_text(insn: Insn) -> str:
    """`10.0.0.0/24{1,5-9}`: three or more in a row are a range."""
    addr = insn.data[0]
    bits = sum(word << 32 * at for at, word in enumerate(insn.data[1:]))
    low = addr & 0xFF
    parts = []
    at = 0
    while at < insn.arg:
        end = at
        while end < insn.arg and bits >> end & 1:
            end += 1
        if end > at + 2:
            parts.append(f"{at + low}-{end - 1 + low}")
            at = end
        else:
            if end > at:
                parts.append(str(at + low))
            at += 1
    listed = ",".join(parts)
    opening = "{" if parts else ""
    return f"{dotted(addr)}/{32 - (insn.arg - 1).bit_length()}{opening}{listed}}}"


def _mac_text(insn: Insn) -> str:
    octets = b"".join(word.to_bytes(4, "big") for word in insn.data)
    parts = ["MAC"]
    for at in (0, 6):
        addr, mask = octets[at : at + 6], octets[12 + at : 18 + at]
        length = mask_length(int.from_bytes(mask, "big"), 48)
        text = ":".join(f"{octet:02x}" for octet in addr)
        if length == 0:
            text = "any"
        elif length < 0:
            text += "&" + ":".join(f"{octet:02x}" for octet in mask)
        elif length < 48:
            text += f"/{length}"
        parts.append(text)
    return " ".join(parts)


def _signed(value: int) -> int:
    return value - (1 << 32) if value >> 31 else value


def _limit_text(style: Style, insn: Insn) -> str:
    bits = insn.data[0]
    masks = []
    for word, mask in tokens.LIMIT_MASKS:
        if bits & mask == mask:
            bits &= ~mask
            masks.append(word)
    return f"limit {','.join(masks)} {arg_text(style, insn.arg)}"


def _state_suffix(style: Style, insn: Insn) -> str:
    return f" :{insn.text or 'any'}" if style.era.names_states else ""


def _listed(keyword: str) -> Callable[[Style, Insn], str]:
    """A number, or numbers and ranges."""
    return lambda style, insn: f"{keyword} {ports_text(style, insn, 0) if insn.data else insn.arg}"


def _flags(keyword: str, table: tokens.Table) -> Callable[[Style, Insn], str]:
    return lambda style, insn: f"{keyword} {tokens.flags_text(table, insn.arg)}"


def _tcp_flags(style: Style, insn: Insn) -> str:
    return (
        "setup"
        if insn.arg == SETUP
        else f"tcpflags {tokens.flags_text(tokens.TCP_FLAGS, insn.arg)}"
    )


def _interface(keyword: str) -> Callable[[Style, Insn], str]:
    def text(style: Style, insn: Insn) -> str:
        if insn.arg:
            return f"{keyword} table({insn.text})"
        return f"{keyword} {dotted(insn.data[0]) if insn.data else insn.text}"

    return text


def _diverted(style: Style, insn: Insn) -> str:
    return {3: "diverted", 1: "diverted-loopback", 2: "diverted-output"}[insn.arg]


def _owner(keyword: str, known: Callable[[Names], dict[str, int]]) -> Callable[[Style, Insn], str]:
    def text(style: Style, insn: Insn) -> str:
        number = insn.data[0]
        named = next((name for name, each in known(style.names).items() if each == number), None)
        return f"{keyword} {named or number}"

    return text


def _code_points(style: Style, insn: Insn) -> str:
    bits = insn.data[0] | insn.data[1] << 32
    listed = (tokens.name(tokens.DSCP, at) or str(at) for at in range(64) if bits >> at & 1)
    return f"dscp {','.join(listed)}"


def _icmp_types(style: Style, insn: Insn) -> str:
    return "icmptypes " + ",".join(str(at) for at in range(32) if insn.data[0] >> at & 1)


def _keep_state(style: Style, insn: Insn) -> str:
    return "keep-state" + _state_suffix(style, insn)


def _limit(style: Style, insn: Insn) -> str:
    return _limit_text(style, insn) + _state_suffix(style, insn)


OPTIONS: dict[int, Callable[[Style, Insn], str]] = {
    ops.O_MACADDR2: lambda style, insn: _mac_text(insn),
    ops.O_MAC_TYPE: lambda style, insn: f"mac-type {ports_text(style, insn, ETHERTYPE)}",
    ops.O_FRAG: lambda style, insn: "frag",
    ops.O_FIB: lambda style, insn: f"fib {insn.arg}",
    ops.O_SOCKARG: lambda style, insn: "sockarg",
    ops.O_IN: lambda style, insn: "out" if insn.neg else "in",
    ops.O_DIVERTED: _diverted,
    ops.O_LAYER2: lambda style, insn: "layer2",
    ops.O_XMIT: _interface("xmit"),
    ops.O_RECV: _interface("recv"),
    ops.O_VIA: _interface("via"),
    ops.O_IP_FLOW_LOOKUP: lambda style, insn: f"flow {table_text(insn)}",
    ops.O_IPID: _listed("ipid"),
    ops.O_IPTTL: _listed("ipttl"),
    ops.O_IPLEN: _listed("iplen"),
    ops.O_TCPDATALEN: _listed("tcpdatalen"),
    ops.O_TCPWIN: _listed("tcpwin"),
    ops.O_TCPMSS: _listed("tcpmss"),
    ops.O_TAGGED: lambda style, insn: (
        f"tagged {ports_text(style, insn, 0) if insn.data else arg_text(style, insn.arg)}"
    ),
    ops.O_IPVER: lambda style, insn: f"ipver {insn.arg}",
    ops.O_IPPRECEDENCE: lambda style, insn: f"ipprecedence {insn.arg >> 5}",
    ops.O_DSCP: _code_points,
    ops.O_IPOPT: _flags("ipoptions", tokens.IP_OPTIONS),
    ops.O_IPTOS: _flags("iptos", tokens.IP_TOS),
    ops.O_ICMPTYPE: _icmp_types,
    ops.O_ESTAB: lambda style, insn: "established",
    ops.O_TCPFLAGS: _tcp_flags,
    ops.O_TCPOPTS: _flags("tcpoptions", tokens.TCP_OPTIONS),
    ops.O_TCPACK: lambda style, insn: f"tcpack {_signed(insn.data[0])}",
    ops.O_TCPSEQ: lambda style, insn: f"tcpseq {_signed(insn.data[0])}",
    ops.O_UID: _owner("uid", lambda names: names.users),
    ops.O_GID: _owner("gid", lambda names: names.groups),
    ops.O_JAIL: lambda style, insn: f"jail {_signed(insn.data[0])}",
    ops.O_VERREVPATH: lambda style, insn: "verrevpath",
    ops.O_VERSRCREACH: lambda style, insn: "versrcreach",
    ops.O_ANTISPOOF: lambda style, insn: "antispoof",
    ops.O_IPSEC: lambda style, insn: "ipsec",
    ops.O_KEEP_STATE: _keep_state,
    ops.O_LIMIT: _limit,
    ops.O_IP6: lambda style, insn: "ip6",
    ops.O_IP4: lambda style, insn: "ip4",
    ops.O_SKIP_ACTION: lambda style, insn: "defer-immediate-action",
}
"""Text of an option, without `not`."""


def _reject(style: Style, insn: Insn) -> str:
    if insn.arg == ops.REJECT_RST:
        return "reset"
    if insn.arg == ops.REJECT_ABORT:
        return "abort"
    if insn.arg == 1:
        return "reject"
    mtu = f" {insn.data[0]}" if insn.data else ""
    return f"unreach {tokens.name(tokens.UNREACH, insn.arg) or insn.arg}{mtu}"


def _unreach6(style: Style, insn: Insn) -> str:
    if insn.arg in (ops.REJECT_RST, ops.REJECT_ABORT):
        return "reset6" if insn.arg == ops.REJECT_RST else "abort6"
    return f"unreach6 {tokens.name(tokens.UNREACH6, insn.arg) or insn.arg}"


def _forward(style: Style, insn: Insn) -> str:
    addr, port = insn.data
    return f"fwd {dotted(addr) if addr else 'tablearg'}{f',{port}' if port else ''}"


def _nat(style: Style, insn: Insn) -> str:
    if insn.arg == style.era.nat_global and style.era >= Era.E10:
        return "nat global"
    return f"nat {arg_text(style, insn.arg)}"


def _setdscp(style: Style, insn: Insn) -> str:
    if insn.arg == style.era.tablearg:
        return "setdscp tablearg"
    code = insn.arg & 0x3F
    return f"setdscp {tokens.name(tokens.DSCP, code) or code}"


def _setfib(style: Style, insn: Insn) -> str:
    fib = insn.arg & 0x7FFF if style.era.names_objects and insn.arg else insn.arg
    return f"setfib {fib if insn.arg != style.era.tablearg else 'tablearg'}"


def _numbered(keyword: str) -> Callable[[Style, Insn], str]:
    return lambda style, insn: f"{keyword} {arg_text(style, insn.arg)}"


ACTIONS: dict[int, Callable[[Style, Insn], str]] = {
    ops.O_CHECK_STATE: lambda style, insn: "check-state" + _state_suffix(style, insn),
    ops.O_ACCEPT: lambda style, insn: "allow",
    ops.O_COUNT: lambda style, insn: "count",
    ops.O_DENY: lambda style, insn: "deny",
    ops.O_REJECT: _reject,
    ops.O_UNREACH6: _unreach6,
    ops.O_SKIPTO: _numbered("skipto"),
    ops.O_PIPE: _numbered("pipe"),
    ops.O_QUEUE: _numbered("queue"),
    ops.O_DIVERT: _numbered("divert"),
    ops.O_TEE: _numbered("tee"),
    ops.O_NETGRAPH: _numbered("netgraph"),
    ops.O_NGTEE: _numbered("ngtee"),
    ops.O_FORWARD_IP: _forward,
    ops.O_NAT: _nat,
    ops.O_SETFIB: _setfib,
    ops.O_SETDSCP: _setdscp,
    ops.O_SET_MSS: lambda style, insn: f"tcp-setmss {insn.arg}",
    ops.O_REASS: lambda style, insn: "reass",
    ops.O_CALLRETURN: lambda style, insn: (
        "return" if insn.neg else f"call {arg_text(style, insn.arg)}"
    ),
}
"""Text of an action."""


def action_text(style: Style, actions: list[Insn]) -> str:
    """The action, then `log` and `tag`."""
    parts = [ACTIONS[insn.op](style, insn) for insn in actions if insn.op in ACTIONS]
    logs = [insn.data[0] for insn in actions if insn.op == ops.O_LOG]
    parts += [f"log logamount {most}" if most else "log" for most in logs]
    tags = [insn for insn in actions if insn.op == ops.O_TAG]
    parts += [f"{'untag' if insn.neg else 'tag'} {arg_text(style, insn.arg)}" for insn in tags]
    return " ".join(parts)
