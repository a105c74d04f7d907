"""ipfw's own language: the words behind `add` become a rule."""

from __future__ import annotations

from pystack._fast.ipfw_ops import (
    O_CHECK_STATE,
    O_IP_DSTPORT,
    O_IP_SRCPORT,
    O_PROB,
    O_PROBE_STATE,
    O_SKIP_ACTION,
)
from pystack.firewall.ipfw import operands, options, protocols
from pystack.firewall.ipfw.actions import action, parameters
from pystack.firewall.ipfw.addresses import DESTINATION, SOURCE, Side, address
from pystack.firewall.ipfw.cnumbers import atoi, starts_digit, strtoul
from pystack.firewall.ipfw.draft import Draft, Settings
from pystack.firewall.ipfw.eras import Era
from pystack.firewall.ipfw.errors import EX_DATAERR, EX_USAGE, Refusal
from pystack.firewall.ipfw.insn import Insn, Rule
from pystack.firewall.ipfw.words import Words

PROBABILITY_ONE = 0x7FFFFFFF
_SET_MAX = 31
_NEEDS_STATE = (
    'Rule contains "defer-immediate-action" and doesn\'t contain any state-related options.'
)
_OPENING = ("(", "{")
_CLOSING = (")", "}")


def parse(words: Words, settings: Settings) -> Rule:
    """The rule that words describe. Raises Refusal."""
    draft = Draft(words, settings)
    _head(draft)
    action(draft)
    parameters(draft)
    if draft.state is None:
        _body(draft)
    elif draft.era.names_states and words.peek() == "//":
        words.take()
        options.comment(draft)
    return _assembled(draft)


def _head(draft: Draft) -> None:
    """`[NUMBER] [set N] [prob P]`."""
    words = draft.words
    if starts_digit(words.peek() or ""):
        number = atoi(words.take())
        draft.number = number if draft.era.names_objects else number & 0xFFFF
    if len(words) > 1 and words.skip("set"):
        text = words.take()
        draft.set = strtoul(text)[0] & 0xFFFFFFFF
        if draft.set > _SET_MAX:
            raise Refusal(EX_DATAERR, f"illegal set {text}")
    if len(words) > 1 and words.skip("prob"):
        text = words.take()
        draft.probability = _float(text)
        if not 0 < draft.probability <= 1:
            raise Refusal(EX_DATAERR, f"illegal match prob. {text}")


def _float(text: str) -> float:
    """The number that a text begins with, or 0."""
    for end in range(len(text), 0, -1):
        try:
            return float(text[:end]) if "_" not in text[:end] else 0.0
        except ValueError:
            continue
    return 0.0


def _body(draft: Draft) -> None:
    """`[proto from SOURCE [PORTS] to DESTINATION [PORTS]] [OPTIONS]`."""
    words = draft.words
    _not(draft)
    words.need("missing protocol")
    if words.skip("MAC") or words.skip("mac"):
        operands.mac_addresses(draft)
        _not(draft)
        options.mac_type(draft, words.need("missing mac type")) or words.take()
    elif _protocols(draft):
        _keyword(draft, "from")
        _addresses(draft, SOURCE, "missing source address")
        _ports(draft, O_IP_SRCPORT)
        _keyword(draft, "to")
        _addresses(draft, DESTINATION, "missing dst address")
        _ports(draft, O_IP_DSTPORT)
    _options(draft)


def _not(draft: Draft) -> None:
    word = draft.words.peek()
    if word and word[0] == "n" and draft.words.skip("not"):
        draft.negate()


def _keyword(draft: Draft, word: str) -> None:
    if not draft.words.skip(word):
        raise Refusal(EX_USAGE, f"missing ``{word}''")


def _open(draft: Draft) -> None:
    """A brace, which may be glued to what is behind it."""
    word = draft.words.peek() or ""
    if word[:1] in _OPENING and word:
        if draft.open:
            raise Refusal(EX_USAGE, 'nested "(" not allowed\n')
        draft.prev = -1
        draft.open = True
        if len(word) == 1:
            draft.words.take()
        else:
            draft.words.put(word[1:])


def _another(draft: Draft) -> bool:
    """Does `or` follow? If not, the braces have to end here."""
    words = draft.words
    if words.skip("or"):
        if draft.prev < 0 or not draft.open:
            raise Refusal(EX_DATAERR, "invalid OR block")
        draft.join()
        return True
    if draft.open:
        if words.peek() not in _CLOSING:
            raise Refusal(EX_USAGE, 'missing ")"\n')
        draft.prev = -1
        draft.open = False
        words.take()
    return False


def _protocols(draft: Draft) -> bool:
    """One protocol or several; False: the rule is of options only."""
    _open(draft)
    while True:
        _not(draft)
        text = draft.words.need("missing protocol")
        if not protocols.protocol(draft, text, old_names=True):
            if draft.body:
                raise Refusal(EX_DATAERR, f"invalid protocol ``{text}''")
            draft.bare = True
            return False
        draft.words.take()
        if not _another(draft):
            return True


def _addresses(draft: Draft, side: Side, missing: str) -> None:
    _open(draft)
    while True:
        _not(draft)
        text = draft.words.need(missing)
        address(draft, side, text)
        draft.words.take()
        if not _another(draft):
            return


def _ports(draft: Draft, op: int) -> None:
    _not(draft)
    if draft.words and draft.words.peek() != "to":
        options.ports(draft, op)


def _options(draft: Draft) -> None:
    """The options to the end."""
    words = draft.words
    if draft.era < Era.E12:
        draft.bare = bool(words) and not draft.body
    draft.prev = -1
    while words:
        word = words.take()
        if word.startswith("!"):
            draft.negate()
            word = word[1:]
        if not _punctuation(draft, word):
            option = options.OPTIONS.get(word)
            if option is None or draft.era < option.since:
                raise Refusal(EX_USAGE, f"unrecognised option [-1] {word}\n")
            option.read(draft)


def _punctuation(draft: Draft, word: str) -> bool:
    """`not`, `or` and braces between options."""
    if word == "not":
        draft.negate()
    elif word in ("or", "|"):
        if draft.prev < 0 or not draft.open:
            raise Refusal(EX_USAGE, 'invalid "or" block\n')
        draft.join()
    elif word in _OPENING:
        if draft.open:
            raise Refusal(EX_USAGE, '+nested "(" not allowed\n')
        draft.open = True
    elif word in _CLOSING:
        if not draft.open:
            raise Refusal(EX_USAGE, '+missing ")"\n')
        draft.open = False
        draft.prev = -1
    else:
        return False
    return True


def _assembled(draft: Draft) -> Rule:
    """Instructions in the kernel's order: probability, state lookup, patterns, state, and then log, tag, action."""
    patterns: list[Insn] = []
    state = draft.state
    if state is not None and state.op == O_CHECK_STATE:
        state = None
    if draft.probability != 1:
        patterns.append(Insn(O_PROB, data=(int(draft.probability * PROBABILITY_ONE),)))
    if state is not None and not draft.installs_only:
        patterns.append(Insn(O_PROBE_STATE, text=state.text))
    patterns += draft.body
    if state is not None:
        patterns.append(state)
    if draft.deferred:
        if draft.state is None:
            draft.words.warn(_NEEDS_STATE)
        patterns.append(Insn(O_SKIP_ACTION))
    actions = [
        each for each in (draft.log, draft.altq, draft.tag) if each is not None
    ] + draft.actions
    return Rule(patterns, actions, draft.number, draft.set, bare=draft.bare)
