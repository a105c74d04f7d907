"""What the grammar would have taken, in words that a person knows."""

from __future__ import annotations

from collections.abc import Callable

_EVENT = set("STAR PLUS INTEGER FLOAT".split())
_CALL_OR_PACKET = set("WORD DIRECTION COMMAND CODE".split())
_SEGMENT = set(
    "WORD DOT DASH FLOAT INTEGER UDP ICMP IPV4 IPV6 GRE MPLS HEX _LPAR _LBRACKET".split()
)
_OPTION = set(
    "MSS WSCALE SACK_OK SACK NOP EOL TS MD5 FO FOEXP COUNTERS GEN EXP HEX INTEGER WORD".split()
)

_PHRASES: tuple[tuple[set[str], set[str], str], ...] = (
    (_EVENT, _EVENT, "the time of an event (`0.1`, `+0.1` or `*`)"),
    (_CALL_OR_PACKET, _CALL_OR_PACKET, "`<`, `>`, a system call, a command or code"),
    ({"UDP", "ICMP", "DOT"}, _SEGMENT, "a packet (TCP flags, `udp` or `icmp`)"),
    ({"WORD", "DOT", "DASH"}, _SEGMENT, "TCP flags such as `S.`"),
    ({"MSS", "WSCALE", "TS"}, _OPTION, "a TCP option such as `mss 1460`"),
    (
        {"INTEGER", "HEX", "STRING", "WORD"},
        set("INTEGER HEX STRING WORD ELLIPSIS _LBRACKET _LBRACE".split()),
        "an argument",
    ),
    ({"INTEGER", "HEX", "ELLIPSIS", "WORD"}, {"INTEGER", "HEX", "ELLIPSIS", "WORD"}, "a result"),
    ({"INTEGER", "HEX", "WORD"}, {"INTEGER", "HEX", "WORD"}, "a number or a name"),
    ({"INTEGER", "HEX"}, {"INTEGER", "HEX"}, "a number"),
    ({"INTEGER", "FLOAT"}, {"INTEGER", "FLOAT"}, "seconds"),
    ({"INTEGER", "WORD"}, {"INTEGER", "WORD"}, "a number or a name"),
    ({"INTEGER"}, {"INTEGER"}, "a number"),
    ({"$END"}, {"$END"}, "the end of the script"),
    ({"COMMAND"}, {"COMMAND"}, "a command in back quotes"),
    ({"OPTION"}, {"OPTION"}, "an option"),
    ({"NOTE"}, {"NOTE"}, "a note in parentheses"),
    ({"WORD"}, {"WORD"}, "a name"),
    ({"ADDRESS"}, {"ADDRESS"}, "an address"),
    ({"FLOAT"}, {"FLOAT"}, "a digit behind the point"),
)
"""If all of the first are wanted, the third says so for whatever there is of the second."""


def in_words(wanted: set[str], literal: Callable[[str], str]) -> str:
    """Names of terminals as a phrase; `literal` answers how a fixed one is written."""
    left = set(wanted)
    said = []
    for needed, taken, phrase in _PHRASES:
        if needed <= left:
            left -= taken
            said.append(phrase)
    said += sorted({f"`{literal(name)}`" for name in left})
    return " or ".join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said)


def hint(found: str, wanted: set[str]) -> str:
    """For mistakes that have a name of their own; "" for others."""
    if found.startswith('"') and len(found) == 1:
        return "the closing quote of this string"
    if found == "`":
        return "the closing back quote of this command"
    if found.startswith("--"):
        return "an event: options stand at the head of the script"
    if found == "/" and "_SLASH" not in wanted:
        return "the end `*/` of this comment"
    if found == "%":
        return "code between %{ and }%"
    return ""
