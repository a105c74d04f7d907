"""What stands for a machine where only its side towards a device matters."""

from pystack._fast.port import ROOM, Port


class FakePort(Port):
    """A machine with one place for packets and counters; what comes of packets is the test's own."""

    def __init__(self) -> None:
        self.init_port()
        self.place = memoryview(bytearray(ROOM))
        self.room = self.place

    def make_room(self) -> int:
        return 0

    def dropped(self) -> dict[int, int]:
        """Packets by reason."""
        return {reason: n for reason, n in enumerate(self.drops) if n}
