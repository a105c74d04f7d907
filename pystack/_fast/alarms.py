"""Many timers at once: armed and cancelled as the core does it, without a call of Python for each.

What a timer costs can be measured with these; nothing else is in the measurement.
"""

import cython

from pystack._fast.wheel import Wheel  # noqa: F401


def arm_all(wheel, rows, deadlines):
    """Arm row rows[i] for deadlines[i] ns."""
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = len(rows)
    for i in range(n):
        wheel.arm(rows[i], deadlines[i])
    return n


def cancel_all(wheel, rows):
    """Cancel each of `rows`."""
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = len(rows)
    for i in range(n):
        wheel.cancel(rows[i])
    return n
