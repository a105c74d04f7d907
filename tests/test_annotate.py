"""Hot functions must be C all the way: none of their lines calls into Python (CONTRIBUTING.md, the first of the traps).

A literal of 32 bits, a forgotten declaration or an import that should be a cimport makes a function
10 to 50 times slower and changes no result, so no other test would see it. A function that is made to
be hot is added here by whoever writes it; `make annotate` shows what stands in the way.
"""

from concurrent.futures import Future
from pathlib import Path

import pytest

import annotate

HOT = {
    "wirebytes": "csum_add csum_add16 csum_octets csum_fold copy",
    "rng": "Rng.next64 Rng.next32 Rng.below Rng.chance",
    "hashing": "jhash_3words sip1 sip2 sip3",
    "chain": """Chain.first Chain.insert_head Chain.remove Chain.move_to_front
        FreeList.take FreeList.give""",
    "wheel": "Wheel.alloc Wheel.free Wheel.arm Wheel.cancel Wheel.next_deadline Wheel.expire",
    "events": "EventQueue.push EventQueue.pop EventQueue.next_time",
    "mbuf": """Pool.get Pool.get_cluster Pool.free Pool.free_chain Pool.share Pool.trim_front
        Pool.truncate""",
    "packet": "Packet.clear Packet.l4_checksum Packet.copy_headers PacketQueue.pop",
    "tcp_wire": "_read_options _write_options",
    "udp_icmp": "parse_udp build_udp parse_icmp build_icmp",
    "sendq": "SendQueue.append SendQueue.drop SendQueue.chain SendQueue.ends_record SendQueue.next_record",
    "recvq": """RecvQueue.append RecvQueue.read_into RecvQueue.charge RecvQueue.uncharge RecvQueue.space
        Reassembly.insert Reassembly.take""",
    "sackreport": "SackReport.arrived SackReport.covered SackReport.received",
    "tcp_window": """accepted_window receive_window usable_window worth_an_update read_opens measure_segments
        open_window moderate grow_buffer""",
    "tcp_delack": "delay_bsd data_came answer_data delay_ack ack_sent",
    "scoreboard": "Scoreboard.add_block Scoreboard.advance Scoreboard.pipe Scoreboard.next_hole",
    "demux": "Demux.find Demux.find_listener",
    "timewait": "TimeWaitTable.find TimeWaitTable.add TimeWaitTable.remove TimeWaitTable.expire",
    "flight": """SegmentTable.append SegmentTable.split SegmentTable.tag SegmentTable.acknowledge
        SegmentTable.mark_lost SegmentTable.resent Flight.delivered_at""",
    "rtt": "sample smooth rto backoff",
    "prr": "begin reduce end window_of",
    "undo": "possible reduction after_recovery note_reordering",
    "rack": "detect mark adapt rearm schedule_probe set_timer",
    "departures": "room note_segment sent_segments",
    "recovery": "segments_acked tag_blocks clean sample alert send_lost send_again",
    "cubic_count": "update round_trip",
    "congestion": "on_segments after_sending",
    "newreno": "on_ack after_loss",
    "cubic": "on_ack after_loss window_at cube_root",
    "tcp_reply": "respond send_ack_only",
    "tcp_ack": "acknowledge acknowledge_segments new_ack",
    "fast_recovery": "duplicate_ack advancing_ack",
    "tcp_text": "text in_order out_of_order take_payload",
    "tcp_in": "segment_arrives",
    "tcp_check": "acceptable check_bsd check_linux trim_left trim_right cut_linux",
    "persist": "begin shut shrank force set_persist",
    "nagle": "worth_sending short_worth holds_back short_waits",
    "bursts": "current_mss cut one_burst burst",
    "tcp_build": "blank transmit stamp fill_sack",
    "tcp_sent": "sent note_sent count_sent note_limits what_limits",
    "tcp_emit": "emit add_options add_text push_linux mark_ecn offer_window point_at_urgent",
    "holes": "find_hole choose_hole send_hole skip_sacked",
    "tcp_out": "tcp_output restart_after_idle send_one begin cut_at_record flags_of place_syn place_fin",
    "ipfw_table": "Table.find Table.exact",
    "ipfw_rows": "DynRows.hash_of DynRows._over DynRows.left DynRows._live DynRows._admits",
    "ipfw_age": "DynAging._near DynAging.busy",
    "ipfw_dyn": "DynTable.find DynTable.lookup DynTable.update DynTable._acknowledged",
    "ipfw_codel": "Flow.put Flow.pop Flow.leave Flow._begin Flow._stands Flow._drop Flow._mark step",
    "ipfw_sched": "FlowList.push FlowList.shift FairCodel.take FairCodel.put bucket",
    "ipfw_skip": "SkipIndex.locate SkipIndex.next _value _lowest",
    "ipfw_pattern": """Patterns._argument Patterns._fits Patterns._address Patterns._in_ranges Patterns._tcp
        Patterns._header _flags_fit _tcp_options _ip_options""",
    "ipfw_match": """Rules._count Rules.check Rules._pass_over Rules._control Rules._decided Rules._jump
        Rules._look Rules._install _may_answer""",
    "ct_table": """ConnTable.hash_of ConnTable.expired ConnTable.left ConnTable.find ConnTable.fetch ConnTable.insert
        ConnTable.detach ConnTable.release ConnTable.reap ConnTable._room""",
    "ct_room": "ConnRoom.seen ConnRoom.seen_first ConnRoom.seen_no_more ConnRoom.kill ConnRoom._make_room",
    "ct_age": "ConnAge.refresh ConnAge.start ConnAge.removed ConnAge.gc ConnAge._sweep ConnAge._purge",
    "ct_window": """TcpWindows.window TcpWindows.options TcpWindows._begins TcpWindows._misfit _judge _advance
        _count_repeats end_of""",
    "tcp_track": "kind_of TcpTracker.new TcpTracker._remember TcpTracker._reset TcpTracker._invalid _settle",
    "conntrack": "Conntrack.ports_of Conntrack.turned Conntrack._node_of Conntrack._datagram",
    "nf_match": """PortRange.ports_fit PortRange.test TcpMatch.has_option IcmpMatch.test Multiport.test
        StateMatch.state_fits StateMatch.test ConntrackMatch.keys_fit MarkMatch.test AddressType.test
        AddressRange.test Length.test Ttl.test Tos.test""",
    "nf_rate": "Limit.test Statistic.test KeyTable.find KeyTable.add HashTable.below HashLimit.test",
    "nf_recent": "Recent.test RecentTable.seen RecentTable.hits RecentTable.reap",
    "nf_count": "ConnLimit.clean ConnLimit.put ConnLimit.test",
    "nf_target": """put_word put_tcp_word Reject.apply NatTarget.apply NoTrack.apply Mark.apply
        ConnMark.apply SetTos.apply SetTtl.apply""",
    "nf_rules": "Face.fits Rule.fits",
}
"""The functions of each module of `_fast`. One that does not exist is a failure."""


@pytest.fixture(scope="session")
def pages() -> dict[str, Future]:
    return annotate.many(HOT)


@pytest.mark.timeout(300)  # the first test waits for many modules: a second or two for each
@pytest.mark.parametrize("module", HOT)
def test_hot_functions_do_not_touch_python(pages: dict[str, Future], module: str):
    pages[module].result()
    found = annotate.touches(annotate.FAST / f"{module}.py")
    wrong = [f"no function {name}" for name in HOT[module].split() if name not in found]
    for name in HOT[module].split():
        for line, calls in found.get(name, {}).items():
            wrong.append(f"{module}.py:{line} in {name} calls {' '.join(calls)}")
    assert not wrong, "\n".join(wrong)


SAMPLE = '''
import cython

_U32 = cython.declare(cython.uint, 0xFFFFFFFF)


@cython.ccall
@cython.exceptval(check=False)
def clean(a: cython.uint, n: cython.uint) -> cython.uint:
    """Has no line that calls Python."""
    return (a + n) & _U32


@cython.ccall
@cython.exceptval(check=False)
def wide(a: cython.uint) -> cython.uint:
    total: cython.uint = a
    total = total & 0xFFFFFFFF
    return total


@cython.cclass
class Thing:
    @cython.ccall
    def undeclared(self, n: cython.int) -> cython.int:
        x = [n]
        return x[0]


if not cython.compiled:

    def only_interpreted():
        return {}
'''


def test_a_line_that_touches_python_is_seen(tmp_path: Path):
    source = tmp_path / "sample.py"
    source.write_text(SAMPLE)
    found = annotate.touches(source, tmp_path / "out")
    line = SAMPLE.splitlines().index("    total = total & 0xFFFFFFFF") + 1
    assert found["clean"] == {}
    assert list(found["wide"]) == [line]
    assert len(found["Thing.undeclared"]) == 2
    assert "only_interpreted" not in found


def test_a_page_is_made_again_when_its_source_changes(tmp_path: Path):
    source = tmp_path / "sample.py"
    source.write_text("def f(x):\n    return x\n")
    assert "f" in annotate.touches(source, tmp_path)
    page = tmp_path / "sample.html"
    made = page.stat().st_mtime_ns
    annotate.annotated(source, tmp_path)
    assert page.stat().st_mtime_ns == made
    source.write_text("def g(x):\n    return x + 1\n")
    assert annotate.touches(source, tmp_path)["g"]


def test_what_cython_refuses_is_an_error(tmp_path: Path):
    source = tmp_path / "sample.py"
    source.write_text("def f(:\n")
    with pytest.raises(AssertionError, match=r"(?s)cython sample.py:.*Error compiling"):
        annotate.annotated(source, tmp_path)
