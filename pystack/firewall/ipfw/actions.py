"""What a rule does: one function for each kind of action, by the word that names it."""

from __future__ import annotations

from collections.abc import Callable

from pystack._fast import ipfw_ops as ops
from pystack.firewall.ipfw import operands, tokens
from pystack.firewall.ipfw.cnumbers import atoi, inet_aton, starts_digit, strtoul
from pystack.firewall.ipfw.draft import ARG_MAX, Draft
from pystack.firewall.ipfw.eras import Era
from pystack.firewall.ipfw.errors import EX_DATAERR, EX_USAGE, Refusal
from pystack.firewall.ipfw.insn import Insn

Action = Callable[[Draft], Insn]
DEFAULT_STATE = "default"


def _plain(op: int, arg: int = 0) -> Action:
    """An action without operands."""

    def action(draft: Draft) -> Insn:
        return Insn(op, arg)

    return action


def _numbered(op: int) -> Action:
    """An action with a number, or the value of a table."""

    def action(draft: Draft) -> Insn:
        words = draft.words
        keyword = words.taken()
        text = words.need(f"missing argument for {keyword}")
        if starts_digit(text):
            arg = strtoul(text)[0] & 0xFFFF
            if not 1 <= arg <= ARG_MAX:
                raise Refusal(EX_DATAERR, f"illegal argument for {keyword}")
            words.take()
        elif words.skip("tablearg"):
            arg = draft.era.tablearg
        elif op in (ops.O_DIVERT, ops.O_TEE):
            port = draft.names.divert_port(words.take())
            if port is None:
                raise Refusal(EX_DATAERR, "illegal divert/tee port")
            arg = port
        else:
            raise Refusal(EX_DATAERR, f"illegal argument for {keyword}")
        return Insn(op, arg)

    return action


def _check_state(draft: Draft) -> Insn:
    """`check-state`, later of states of one name or (`:any`) of all."""
    words = draft.words
    if not draft.era.names_states:
        insn = Insn(ops.O_CHECK_STATE)
    else:
        word = words.peek()
        name = DEFAULT_STATE
        if word is not None and word != "//":
            name = word.removeprefix(":")
            if not word.startswith(":") or not operands.valid_name(name):
                raise Refusal(EX_DATAERR, f"Invalid state name {word}")
            words.take()
        insn = Insn(ops.O_CHECK_STATE, text="" if name == "any" else name)
    draft.keep(insn)
    return insn


def _unreach(draft: Draft) -> Insn:
    """`unreach CODE`; since 12 `needfrag` has the MTU to be told behind it."""
    text = draft.words.need("missing reject code")
    draft.words.take()
    if draft.era >= Era.E12 and text == "needfrag":
        mtu = draft.words.peek() or ""
        if starts_digit(mtu):
            draft.words.take()
            return Insn(ops.O_REJECT, 4, (atoi(mtu) & 0xFFFF,))
    return Insn(ops.O_REJECT, operands.unreachable(tokens.UNREACH, "ICMP", text))


def _unreach6(draft: Draft) -> Insn:
    text = draft.words.need("missing unreach code")
    draft.words.take()
    return Insn(ops.O_UNREACH6, operands.unreachable(tokens.UNREACH6, "ICMPv6", text))


def _nat(draft: Draft) -> Insn:
    """`nat N`; `nat global`: whichever instance knows the flow."""
    if draft.era >= Era.E10 and draft.words.skip("global"):
        return Insn(ops.O_NAT, draft.era.nat_global)
    return _numbered(ops.O_NAT)(draft)


def _forward(draft: Draft) -> Insn:
    """`fwd ADDRESS[,PORT]`, also with `:` between."""
    text = draft.words.need("missing forward address[:port]")
    draft.words.take()
    cut = next((at for at, c in enumerate(text) if c in ":,"), -1)
    name, port = text, 0
    if cut >= 0:
        name, rest = text[:cut], text[cut + 1 :]
        found = operands.port(draft, rest, 0)
        if found is None:
            raise Refusal(EX_DATAERR, f"illegal forwarding port ``{rest}''")
        port = found[0]
    if name == "tablearg":
        return Insn(ops.O_FORWARD_IP, data=(0, port))
    addr = inet_aton(name)
    if addr is None:
        addr = draft.names.host(name)
    if addr is None:
        raise Refusal(EX_DATAERR, "")
    return Insn(ops.O_FORWARD_IP, data=(addr, port))


def _setfib(draft: Draft) -> Insn:
    """`setfib N`: which routing table is asked."""
    text = draft.words.need("missing fib number")
    if draft.words.skip("tablearg"):
        return Insn(ops.O_SETFIB, draft.era.tablearg)
    draft.words.take()
    fib = strtoul(text)[0] & 0xFFFF
    if fib >= draft.settings.fibs:
        raise Refusal(EX_DATAERR, "fib too large.\n")
    return Insn(ops.O_SETFIB, fib | (0x8000 if draft.era.names_objects else 0))


def _setdscp(draft: Draft) -> Insn:
    """`setdscp af11`: the code point that the packet goes on with."""
    text = draft.words.need("missing DSCP code")
    if draft.words.skip("tablearg"):
        return Insn(ops.O_SETDSCP, draft.era.tablearg)
    draft.words.take()
    mark = 0x8000 if draft.era.names_objects else 0
    return Insn(ops.O_SETDSCP, operands.code_point(text) | mark)


def _set_mss(draft: Draft) -> Insn:
    """`tcp-setmss N`: the largest MSS that a SYN may leave with."""
    text = draft.words.need("Missing argument for tcp-setmss")
    value, rest = strtoul(text)
    if not starts_digit(text) or rest or not 1 <= value <= 65535:
        raise Refusal(EX_DATAERR, f"Invalid MSS value {text}")
    draft.words.take()
    return Insn(ops.O_SET_MSS, value)


def _comment(draft: Draft) -> Insn:
    """A rule of nothing but a comment counts."""
    draft.words.back()
    return Insn(ops.O_COUNT)


ACTIONS: dict[str, tuple[Era, Action]] = {
    **{word: (Era.E8, _plain(ops.O_ACCEPT)) for word in ("accept", "pass", "allow", "permit")},
    **{word: (Era.E8, _plain(ops.O_DENY)) for word in ("deny", "drop")},
    "count": (Era.E8, _plain(ops.O_COUNT)),
    "reject": (Era.E8, _plain(ops.O_REJECT, 1)),
    "reset": (Era.E8, _plain(ops.O_REJECT, ops.REJECT_RST)),
    "reset6": (Era.E8, _plain(ops.O_UNREACH6, ops.REJECT_RST)),
    "abort": (Era.E12, _plain(ops.O_REJECT, ops.REJECT_ABORT)),
    "abort6": (Era.E12, _plain(ops.O_UNREACH6, ops.REJECT_ABORT)),
    "unreach": (Era.E8, _unreach),
    "unreach6": (Era.E8, _unreach6),
    "check-state": (Era.E8, _check_state),
    "pipe": (Era.E8, _numbered(ops.O_PIPE)),
    "queue": (Era.E8, _numbered(ops.O_QUEUE)),
    "divert": (Era.E8, _numbered(ops.O_DIVERT)),
    "tee": (Era.E8, _numbered(ops.O_TEE)),
    "netgraph": (Era.E8, _numbered(ops.O_NETGRAPH)),
    "ngtee": (Era.E8, _numbered(ops.O_NGTEE)),
    "skipto": (Era.E8, _numbered(ops.O_SKIPTO)),
    "call": (Era.E10, _numbered(ops.O_CALLRETURN)),
    "return": (Era.E10, lambda draft: Insn(ops.O_CALLRETURN, neg=True)),
    "fwd": (Era.E8, _forward),
    "forward": (Era.E8, _forward),
    "nat": (Era.E8, _nat),
    "reass": (Era.E8, _plain(ops.O_REASS)),
    "setfib": (Era.E8, _setfib),
    "setdscp": (Era.E11, _setdscp),
    "tcp-setmss": (Era.E12, _set_mss),
    "//": (Era.E8, _comment),
}
"""Words of actions: since when, and what reads them."""


def action(draft: Draft) -> None:
    """Read the action."""
    draft.words.need("missing action")
    word = draft.words.take()
    since, read = ACTIONS.get(word, (None, None))
    if read is None or since is None or draft.era < since:
        raise Refusal(EX_DATAERR, f"invalid action {word}\n")
    draft.actions.append(read(draft))


def _log(draft: Draft) -> None:
    """`log [logamount N]`."""
    if draft.log is not None:
        raise Refusal(EX_DATAERR, "log cannot be specified more than once")
    words = draft.words
    most = draft.settings.log_limit
    if words.skip("logamount"):
        most = atoi(words.need("logamount requires argument"))
        if most < 0:
            raise Refusal(EX_DATAERR, "logamount must be positive")
        words.take()
    draft.log = Insn(ops.O_LOG, data=(most,))


def _altq(draft: Draft) -> None:
    """`altq QUEUE`: there are no such queues on a machine of this kind."""
    name = draft.words.need("missing altq queue name")
    if draft.altq is not None:
        raise Refusal(EX_DATAERR, "altq cannot be specified more than once")
    draft.words.take()
    draft.altq = Insn(ops.O_ALTQ, text=name)
    raise Refusal(EX_DATAERR, f"altq has no queue named `{name}'")


def _tag(draft: Draft) -> None:
    """`tag N`, `untag N`."""
    keyword = draft.words.taken()
    if draft.tag is not None:
        raise Refusal(EX_USAGE, "tag and untag cannot be specified more than once")
    draft.tag = Insn(ops.O_TAG, draft.uint(keyword), neg=keyword == "untag")


_PARAMETERS: dict[str, Callable[[Draft], None]] = {
    "log": _log,
    "altq": _altq,
    "tag": _tag,
    "untag": _tag,
}


def parameters(draft: Draft) -> None:
    """What stands between the action and the body."""
    while (word := draft.words.peek()) is not None and word in _PARAMETERS:
        draft.words.take()
        _PARAMETERS[word](draft)
