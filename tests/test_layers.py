"""The house rules that an import, a literal or an operator can break.

Reads sources only, runs at either speed. Each rule also has a test that shows it failing, because a lint
that cannot fail says nothing.
"""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "pystack"
FAST = PACKAGE / "_fast"

FAST_ORDER = """
    consts nf_consts columns seq wirebytes rng hashing
    mtu_search mbuf_zones mbuf_octets mbuf mbuf_books chain wheel alarms events
    config
    packet port fdio tcp_wire udp_icmp ip4 vnet landing frag trace record transit wire routes
    ipfw_ops ipfw_table ipfw_ground ipfw_rows ipfw_age ipfw_dyn ipfw_skip ipfw_pattern ipfw_match ipfw_passing
    ct_table ct_room ct_age ct_extend ct_states ct_window tcp_track conntrack passing
    nf_hook nf_match nf_rate nf_recent nf_count nf_target nf_rules nat
    ipfw_kinds ipfw_links ipfw_nat
    ring sendq recvq sackreport sack scoreboard sackseen rates flight portmap demux timewait
    tcp_state draft hostcache peer_metrics tcb source_routes files ipstat icmp_limit tcp_mem space reports ports rtt
    newreno cubic cubic_count congestion prr host_memory
    undo rack dupacks frto ecn accept_filter syncache departures syncookies tfo tcp_window
    tcp_delack persist nagle bursts tcp_build tcp_sent tcp_emit holes mtu_probe tcp_out
    fast_recovery recovery loss_timers
    tcp_reply tcp_close tcp_handshake tcp_ack tcp_text tcp_check tcp_listen tcp_halfopen tcp_synsent tcp_in
    blackhole probes tcp_timers tcp_icmp udp
    ip_output internet netfilter ipfw_codel ipfw_sched ipfw_pipe ipfw
    tfo_calls opening commands datagrams core endpoint fabric flood crowd device
""".split()
"""A module of `_fast` knows only those before it."""

LEVELS = (
    {"_fast"},
    set(),  # the host level: everything that is not named elsewhere
    {"packetdrill"},  # plays on a machine, so that a network can offer it
    {"network", "runner", "pystack"},  # `pystack` is the package itself: `import pystack`
    {"services", "traffic", "control", "server", "replay", "ipfw_replay"},
    {"scenarios"},
    {"report", "cli", "bench", "sweeping", "pytest_plugin", "__main__"},
)
"""Outside `_fast`, a module knows its own level and those before it. `__init__` knows all."""
HOST = 1

FORBIDDEN = set(
    "asyncio datetime logging os random secrets select selectors signal socket subprocess threading "
    "time uuid".split()
)
"""What would bring a clock, chance or the outside into the core."""
DRIVER = {"fdio"}
"""The one module that reads and writes descriptors (docs/adr/0015); only `device` may use it."""

SEQUENCE_FILES = set(
    "tcp_wire tcp_track ct_window tcb tcp_state newreno cubic congestion sendq recvq sackreport sack scoreboard "
    "syncache syncookies timewait tcp_window tcp_delack persist nagle bursts tcp_build tcp_sent "
    "tcp_emit holes tcp_out tcp_reply tcp_close tcp_listen "
    "tcp_handshake tcp_halfopen tcp_ack tcp_text tcp_check tcp_synsent tcp_in tcp_timers".split()
)
SEQUENCE_NAMES = set(
    "seq ack seg_seq seg_ack seq_end snd_una snd_nxt snd_max snd_up snd_wl1 snd_wl2 rcv_nxt rcv_adv "
    "rcv_up rcv_wup iss irs recover snd_recover last_ack_sent high_rxt sack_left sack_right".split()
)
"""Names that hold sequence numbers wherever they stand; only `seq.py` orders or subtracts them."""


def fast_modules() -> list[Path]:
    return sorted(FAST.glob("[!_]*.py"))


def outer_modules() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if FAST not in p.parents)


def imports(text: str, module: str) -> Iterator[str]:
    """Dotted names that a source imports or cimports, `from a import b` as `a.b`; module is its own.

    Imports for type checkers only (`if TYPE_CHECKING:`) do not count: nothing runs.
    """
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.removeprefix("cython.cimports.") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".")[: -node.level]
                base = ".".join([*parents, base] if base else parents)
            base = base.removeprefix("cython.cimports.")
            yield from (f"{base}.{alias.name}" for alias in node.names)


CIMPORT = re.compile(r"^[ \t]*(?:from[ \t]+(\S+)[ \t]+)?cimport[ \t]+(\([^)]*\)|[^\n#]*)", re.M)


def cimports(text: str) -> Iterator[str]:
    """The same of a .pxd."""
    for base, names in CIMPORT.findall(text):
        base = base and re.sub(
            r"^\.$", "pystack._fast", re.sub(r"^\.(?=\w)", "pystack._fast.", base)
        )
        for name in names.strip("()").split(","):
            word = name.split(" as ")[0].strip()
            yield f"{base}.{word}" if base else word


def fast_name(dotted: str) -> str | None:
    """The module of `_fast` that an imported name lies in."""
    parts = dotted.split(".")
    return parts[2] if parts[:2] == ["pystack", "_fast"] and len(parts) > 2 else None


def level(name: str) -> int:
    return next((n for n, names in enumerate(LEVELS) if name in names), HOST)


def against_order(module: str, dotted: Iterator[str]) -> list[str]:
    """What a module of `_fast` may not import, as sentences."""
    own = FAST_ORDER.index(module) if module in FAST_ORDER else -1
    wrong = []
    for name in dotted:
        if name.split(".")[0] in FORBIDDEN and module not in DRIVER:
            wrong.append(f"{module} imports {name}: the core is a function of what it is given")
        elif name.startswith("pystack") and not name.startswith("pystack._fast"):
            wrong.append(f"{module} imports {name}: the core knows nothing outside _fast")
        elif (other := fast_name(name)) and other != module:
            if other not in FAST_ORDER:
                wrong.append(f"{module} imports _fast.{other}: put it into the order")
            elif FAST_ORDER.index(other) > own:
                wrong.append(f"{module} imports _fast.{other}, which stands after it")
    return wrong


def against_levels(module: str, dotted: Iterator[str]) -> list[str]:
    """What a module outside `_fast` (`pystack.a.b`) may not import."""
    own = level(module.split(".")[1])
    wrong = []
    for name in dotted:
        parts = name.split(".")
        if parts[0] == "pystack":
            exported = len(parts) < 2 or parts[1].istitle()  # `from pystack import Network`
            other = "pystack" if exported else parts[1]
            if level(other) > own:
                wrong.append(f"{module} imports {name}: imports point one way")
    return wrong


def sequence_arithmetic(text: str) -> Iterator[str]:
    """Places that order or subtract sequence numbers without `seq`."""

    def is_sequence(node: ast.expr) -> bool:
        name = getattr(node, "attr", None) or getattr(node, "id", "")
        return name.lstrip("_") in SEQUENCE_NAMES

    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
            for op, pair in zip(node.ops, pairwise(operands), strict=True):
                if isinstance(op, ast.Lt | ast.Gt | ast.LtE | ast.GtE) and any(
                    map(is_sequence, pair)
                ):
                    yield f"line {node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
            if is_sequence(node.left) or is_sequence(node.right):
                yield f"line {node.lineno}: {ast.unparse(node)}"


def wide_literals(text: str) -> Iterator[str]:
    """Integer constants of more than 31 bits inside functions (trap 1): Python objects when compiled.

    Functions that exist only uncompiled (`if not cython.compiled:`) are free, and so is `__init__`,
    which runs once.
    """
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "not cython.compiled":
            node.body = []
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and function.name != "__init__":
            for node in (n for statement in function.body for n in ast.walk(statement)):
                value = constant(node)
                if value is not None and not -(2**31) <= value < 2**31:
                    yield f"line {node.lineno}: {ast.unparse(node)} in {function.name}"


def constant(node: ast.AST) -> int | None:
    """The value of an integer literal, or of a shift or power of literals, which Cython folds."""
    if isinstance(node, ast.Constant):
        return node.value if type(node.value) is int else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.LShift | ast.Pow):
        left, right = constant(node.left), constant(node.right)
        if left is not None and right is not None and 0 <= right < 256:
            return left << right if isinstance(node.op, ast.LShift) else left**right
    return None


def test_every_module_of_fast_has_its_place():
    unknown = [p.stem for p in fast_modules() if p.stem not in FAST_ORDER]
    assert not unknown, f"put it into the order in {Path(__file__).name}: {unknown}"
    assert len(FAST_ORDER) == len(set(FAST_ORDER))


LONG_EXCEPT = re.compile(r"^[ ]+cp?def [a-z ]*\blong long (\w+)\([^)]*\) except -", re.M)
"""What a class of another module cannot override: Cython 3.3 writes `-1LLLL` there, which is not C."""


def test_no_long_long_answers_errors_by_a_number():
    found = [
        f"{path.stem}: {name}"
        for path in sorted(FAST.glob("*.pxd"))
        for name in LONG_EXCEPT.findall(path.read_text())
    ]
    assert found == []
    assert LONG_EXCEPT.findall("    cdef unsigned long long f(self,\n int x) except -1\n") == ["f"]
    assert (
        LONG_EXCEPT.findall("    cpdef long long f(self) noexcept\n    cdef int g() except -1")
        == []
    )


DECLARED = re.compile(
    r"^(?:cdef (?:unsigned )?(?:int|long long)|from \S+ cimport) ([\w, ]+)$", re.M
)
"""The lines of a .pxd that bind constants of the module, or names of others."""


def idle(source: str, face: str) -> list[str]:
    """Names that a .pxd declares for nobody: neither its module nor another of its lines speaks of them."""
    names = [name for line in DECLARED.findall(face) for name in line.split(", ")]
    return [n for n in names if len(re.findall(rf"\b{n}\b", f"{source}\n{face}")) < 2]


@pytest.mark.parametrize("path", fast_modules(), ids=lambda p: p.stem)
def test_a_pxd_declares_what_is_used(path: Path):
    assert idle(path.read_text(), path.with_suffix(".pxd").read_text()) == []


def test_idle_names_are_seen():
    face = "from a cimport B, C\ncdef int X, Y\ncdef long long Z\n\ncdef int f(B b) except -1\n"
    assert idle("def f(b):\n    return X\n", face) == ["C", "Y", "Z"]


def test_every_module_of_fast_has_its_pxd():
    assert [p.name for p in fast_modules() if not p.with_suffix(".pxd").is_file()] == []
    assert [p.name for p in FAST.glob("*.pxd") if not p.with_suffix(".py").is_file()] == []


@pytest.mark.parametrize("path", fast_modules(), ids=lambda p: p.stem)
def test_the_core_imports_to_the_left(path: Path):
    pxd = path.with_suffix(".pxd")
    names = [*imports(path.read_text(), f"pystack._fast.{path.stem}")]
    names += cimports(pxd.read_text()) if pxd.is_file() else ()
    assert against_order(path.stem, iter(names)) == []


@pytest.mark.parametrize(
    "path", outer_modules(), ids=lambda p: str(p.relative_to(PACKAGE).with_suffix(""))
)
def test_the_rest_imports_one_way(path: Path):
    module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    if module != "pystack.__init__":
        assert against_levels(module, imports(path.read_text(), module)) == []


@pytest.mark.parametrize("path", fast_modules(), ids=lambda p: p.stem)
def test_no_wide_literal_in_a_function(path: Path):
    assert list(wide_literals(path.read_text())) == []


@pytest.mark.parametrize(
    "path", [p for p in fast_modules() if p.stem in SEQUENCE_FILES], ids=lambda p: p.stem
)
def test_only_seq_orders_sequence_numbers(path: Path):
    assert list(sequence_arithmetic(path.read_text())) == []


@pytest.mark.parametrize(
    ("module", "source", "wrong"),
    [
        ("chain", "from pystack._fast.core import Core", 1),
        ("chain", "from cython.cimports.pystack._fast import core", 1),
        ("chain", "def f():\n    import time", 1),
        ("chain", "from pystack.host import Host", 1),
        ("chain", "from .core import Core", 1),
        ("chain", "from pystack._fast.nowhere import x", 1),
        ("core", "from pystack._fast import chain, seq\nimport cython, hashlib", 0),
    ],
)
def test_the_order_can_be_broken(module: str, source: str, wrong: int):
    assert len(against_order(module, imports(source, f"pystack._fast.{module}"))) == wrong


@pytest.mark.parametrize(
    "source",
    [
        "from pystack._fast.core cimport Core",
        "from pystack._fast cimport core",
        "from .core cimport Core as C",
        "from . cimport core",
        "cimport pystack._fast.core as c",
        "from pystack._fast.core cimport (\n    Core,\n)",
    ],
)
def test_the_order_can_be_broken_by_a_pxd(source: str):
    assert against_order("chain", cimports(source))
    assert against_order("core", cimports(source.replace("core", "chain"))) == []


@pytest.mark.parametrize(
    ("module", "source", "wrong"),
    [
        ("pystack.sysctl", "from pystack.network import Network", 1),
        ("pystack.sysctl", "import pystack", 1),
        ("pystack.views.netstat", "from ..cli import main", 1),
        ("pystack.services.http", "from pystack.scenarios import incident", 1),
        ("pystack.scenarios.one", "import pystack\nfrom pystack.traffic import http", 0),
        ("pystack.sysctl", "if TYPE_CHECKING:\n    from pystack.network import Network", 0),
        ("pystack.cli.run", "from pystack import Network\nimport os", 0),
    ],
)
def test_the_levels_can_be_broken(module: str, source: str, wrong: int):
    assert len(against_levels(module, imports(source, module))) == wrong


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("t.snd_nxt < t.snd_una", 1),
        ("0 < seq <= rcv_nxt", 2),
        ("self._rcv_nxt - ack", 1),
        ("n - t.iss", 1),
        ("before(seq, t.rcv_nxt) and n - 1 < 3 and seq == ack", 0),
    ],
)
def test_sequence_arithmetic_is_seen(source: str, wrong: int):
    assert len(list(sequence_arithmetic(source))) == wrong


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("def f(x):\n    return x & 0xFFFFFFFF", 1),
        ("def f(x):\n    return x + (1 << 32)", 1),
        ("class C:\n    def f(self):\n        self.x = 10**10", 1),
        (
            "_U32 = cython.declare(cython.uint, 0xFFFFFFFF)\ndef f(x=2**40):\n    return 0x7FFFFFFF",
            0,
        ),
        ("if not cython.compiled:\n    def f(x):\n        return x & 0xFFFFFFFF", 0),
    ],
)
def test_wide_literals_are_seen(source: str, wrong: int):
    assert len(list(wide_literals(source))) == wrong
