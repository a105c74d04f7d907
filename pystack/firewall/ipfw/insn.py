"""Rules of ipfw as the command hands them to the kernel: instructions, and the books that are kept of a rule."""

from __future__ import annotations

from dataclasses import dataclass, field

from pystack._fast.ipfw_ops import (
    F_NOT,
    F_OR,
    O_IP_DST_LOOKUP,
    O_IP_FLOW_LOOKUP,
    O_IP_SRC_LOOKUP,
    O_RECV,
    O_VIA,
    O_XMIT,
)

LOOKUPS = (O_IP_SRC_LOOKUP, O_IP_DST_LOOKUP, O_IP_FLOW_LOOKUP)
INTERFACES = (O_RECV, O_XMIT, O_VIA)


@dataclass(slots=True)
class Insn:
    """One instruction (`pystack._fast.ipfw_ops`). It never changes; it is not frozen, because that takes three
    times as long to make.

    `arg`: the 16-bit argument. `neg`, `other`: negated; the next one is an alternative. `data`: operands, words of 32
    bits, host order, as listed below. `text`: what is not a number: the name or pattern of an interface, a comment.

        O_IP_SRC, O_IP_DST                  address
        O_IP_SRC_MASK, O_IP_DST_MASK        address, mask, address, mask, ...
        O_IP_SRC_SET, O_IP_DST_SET          first address, then a bit for each; `arg`: how many addresses
        O_IP_SRC_LOOKUP, O_IP_DST_LOOKUP, O_IP_FLOW_LOOKUP
                                            nothing, or the value; `arg`: the table's number, `text`: its name;
                                            of `lookup KEY TABLE` two words: 0, number of the key
                                            (dst-ip, src-ip, dst-port, src-port, uid, jail, dscp)
        O_MACADDR2                          destination, source, their masks: 24 octets in six words
        O_IP_SRCPORT, O_IP_DSTPORT          low | high << 16 for each port or range
        O_IPLEN, O_IPID, O_IPTTL, O_TCPDATALEN, O_TAGGED, O_TCPWIN, O_TCPMSS
                                            as ports; a single one without a range is `arg` and no data
        O_PROTO, O_IPVER, O_IPPRECEDENCE    `arg`
        O_IPOPT, O_IPTOS, O_TCPFLAGS, O_TCPOPTS
                                            `arg`: must be set | must be clear << 8
        O_TCPSEQ, O_TCPACK                  number
        O_ICMPTYPE                          a bit for each type 0..31
        O_DSCP                              two words, a bit for each code point
        O_RECV, O_XMIT, O_VIA               `text`: name or pattern; or data: an address; `arg` 1: data is the number
                                            of a table (`Chain.tables`), `text` its name
        O_KEEP_STATE, O_PROBE_STATE, O_CHECK_STATE
                                            `text`: the state's name (12 and later)
        O_LIMIT                             mask; `arg`: how many
        O_PROB                              probability * 0x7fffffff
        O_LOG                               most lines (0: no end)
        O_FORWARD_IP                        address, port (0: as it is)
        O_SKIPTO, O_PIPE, O_QUEUE, O_DIVERT, O_TEE, O_NAT, O_REJECT, O_TAG, O_SETFIB, O_FIB, O_NETGRAPH, O_NGTEE,
        O_SETDSCP, O_SET_MSS                `arg`; since 11 O_SETFIB and O_SETDSCP with 0x8000 (0: a table's value);
                                            O_REJECT of `unreach needfrag MTU`: data is the MTU
        O_CALLRETURN                        `arg`; `neg`: return
        O_NOP                               `text`: the comment
    """

    op: int
    arg: int = 0
    data: tuple[int, ...] = ()
    neg: bool = False
    other: bool = False
    text: str = ""

    @property
    def head(self) -> int:
        """The first word, with the length of this form (what the machine's program has)."""
        flags = (F_NOT if self.neg else 0) | (F_OR if self.other else 0)
        return self.op | 1 + len(self.data) << 8 | flags | self.arg << 16

    @property
    def of_interface(self) -> bool:
        """Does it look for an interface in a table?"""
        return self.op in INTERFACES and self.arg == 1

    @property
    def looks_up(self) -> bool:
        """Does it look into a table?"""
        return self.op in LOOKUPS or self.of_interface

    @property
    def table(self) -> int:
        """The number of the table that it looks into, in a rule that the kernel has."""
        return self.data[0] if self.of_interface else self.arg


@dataclass(slots=True, eq=False)
class Rule:
    """A rule. `patterns` and `actions` in the order in which the kernel has them; `number` 0: to be chosen.

    `row` is where the machine counts: 0 until the rule is in a `Chain`. `bare`: it was written without protocol and
    addresses, which only matters to those who print it.
    """

    patterns: list[Insn]
    actions: list[Insn]
    number: int = 0
    set: int = 0
    row: int = 0
    bare: bool = False
    ident: int = field(default=0)
    """Counts the rules that were ever added: where equal numbers stand in order."""
    asks: dict[int, list[tuple[int, int]]] | None = None
    """What the walk may know of it beforehand (`skipping.constraints`)."""
