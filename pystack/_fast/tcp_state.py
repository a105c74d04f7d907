"""The eleven states and the arrows between them, as data: RFC 9293 figure 5, with what BSD sockets add.

Code decides when an arrow is taken; that there is such an arrow stands here alone. `Stack.set_state` asserts it in
interpreted runs and in the checked build, the tests walk it, and it is the table that documents are made from.
"""

from pystack._fast.columns import column
from pystack._fast.consts import STATE_NAMES

TABLE = """
CLOSED       passive-open       LISTEN       3.10.1
CLOSED       active-open        SYN_SENT     3.10.1
CLOSED       syncache-complete  SYN_RCVD     3.10.7.2 (the row of the syncache was its SYN_RCVD)
LISTEN       close              CLOSED       3.10.4
SYN_SENT     rcv-syn-ack        ESTABLISHED  3.10.7.3
SYN_SENT     rcv-syn            SYN_RCVD     3.10.7.3, MUST-10
SYN_SENT     close              CLOSED       3.10.4
SYN_RCVD     rcv-ack            ESTABLISHED  3.10.7.4
SYN_RCVD     close              FIN_WAIT_1   3.10.4
ESTABLISHED  close              FIN_WAIT_1   3.10.4
ESTABLISHED  rcv-fin            CLOSE_WAIT   3.10.7.4
CLOSE_WAIT   close              LAST_ACK     3.10.4
FIN_WAIT_1   rcv-ack-of-fin     FIN_WAIT_2   3.10.7.4
FIN_WAIT_1   rcv-fin            CLOSING      3.10.7.4
FIN_WAIT_2   rcv-fin            TIME_WAIT    3.10.7.4 (the connection becomes a row of the TIME_WAIT table)
CLOSING      rcv-ack-of-fin     TIME_WAIT    3.10.7.4 (likewise)
LAST_ACK     rcv-ack-of-fin     CLOSED       3.10.7.4
TIME_WAIT    2msl               CLOSED       3.6
"""
"""State, event, next state, section of RFC 9293. Any state goes to CLOSED by RST, timeout or abort."""

ROWS = tuple(tuple(line.split(None, 3)) for line in TABLE.strip().splitlines())

N_STATES = len(STATE_NAMES)


def arrows():
    """A column of N_STATES * N_STATES: 1 where the table has an arrow from the row's to the column's state."""
    out = column("B", N_STATES * N_STATES)
    for state, _event, following, _source in ROWS:
        out[STATE_NAMES.index(state) * N_STATES + STATE_NAMES.index(following)] = 1
    for state in range(N_STATES):
        out[state * N_STATES] = 1
    return out


ARROWS = arrows()
