"""The leaf modules at both speeds: long random runs, every answer compared."""

from twin.twin import assert_twins


def test_sequence_numbers():
    assert_twins(
        """
        from random import Random
        from pystack._fast import seq
        rnd = Random(1)
        edges = [0, 1, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 2, 2**32 - 1]
        numbers = edges + [rnd.getrandbits(32) for _ in range(60)]
        for a in numbers:
            for b in numbers:
                print(seq.add(a, b), seq.sub(a, b), seq.dist(a, b), seq.maximum(a, b), seq.minimum(a, b),
                      seq.before(a, b), seq.after(a, b), seq.before_eq(a, b), seq.after_eq(a, b),
                      [seq.between(x, a, b) for x in edges])
        """
    )


def test_octets_and_checksums():
    assert_twins(
        """
        from random import Random
        from pystack._fast import wirebytes as wb
        from pystack._fast.columns import column
        rnd = Random(2)
        a, b = column("B", 70_000), column("B", 70_000)
        a[:] = rnd.randbytes(70_000)
        words = a.cast("H")
        for n in [0, 1, 2, 3, 20, 40, 41, 1459, 1460, 9001, 65535]:
            for off in range(6):
                for acc in (0, 1, 0xFFFF, 0xFFFFFFFF):
                    print(wb.csum_add(a, off, n, acc), wb.csum_octets(a, words, off, n, acc),
                          wb.csum_add16(words, off, n // 2, acc), wb.csum_fold(acc))
                wb.copy(b, off + 7, a, off, n)
                print(wb.csum_add(b, 0, 70_000, 0))
        for _ in range(2000):
            o, v = rnd.randrange(69_000), rnd.getrandbits(32)
            wb.put16(a, o, v)
            wb.put32(a, o + 5, v)
            print(wb.be16(a, o), wb.be32(a, o + 3), wb.be32(a, rnd.randrange(69_000)))
        ones = column("B", 400_000)
        ones[:] = b"\\xff" * 400_000
        print(wb.csum_add16(ones.cast("H"), 0, 200_000, 0xFFFFFFFF), wb.csum_add(ones, 1, 9999, 0xFFFFFFFF))
        """
    )


def test_random_numbers():
    assert_twins(
        """
        from pystack._fast.rng import Rng
        for seed in (0, 1, 12345, 2**63, 2**64 - 1):
            rng = Rng(seed)
            print([rng.next64() for _ in range(300)], [rng.next32() for _ in range(300)])
            for n in (0, 1, 2, 7, 1000, 2**31 - 1, 2**31, 2**31 + 1, 3 * 2**30, 2**32 - 1):
                print(n, [rng.below(n) for _ in range(100)])
            for threshold in (0, 1, 2**32, 2**63, 2**64 - 1):
                print(threshold, [rng.chance(threshold) for _ in range(50)])
            fork = rng.fork(b"label").fork(b"again")
            print(fork.seed, [fork.next64() for _ in range(20)], rng.next64())
        """
    )


def test_hashes():
    assert_twins(
        """
        from random import Random
        from pystack._fast import hashing
        from pystack._fast.columns import column
        rnd = Random(3)
        top = [0, 1, 2**63, 2**64 - 1]
        for n in range(400):
            k0, k1, a, b, c = (rnd.choice(top) if n < 60 else rnd.getrandbits(64) for _ in range(5))
            print(hashing.sip1(k0, k1, a), hashing.sip2(k0, k1, a, b), hashing.sip3(k0, k1, a, b, c))
            print(hashing.siphash_bytes(k0, k1, memoryview(rnd.randbytes(n))))
            low = [v & 0xFFFFFFFF for v in (a, b, c, k0)]
            print(hashing.jhash_3words(*low))
            words = column("I", n + 1)
            for i in range(n):
                words[i] = rnd.getrandbits(32) if n > 30 else 0xFFFFFFFF
            print(hashing.jenkins_hash32(words, n, low[0]))
        """
    )


def test_chains_and_free_rows():
    assert_twins(
        """
        from random import Random
        from pystack._fast.chain import Chain, FreeList
        from pystack._fast.columns import column
        rnd = Random(4)
        chain, free, hashes = Chain(8, 100), FreeList(100), column("I", 401)
        live = []
        for step in range(6000):
            what = rnd.random()
            if what < 0.5 or not live:
                row = free.take()
                if row:
                    hashes[row] = rnd.getrandbits(32)
                    chain.insert_head(hashes[row] & chain.mask, row)
                    live.append(row)
            elif what < 0.9:
                row = live.pop(rnd.randrange(len(live)))
                chain.remove(hashes[row] & chain.mask, row)
                free.give(row)
            elif what < 0.99:
                row = rnd.choice(live)
                chain.move_to_front(hashes[row] & chain.mask, row)
            else:
                chain.resize(2 ** rnd.randrange(8), hashes)
                free.limit = rnd.randrange(120)
            if step == 4000:
                chain.grow(400)
                free.grow(400)
            if step % 50 == 0:
                print(list(chain.head), list(chain.next), list(chain.prev), chain.lengths())
            print(row, chain.count, free.used, free.high_water, free.failures, free.limit, free.rows)
        """
    )


def test_timers():
    assert_twins(
        """
        from random import Random
        from pystack._fast.wheel import Wheel
        rnd = Random(5)
        now = 10**15
        wheel = Wheel(2, now, maximum=500)
        rows = []

        def span():
            return rnd.randrange(-3000, 1 << rnd.randrange(12, 56))

        for step in range(8000):
            what = rnd.random()
            if what < 0.3:
                row = wheel.alloc(step & 7, -step)
                if row:
                    rows.append(row)
                    wheel.arm(row, now + span())
            elif what < 0.5 and rows:
                wheel.arm(rnd.choice(rows), now + span())
            elif what < 0.6 and rows:
                wheel.cancel(rnd.choice(rows))
            elif what < 0.7 and rows:
                wheel.free(rows.pop(rnd.randrange(len(rows))))
            elif what < 0.8:
                now = min(max(now, wheel.next_deadline()), 2**62)
            else:
                now = min(now + (1 << rnd.randrange(48)), 2**62)
            fired = 0
            while what > 0.7 and (fired := wheel.expire(now)):
                print(now, fired, wheel.kind(fired), wheel.owner(fired), wheel.deadline(fired))
                if rnd.random() < 0.3:
                    wheel.arm(fired, now + span() % 5000)
            print(wheel.count, wheel.next_deadline(), wheel.capacity, wheel.rows.used, wheel.rows.failures)
        print([(row, wheel.armed(row), wheel.deadline(row)) for row in range(1, wheel.capacity + 1)])
        """
    )


def test_events():
    assert_twins(
        """
        from random import Random
        from pystack._fast.events import EventQueue
        rnd = Random(6)
        queue = EventQueue()
        for step in range(20_000):
            if rnd.random() < (0.6 if step < 10_000 else 0.4):
                time = rnd.choice([step, rnd.randrange(100), rnd.randrange(-(2**63), 2**63)])
                queue.push(time, step & 15, step)
            else:
                print(queue.pop(), queue.time, queue.kind, queue.arg)
            print(queue.count, queue.high_water, queue.next_time())
        queue.clear()
        print(queue.pop(), len(queue), queue.next_time())
        """
    )


def test_syn_flood():
    assert_twins(
        """
        from pystack import Network
        from pystack.traffic import SynFlooder
        for profile in ("linux-6", "freebsd-10", "freebsd-14"):
            net = Network(seed=3)
            web = net.host("web", "192.0.2.1/24", profile=profile)
            tap = net.tap("192.0.2.254/24")
            net.link(tap, web, delay="1ms")
            web.route("0.0.0.0/0", via="192.0.2.254")
            listener = web.socket()
            listener.bind(("", 80))
            listener.listen(16)
            SynFlooder(net, tap, ("192.0.2.1", 80), rate=2500).start()
            net.run(for_="300ms")
            print(net.trace_hash(), web.stats["sc_added"], web.stats["sc_sendcookie"])
        """
    )


def test_portmap():
    """Every word boundary, both strides, places that give way to others."""
    assert_twins(
        """
from pystack._fast.portmap import PortMap
from pystack._fast.rng import Rng

bits, rng = PortMap(0xFFFFFFFE), Rng(4)
for i in range(4000):
    bits.use(1024 + rng.below(64512))
for port in range(1, 65536, 61):
    print(bits.next_clear(0, port, 65535, 1), bits.next_clear(0, port, min(65535, port + 200), 2))
for i in range(3000):
    laddr, faddr, port = 0xFFFFFFFF - rng.below(4), 0x80000000 + rng.below(99), rng.below(65536)
    if rng.below(3):
        bits.mark(laddr, port, faddr, 80)
    else:
        bits.freed(laddr, port, faddr, 80)
    print(bits.marks, bits.row_of(laddr, faddr, 80))
bits.reserve([1, 63, 64, 65535])
print([port for port in range(65536) if bits.is_reserved(port)])
"""
    )


def test_icmp_limit():
    assert_twins(
        """
from pystack._fast.config import Config
from pystack._fast.core import Core

cfg = Config()
cfg.icmp_ratemask, cfg.icmp_ratelimit, cfg.icmp_msgs_per_sec = 0x1818, 250_000_000, 1000
core = Core(cfg, 7)
limit, stat = core.icmp_limit, core.ipstat
for i in range(4000):
    core.settle(i * 700_001)
    print(limit.may_send(core, stat, (3, 0, 11)[i % 3], i % 7, 0xC0000200 + core.rng.below(9)), limit.credit)
print(stat.icmp_limit_host, stat.icmp_limit_all)
"""
    )
