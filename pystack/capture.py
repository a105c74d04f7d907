"""Captures: pcapng files that Wireshark and tcpdump open, and packets as tcpdump's lines.

    with Capture("run.pcapng") as capture:
        web = capture.interface("web", address="192.0.2.1")
        link.forward.wire.tap = capture.tap(web, outbound=True)

python-pcapng writes and checks the section and the interfaces, and reads files back. The packet blocks
are laid out here: the library takes 50 microseconds for one, this file 3, and a test compares the
two octet by octet. Stamps are nanoseconds since the epoch of the run (the file says 10**-9).
"""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple, Protocol

import pcapng
from pcapng import blocks
from pcapng.exceptions import PcapngException
from pcapng.structs import TYPE_BYTES, Option

from pystack._fast.consts import Drop
from pystack.packet_text import format_packet

__all__ = ["Capture", "Record", "format_packet", "read"]

LINKTYPE_IPV4 = 228
"""Packets begin with the IPv4 header (the tcpdump group's list of link-layer header types).

Not LINKTYPE_RAW, 101: libpcap 1.10 knows it inside by another number, and refuses a file with
two interfaces of it because of "a type 101 different from the type of the first interface".
"""

_EPB = 6
_OPT_COMMENT = 1
_OPT_FLAGS = 2
_OPT_TSRESOL = 9
_INBOUND = 1
_OUTBOUND = 2
_SHORT = 0xFFFF


class Octets(Protocol):
    """What can be written: `Packet` is one."""

    def to_bytes(self) -> bytes:
        """The packet as it would stand on the wire."""


Tap = Callable[[int, Octets, int], None]


class Record(NamedTuple):
    """One packet of a capture file."""

    ns: int
    interface: str
    data: bytes
    comment: str
    """Several comments are joined with newlines; "" where there is none."""


class Capture:
    """A pcapng file being written. Each interface of a machine is an interface of the file.

    `target` is a path, which is made or overwritten, or a binary file, which is left open at the end.
    What is written is on its way to the file at once and complete after `flush` or `close`. Errors of
    the file are OSError.
    """

    def __init__(self, target: str | os.PathLike[str] | IO[bytes]) -> None:
        if isinstance(target, (str, os.PathLike)):
            self._file: IO[bytes] = Path(target).open("wb")  # noqa: SIM115 (closed in `close`)
            self._ours = True
        else:
            self._file = target
            self._ours = False
        self.packets = 0
        self._numbers: dict[str, int] = {}
        self._section = blocks.SectionHeader(endianness="<", options={"shb_userappl": "pystack"})
        self._writer = pcapng.FileWriter(self._file, self._section)

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def interface(self, name: str, *, description: str = "", speed: int = 0) -> int:
        """The number of the interface of this name, which is added at first; `speed` in bit/s.

        An interface may be added at any time.
        """
        if name in self._numbers:
            return self._numbers[name]
        options: dict[str, object] = {"if_name": name}
        if description:
            options["if_description"] = description
        if speed:
            options["if_speed"] = speed
        block = self._section.new_member(
            blocks.InterfaceDescription, link_type=LINKTYPE_IPV4, snaplen=0, options=options
        )
        # the library's own schema leaves this option without a type and warns at each use
        block.options.schema[_OPT_TSRESOL] = Option(_OPT_TSRESOL, "if_tsresol", TYPE_BYTES)
        block.options["if_tsresol"] = b"\x09"
        self._writer.write_block(block)
        self._numbers[name] = block.interface_id
        return int(block.interface_id)

    def packet(
        self,
        ns: int,
        interface: int,
        packet: Octets | bytes,
        *,
        comment: str = "",
        outbound: bool | None = None,
    ) -> None:
        """Write one packet as it would stand on the wire. Raises ValueError for an unknown interface."""
        if not 0 <= interface < len(self._numbers):
            raise ValueError(f"no interface number {interface} in this capture")
        data = packet if isinstance(packet, bytes) else packet.to_bytes()
        options = b""
        if comment:
            text = comment.encode()[:_SHORT]
            options += struct.pack("<HH", _OPT_COMMENT, len(text)) + text + bytes(-len(text) % 4)
        if outbound is not None:
            options += struct.pack("<HHI", _OPT_FLAGS, 4, _OUTBOUND if outbound else _INBOUND)
        if options:
            options += bytes(4)
        room = len(data) + -len(data) % 4
        size = 32 + room + len(options)
        begin = (_EPB, size, interface, ns >> 32, ns & 0xFFFFFFFF, len(data), len(data))
        self._file.write(
            struct.pack("<7I", *begin)
            + data
            + bytes(room - len(data))
            + options
            + struct.pack("<I", size)
        )
        self.packets += 1

    def tap(self, interface: int, *, outbound: bool | None = None, comment: str = "") -> Tap:
        """A function for `Wire.tap` and `Wire.tap_arrival`: (ns, packet, drop reason).

        A dropped packet gets the comment "dropped: " and the name of the reason.
        """

        def write(ns: int, packet: Octets, reason: int) -> None:
            said = f"dropped: {Drop(reason).name}" if reason else ""
            both = f"{comment}; {said}" if comment and said else comment or said
            self.packet(ns, interface, packet, comment=both, outbound=outbound)

        return write

    def flush(self) -> None:
        """Hand what is buffered to the system."""
        self._file.flush()

    def close(self) -> None:
        """Complete the file. A second time does nothing; taps must be taken off before."""
        if self._ours:
            self._file.close()
        else:
            self._file.flush()


def read(path: str | os.PathLike[str]) -> Iterator[Record]:
    """The packets of a pcapng file, in its order; other blocks are passed over.

    Stamps finer than a nanosecond are rounded down. Raises OSError where there is no such file and
    ValueError where it is not pcapng or broken, naming the file, after the packets before that place.
    """
    with Path(path).open("rb") as file:
        scanner = iter(pcapng.FileScanner(file))
        while True:
            try:
                with warnings.catch_warnings():
                    # the library warns about its own schema (see `Capture.interface`)
                    warnings.simplefilter("ignore", DeprecationWarning)
                    block = next(scanner)
                    if not isinstance(block, blocks.EnhancedPacket):
                        continue
                    record = _record(block)
            except StopIteration:
                return
            except (PcapngException, ValueError, KeyError, struct.error) as e:
                raise ValueError(f"{os.fspath(path)}: not a whole pcapng file: {e}") from e
            yield record


def _record(block: blocks.EnhancedPacket) -> Record:
    interface = block.interface
    options = interface.options
    resolution = options.get("if_tsresol", b"\x06")[0]
    offset = options.get("if_tsoffset", 0)
    units = (2 if resolution & 0x80 else 10) ** (resolution & 0x7F)
    ticks = (block.timestamp_high << 32) + block.timestamp_low
    name = options.get("if_name", str(interface.interface_id))
    comments = block.options.get_all("opt_comment")
    return Record(
        ticks * 1_000_000_000 // units + offset * 1_000_000_000,
        name,
        bytes(block.packet_data),
        "\n".join(comments),
    )
