"""The table of states: figure 5 of RFC 9293, and nothing else."""

import pytest

from pystack._fast.consts import STATE_NAMES
from pystack._fast.tcp_state import ARROWS, N_STATES, ROWS


def reachable(start: str) -> set[str]:
    seen = {start}
    while more := {to for state, _, to, _ in ROWS if state in seen} - seen:
        seen |= more
    return seen


def test_every_state_is_reached_from_closed():
    assert reachable("CLOSED") == set(STATE_NAMES)


@pytest.mark.parametrize("state", STATE_NAMES)
def test_every_state_comes_to_an_end(state):
    assert "CLOSED" in reachable(state)


def test_an_event_leads_to_one_state():
    assert len({(state, event) for state, event, _, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize(
    ("state", "following"),
    [
        ("ESTABLISHED", "LISTEN"),
        ("FIN_WAIT_2", "ESTABLISHED"),
        ("CLOSE_WAIT", "TIME_WAIT"),
        ("LAST_ACK", "TIME_WAIT"),
        ("LISTEN", "SYN_SENT"),
        ("TIME_WAIT", "ESTABLISHED"),
    ],
)
def test_what_the_figure_does_not_have(state, following):
    assert not ARROWS[STATE_NAMES.index(state) * N_STATES + STATE_NAMES.index(following)]
