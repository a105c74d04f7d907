"""Capture files: what we write, the library, tcpdump and our reader agree on it; and the lines of text."""

import io
import shutil
import struct
import subprocess
import warnings
from pathlib import Path

import pcapng
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pcapng import blocks
from wire_kit import MSS, PATTERN, Maker, arrivals, make_wire

from pystack import capture as capture_module
from pystack._fast import consts
from pystack._fast.consts import Drop
from pystack.capture import Capture, Record, read
from pystack.packet_text import describe, format_packet, format_stamp

ALWAYS = 2**64 - 1


# --- octets for the lines, made here and not by the core ---------------------------------------------


def checksum(octets: bytes) -> int:
    octets += bytes(len(octets) % 2)
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def ip(
    proto: int, body: bytes, *, frag: int = 0, ident: int = 1, src: int = 1, dst: int = 2
) -> bytes:
    addresses = bytes((192, 0, 2, src, 192, 0, 2, dst))
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), ident, frag, 64, proto, 0) + addresses
    return head[:10] + checksum(head).to_bytes(2, "big") + head[12:] + body


def tcp(
    flags: int, options: bytes = b"", data: bytes = b"", *, seq: int = 5, ack: int = 9
) -> bytes:
    size = (20 + len(options)) // 4 << 4
    body = struct.pack("!HHIIBBHHH", 80, 49152, seq, ack, size, flags, 65535, 0, 3) + options + data
    pseudo = bytes((192, 0, 2, 1, 192, 0, 2, 2)) + struct.pack("!HH", 6, len(body))
    body = body[:16] + checksum(pseudo + body).to_bytes(2, "big") + body[18:]
    return ip(6, body)


def udp(data: bytes) -> bytes:
    body = struct.pack("!HHHH", 40000, 40001, 8 + len(data), 0) + data
    return ip(17, body)


def icmp(kind: int, code: int, rest: int, data: bytes = b"") -> bytes:
    body = struct.pack("!BBHI", kind, code, 0, rest) + data
    return ip(1, body[:2] + checksum(body).to_bytes(2, "big") + body[4:])


SYN, ACK, FIN, PSH, RST, URG = (
    consts.SYN, consts.ACK, consts.FIN, consts.PSH, consts.RST, consts.URG,
)  # fmt: skip
SYN_OPTIONS = bytes.fromhex("020405b4 0402 080a 00000001 00000000 01 030307")
SACKS = bytes.fromhex("0101 0512 00000010 00000020 00000030 00000040")

LINES = [
    (
        tcp(SYN | ACK, SYN_OPTIONS, seq=0, ack=1),
        "IP 192.0.2.1.80 > 192.0.2.2.49152: Flags [S.], seq 0, ack 1, win 65535, "
        "options [mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7], length 0",
    ),
    (
        tcp(PSH | ACK, data=b"x" * 100),
        "IP 192.0.2.1.80 > 192.0.2.2.49152: Flags [P.], seq 5:105, ack 9, win 65535, length 100",
    ),
    (
        tcp(ACK, SACKS),
        "IP 192.0.2.1.80 > 192.0.2.2.49152: Flags [.], ack 9, win 65535, "
        "options [nop,nop,sack 2 {16:32}{48:64}], length 0",
    ),
    (tcp(RST), "IP 192.0.2.1.80 > 192.0.2.2.49152: Flags [R], seq 5, win 65535, length 0"),
    (
        tcp(FIN | ACK | URG),
        "IP 192.0.2.1.80 > 192.0.2.2.49152: Flags [F.U], seq 5, ack 9, win 65535, urg 3, length 0",
    ),
    (tcp(0), "IP 192.0.2.1.80 > 192.0.2.2.49152: Flags [none], win 65535, length 0"),
    (
        tcp(ACK | consts.ECE | consts.CWR, data=b"abcd", seq=2**32 - 2),
        "IP 192.0.2.1.80 > 192.0.2.2.49152: Flags [.EW], seq 4294967294:2, ack 9, win 65535, length 4",
    ),
    (udp(b"x" * 12), "IP 192.0.2.1.40000 > 192.0.2.2.40001: UDP, length 12"),
    (
        icmp(8, 0, 0x00010002, bytes(56)),
        "IP 192.0.2.1 > 192.0.2.2: ICMP echo request, id 1, seq 2, length 64",
    ),
    (icmp(0, 0, 0x00010002), "IP 192.0.2.1 > 192.0.2.2: ICMP echo reply, id 1, seq 2, length 8"),
    (
        icmp(3, 3, 0, udp(b"")),
        "IP 192.0.2.1 > 192.0.2.2: ICMP 192.0.2.2 udp port 40001 unreachable, length 36",
    ),
    (
        icmp(3, 1, 0, udp(b"")),
        "IP 192.0.2.1 > 192.0.2.2: ICMP host 192.0.2.2 unreachable, length 36",
    ),
    (
        icmp(3, 4, 1400, udp(b"")),
        "IP 192.0.2.1 > 192.0.2.2: ICMP 192.0.2.2 unreachable - need to frag (mtu 1400), length 36",
    ),
    (
        icmp(11, 0, 0, udp(b"")),
        "IP 192.0.2.1 > 192.0.2.2: ICMP time exceeded in-transit, length 36",
    ),
]
"""Packets whose lines tcpdump and we must agree on."""

OURS = [
    (b"", "IP [|ip]"),
    (tcp(ACK)[:19], "IP [|ip]"),
    (b"\x60" + bytes(39), "IP6 [bad version]"),
    (b"\x44" + bytes(39), "IP bad-hlen 16"),
    (b"\x45\x00\x00\x13" + bytes(36), "IP bad-len 19"),
    (
        tcp(ACK)[:30],
        "IP truncated-ip - 10 bytes missing! 192.0.2.1.80 > 192.0.2.2.49152: [|tcp]",
    ),
    (
        tcp(SYN, b"\x02\x09\x00\x00"),
        "IP 192.0.2.1.80 > 192.0.2.2.49152: Flags [S], seq 5, win 65535, "
        "options [opt-2 [bad opt]], length 0",
    ),
    (
        tcp(SYN, b"\x22\x02\x01\x00"),
        "IP 192.0.2.1.80 > 192.0.2.2.49152: Flags [S], seq 5, win 65535, "
        "options [tfo  cookiereq,nop,eol], length 0",
    ),
    (
        ip(6, struct.pack("!HHIIBBHHH", 80, 81, 0, 0, 0x40, 2, 0, 0, 0)),
        "IP 192.0.2.1.80 > 192.0.2.2.81: Flags [S] [bad hdr length 16 - too short, < 20]",
    ),
    (
        ip(6, struct.pack("!HHIIBBHHH", 80, 81, 0, 0, 0xF0, 2, 0, 0, 0)),
        "IP 192.0.2.1.80 > 192.0.2.2.81: Flags [S] [bad hdr length 60 - too long, > 20]",
    ),
    (ip(17, bytes(20), frag=185), "IP 192.0.2.1 > 192.0.2.2: udp (frag 1480:20)"),
    (
        ip(17, struct.pack("!HHHH", 1, 2, 3000, 0) + bytes(16), frag=0x2000),
        "IP 192.0.2.1.1 > 192.0.2.2.2: UDP, length 2992 (frag 0:24+)",
    ),
    (ip(99, bytes(5)), "IP 192.0.2.1 > 192.0.2.2: ip-proto-99 5"),
    (udp(b"")[:26], "IP truncated-ip - 2 bytes missing! 192.0.2.1.40000 > 192.0.2.2.40001: [|udp]"),
]
"""What is broken, or said in our own way."""


@pytest.mark.parametrize(("data", "line"), LINES + OURS)
def test_lines(data: bytes, line: str):
    assert describe(data) == line
    assert format_packet(1_000_500_000, data) == f"1.000500 {line}"


@pytest.mark.parametrize(
    ("ns", "stamp"),
    [
        (0, "0.000000"),
        (1_000_500_000, "1.000500"),
        (1_000_500_001, "1.000500001"),
        (999, "0.000000999"),
    ],
)
def test_stamps(ns: int, stamp: str):
    assert format_stamp(ns) == stamp


def test_a_packet_object_is_shown_as_its_octets():
    make = Maker()
    p = make.tcp(10, seq=77)
    assert format_packet(0, p) == format_packet(0, p.to_bytes())
    assert "seq 77:87, ack 7, win 1000, length 10" in format_packet(0, p)
    p.release()


@given(
    st.one_of(
        st.binary(max_size=80),
        st.tuples(st.sampled_from([data for data, _ in LINES]), st.data()).map(lambda t: t[0]),
    ),
    st.lists(st.tuples(st.integers(0, 79), st.integers(0, 255)), max_size=6),
    st.integers(0, 80),
)
def test_no_octets_raise(data: bytes, changes: list[tuple[int, int]], cut: int):
    octets = bytearray(data)
    for at, value in changes:
        if at < len(octets):
            octets[at] = value
    line = format_packet(0, bytes(octets[: max(cut, 1)]))
    assert line.startswith("0.000000 IP")
    assert "\n" not in line


# --- files -------------------------------------------------------------------------------------------


def test_what_is_written_reads_back(tmp_path: Path):
    path = tmp_path / "run.pcapng"
    with Capture(path) as capture:
        web = capture.interface("web", description="freebsd-10", speed=10**9)
        capture.packet(5, web, tcp(SYN))
        client = capture.interface("client")
        capture.packet(2**40 + 123, client, tcp(ACK, data=b"x"), comment="dropped: LINK_LOSS")
        capture.packet(10**18 + 1, web, udp(b"abc"), comment="grüße", outbound=True)
        assert capture.interface("web") == web
        assert capture.packets == 3
    assert list(read(path)) == [
        Record(5, "web", tcp(SYN), ""),
        Record(2**40 + 123, "client", tcp(ACK, data=b"x"), "dropped: LINK_LOSS"),
        Record(10**18 + 1, "web", udp(b"abc"), "grüße"),
    ]


def test_the_library_reads_the_same(tmp_path: Path):
    path = tmp_path / "run.pcapng"
    with Capture(path) as capture:
        number = capture.interface("web")
        for n in range(5):
            capture.packet(n, number, bytes(20 + n), outbound=n % 2 == 0, comment="x" * n)
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        section, interface, *packets = list(pcapng.FileScanner(file))
    assert section.options["shb_userappl"] == "pystack"
    assert (interface.link_type, interface.options["if_name"]) == (228, "web")
    assert interface.options["if_tsresol"] == b"\x09"
    for n, block in enumerate(packets):
        assert block.packet_data == bytes(20 + n)
        assert block.packet_len == block.captured_len == 20 + n
        assert block.options["epb_flags"].inout == ("outbound" if n % 2 == 0 else "inbound")
        assert block.options.get_all("opt_comment") == (["x" * n] if n else [])


@pytest.mark.parametrize("comment", ["", "a", "ab", "abc", "dropped: LINK_QUEUE", "ü"])
@pytest.mark.parametrize("size", [20, 21, 22, 23, 1500])
@pytest.mark.parametrize("outbound", [None, True, False])
def test_our_packet_block_is_the_librarys_octet_by_octet(
    comment: str, size: int, outbound: bool | None
):
    ours, theirs = io.BytesIO(), io.BytesIO()
    ns = 2**33 + 7
    capture = Capture(ours)
    number = capture.interface("web")
    before = len(ours.getvalue())
    capture.packet(ns, number, PATTERN[:size], comment=comment, outbound=outbound)

    section = blocks.SectionHeader(endianness="<")
    section.new_member(blocks.InterfaceDescription, link_type=101)
    writer = pcapng.FileWriter(theirs, section)
    start = len(theirs.getvalue())
    options: dict[str, object] = {"opt_comment": comment} if comment else {}
    if outbound is not None:
        options["epb_flags"] = 2 if outbound else 1
    writer.write_block(
        section.new_member(
            blocks.EnhancedPacket,
            interface_id=0,
            timestamp_high=ns >> 32,
            timestamp_low=ns & 0xFFFFFFFF,
            packet_data=PATTERN[:size],
            options=options,
        )
    )
    assert ours.getvalue()[before:] == theirs.getvalue()[start:]


def test_an_unknown_interface_is_refused():
    capture = Capture(io.BytesIO())
    with pytest.raises(ValueError, match="no interface number 0"):
        capture.packet(0, 0, b"")


def test_a_path_that_cannot_be_is_an_os_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        Capture(tmp_path / "no" / "run.pcapng")
    with pytest.raises(FileNotFoundError):
        list(read(tmp_path / "none.pcapng"))


def test_a_cut_file_gives_what_is_whole_and_then_an_error(tmp_path: Path):
    path = tmp_path / "cut.pcapng"
    with Capture(path) as capture:
        number = capture.interface("web")
        for n in range(3):
            capture.packet(n, number, bytes(40))
    path.write_bytes(path.read_bytes()[:-10])
    records = read(path)
    assert [next(records).ns, next(records).ns] == [0, 1]
    with pytest.raises(ValueError, match=r"cut\.pcapng: not a whole pcapng file"):
        next(records)


def test_what_is_not_pcapng_is_an_error_that_names_the_file(tmp_path: Path):
    path = tmp_path / "notes.txt"
    path.write_text("hello, this is no capture at all")
    with pytest.raises(ValueError, match=r"notes\.txt: not a whole pcapng file"):
        list(read(path))


def test_other_resolutions_are_read(tmp_path: Path):
    for option, ticks, ns in ((b"\x06", 7, 7000), (b"\x8a", 1024, 10**9), (None, 3, 3000)):
        path = tmp_path / "other.pcapng"
        with path.open("wb") as file:
            section = blocks.SectionHeader(endianness=">")
            interface = section.new_member(blocks.InterfaceDescription, link_type=101)
            if option:
                schema = capture_module.Option(9, "if_tsresol", capture_module.TYPE_BYTES)
                interface.options.schema[9] = schema
                interface.options["if_tsresol"] = option
            writer = pcapng.FileWriter(file, section)
            block = section.new_member(
                blocks.EnhancedPacket, timestamp_low=ticks, packet_data=b"\x45"
            )
            writer.write_block(block)
        assert list(read(path)) == [Record(ns, "0", b"\x45", "")]


def capture_of_a_wire(path: Path) -> None:
    """A super-segment that passes whole, pieces, drops of four kinds, a corrupted packet."""
    make = Maker()
    with Capture(path) as capture:
        web, client = capture.interface("web"), capture.interface("client")
        wire = make_wire(delay=5_000_000)
        wire.tap = capture.tap(web, outbound=True)
        wire.tap_arrival = capture.tap(client, outbound=False, comment="arrived")
        wire.send(make.tcp(45 * MSS, gso=MSS), 1_000)
        wire.mtu = 1400
        wire.send(make.tcp(1448, seq=2), 2_000)
        wire.mtu = 0
        wire.loss = ALWAYS
        wire.send(make.tcp(10, seq=3), 3_001)
        wire.loss = 0
        wire.partitioned = True
        wire.send(make.tcp(10, seq=4), 4_000)
        wire.partitioned = False
        wire.rate, wire.queue_packets = 10**6, 1
        wire.send(make.tcp(3 * MSS, gso=MSS), 5_000)
        wire.rate = 0
        wire.corrupt = ALWAYS
        wire.send(make.tcp(10, seq=6), 6_000)
        arrivals(wire)
    assert make.pool.in_use == 0


def test_a_wire_is_captured_with_the_reasons_of_its_drops(tmp_path: Path):
    path = tmp_path / "wire.pcapng"
    capture_of_a_wire(path)
    records = list(read(path))
    sent = [(r.ns, r.comment, len(r.data)) for r in records if r.interface == "web"]
    assert sent == [
        (1_000, "", 40 + 45 * MSS),
        (2_000, f"dropped: {Drop.LINK_MTU.name}", 1488),
        (3_001, f"dropped: {Drop.LINK_LOSS.name}", 50),
        (4_000, f"dropped: {Drop.LINK_PARTITION.name}", 50),
        (5_000, "", 1488),
        (5_000, "", 1488),
        (5_000, f"dropped: {Drop.LINK_QUEUE.name}", 1488),
        (6_000, "", 50),
    ]
    came = [r for r in records if r.interface == "client"]
    assert {r.comment for r in came} == {"arrived"}
    assert [len(r.data) for r in came] == [40 + 45 * MSS, 1488, 1488, 50]
    whole = came[0].data
    assert int.from_bytes(whole[2:4], "big") == len(whole)  # a super-segment's IP length
    assert checksum(whole[:20]) == 0
    pseudo = whole[12:20] + struct.pack("!HH", 6, len(whole) - 20)
    assert checksum(pseudo + whole[20:]) == 0


# --- tcpdump -----------------------------------------------------------------------------------------


def tcpdump(path: Path, *arguments: str) -> list[str]:
    program = shutil.which("tcpdump")
    if program is None:
        pytest.skip("tcpdump is not installed (apt-get install tcpdump)")
    command = [program, "-n", "-S", "-tt", "--time-stamp-precision=nano", *arguments, "-r", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.system
def test_tcpdump_prints_the_lines_that_we_print(tmp_path: Path):
    path = tmp_path / "lines.pcapng"
    with Capture(path) as capture:
        number = capture.interface("web")
        for n, (data, _) in enumerate(LINES):
            capture.packet(1_000_000_000 + n, number, data, comment="x" if n % 2 else "")
    said = tcpdump(path)
    # tcpdump adds the protocol of a well-known port to segments with data
    said = [line.split(": HTTP")[0] for line in said]
    assert said == [f"1.{n:09d} {line}" for n, (_, line) in enumerate(LINES)]


@pytest.mark.system
def test_tcpdump_reads_the_capture_of_a_wire_and_finds_its_checksums_right(tmp_path: Path):
    path = tmp_path / "wire.pcapng"
    capture_of_a_wire(path)
    records = list(read(path))
    said = [line for line in tcpdump(path, "-v") if not line.startswith("    ")]
    assert len(said) == len(records) == 12
    assert said[0].startswith("0.000001000 IP (tos 0x0, ttl 64, id 0, offset 0, flags [DF], ")
    text = "\n".join(tcpdump(path, "-v"))
    # the corrupted packet is there twice: sent and arrived
    assert (text.count("(correct)"), text.count("(incorrect ->")) == (10, 2)
