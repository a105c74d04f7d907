"""The flags of a connection: every bit has one meaning."""

import pytest

from pystack._fast import tcb

FAMILIES = ("TF_", "SS_", "SO_", "FO_", "ACK_")


@pytest.mark.parametrize("family", FAMILIES)
def test_no_two_flags_share_a_bit(family: str):
    flags = {name: value for name, value in vars(tcb).items() if name.startswith(family)}
    assert len(flags) >= 3
    seen: dict[int, str] = {}
    for name, value in flags.items():
        assert value > 0, name
        assert value & (value - 1) == 0, f"{name} is no single bit"
        assert value < 1 << 31, f"{name} is no bit of a C int"
        assert value not in seen, f"{name} is {seen[value]}"
        seen[value] = name
