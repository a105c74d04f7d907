"""Hashes against published vectors and against straightforward implementations."""

import random

import pytest

from pystack._fast import hashing
from pystack._fast.columns import column

M = 2**64
K0, K1 = 0x0706050403020100, 0x0F0E0D0C0B0A0908

# SipHash-2-4 of 00, 00 01, 00 01 02, … under the key 00 01 … 0f: from the authors' reference vectors.
VECTORS = {
    0: "310e0edd47db6f72",
    1: "fd67dc93c539f874",
    2: "5a4fa9d909806c0d",
    3: "2d7efbd796666785",
    4: "b7877127e09427cf",
    5: "8da699cd64557618",
    6: "cee3fe586e46c9cb",
    7: "37d1018bf50002ab",
    8: "6224939a79f5f593",
    15: "e545be4961ca29a1",
}


def plain_sip(k0: int, k1: int, data: bytes) -> int:
    """SipHash-2-4, written down from section 2 of the paper."""
    v = [
        k0 ^ 0x736F6D6570736575,
        k1 ^ 0x646F72616E646F6D,
        k0 ^ 0x6C7967656E657261,
        k1 ^ 0x7465646279746573,
    ]

    def rotl(x: int, n: int) -> int:
        return (x << n | x >> (64 - n)) % M

    def half(a: int, b: int, c: int, d: int, s: int, t: int) -> None:
        v[a] = (v[a] + v[b]) % M
        v[c] = (v[c] + v[d]) % M
        v[b] = rotl(v[b], s) ^ v[a]
        v[d] = rotl(v[d], t) ^ v[c]
        v[a] = rotl(v[a], 32)

    def rounds(n: int) -> None:
        for _ in range(n):
            half(0, 1, 2, 3, 13, 16)
            half(2, 1, 0, 3, 17, 21)

    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) % 256])
    for i in range(0, len(padded), 8):
        m = int.from_bytes(padded[i : i + 8], "little")
        v[3] ^= m
        rounds(2)
        v[0] ^= m
    v[2] ^= 0xFF
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def plain_lookup3(words: list[int], initval: int) -> int:
    """hashword() of lookup3.c, from its description, over Python integers."""
    u32 = 2**32

    def rot(x: int, k: int) -> int:
        return (x << k | x >> (32 - k)) % u32

    s = [(0xDEADBEEF + 4 * len(words) + initval) % u32] * 3
    rest = list(words)
    while len(rest) > 3:
        for i in range(3):
            s[i] = (s[i] + rest.pop(0)) % u32
        for turn, k in enumerate([4, 6, 8, 16, 19, 4]):
            x, y, z = turn % 3, (turn + 1) % 3, (turn + 2) % 3
            s[x] = (s[x] - s[z]) % u32 ^ rot(s[z], k)
            s[z] = (s[z] + s[y]) % u32
    if rest:
        for i, word in enumerate(rest):
            s[i] = (s[i] + word) % u32
        for turn, k in enumerate([14, 11, 25, 16, 4, 14, 24]):
            x, y = (turn + 2) % 3, (turn + 1) % 3
            s[x] = ((s[x] ^ s[y]) - rot(s[y], k)) % u32
    return s[2]


def words_of(values: list[int]) -> memoryview:
    col = column("I", max(1, len(values)))
    for i, value in enumerate(values):
        col[i] = value
    return col


@pytest.mark.parametrize(("length", "digest"), VECTORS.items())
def test_siphash_gives_the_reference_vectors(length: int, digest: str) -> None:
    want = int.from_bytes(bytes.fromhex(digest), "little")
    assert hashing.siphash_bytes(K0, K1, memoryview(bytes(range(length)))) == want
    assert plain_sip(K0, K1, bytes(range(length))) == want


def test_sip1_gives_the_reference_vector_of_8_octets() -> None:
    want = int.from_bytes(bytes.fromhex(VECTORS[8]), "little")
    assert hashing.sip1(K0, K1, K0) == want


def test_word_forms_equal_the_octet_form() -> None:
    rnd = random.Random(2)
    for _ in range(50):
        k0, k1, *abc = (rnd.getrandbits(64) for _ in range(5))
        data = b"".join(w.to_bytes(8, "little") for w in abc)
        for n, got in [
            (8, hashing.sip1(k0, k1, abc[0])),
            (16, hashing.sip2(k0, k1, *abc[:2])),
            (24, hashing.sip3(k0, k1, *abc)),
        ]:
            assert got == plain_sip(k0, k1, data[:n])
            assert got == hashing.siphash_bytes(k0, k1, memoryview(data[:n]))


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 63, 64, 255, 256, 257, 1000])
def test_octets_of_any_length(n: int) -> None:
    data = random.Random(n).randbytes(n)
    assert hashing.siphash_bytes(M - 1, 1, memoryview(data)) == plain_sip(M - 1, 1, data)
    backwards = memoryview(data)[::-1]
    assert hashing.siphash_bytes(1, M - 1, backwards) == plain_sip(1, M - 1, data[::-1])


@pytest.mark.parametrize("count", range(11))
@pytest.mark.parametrize("initval", [0, 1, 0x80000000, 0xFFFFFFFF])
def test_jenkins_hash32_is_lookup3(count: int, initval: int) -> None:
    rnd = random.Random(count)
    for values in ([rnd.getrandbits(32) for _ in range(count)], [0xFFFFFFFF] * count, [0] * count):
        assert hashing.jenkins_hash32(words_of(values), count, initval) == plain_lookup3(
            values, initval
        )


def test_nothing_hashes_to_the_start_value() -> None:
    # lookup3.c says of hashword: "case 0: nothing left to add"; the start is 0xdeadbeef + length + initval.
    assert hashing.jenkins_hash32(words_of([]), 0, 0) == 0xDEADBEEF
    assert hashing.jenkins_hash32(words_of([]), 0, 0xDEADBEEF) == 0xBD5B7DDE  # published: driver5()


@pytest.mark.parametrize(("initval", "published"), [(0, 0x17770551), (1, 0xCD628161)])
def test_the_published_hash_of_thirty_octets(initval: int, published: int) -> None:
    """driver5() of lookup3.c hashes this text by octets: as words, two octets of padding come off initval."""
    text = b"Four score and seven years ago" + bytes(2)
    values = [int.from_bytes(text[i : i + 4], "little") for i in range(0, 32, 4)]
    assert hashing.jenkins_hash32(words_of(values), 8, (initval - 2) % 2**32) == published


def test_jhash_3words_is_lookup3_of_three() -> None:
    rnd = random.Random(3)
    cases = [(0, 0, 0, 0), (0xFFFFFFFF,) * 4]
    cases += [tuple(rnd.getrandbits(32) for _ in range(4)) for _ in range(50)]  # type: ignore[misc]
    for a, b, c, initval in cases:
        want = plain_lookup3([a, b, c], initval)
        assert hashing.jhash_3words(a, b, c, initval) == want
        assert hashing.jenkins_hash32(words_of([a, b, c]), 3, initval) == want


def test_one_changed_bit_changes_about_half_of_the_hash() -> None:
    rnd = random.Random(4)
    for _ in range(20):
        a, b = rnd.getrandbits(64), rnd.getrandbits(64)
        flipped = hashing.sip2(1, 2, a, b) ^ hashing.sip2(1, 2, a ^ (1 << rnd.randrange(64)), b)
        assert 10 < flipped.bit_count() < 54
