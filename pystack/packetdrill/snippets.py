"""Code snippets: Python of a script, about what TCP_INFO said at certain moments.

A snippet may compute, assert and print. It reaches no file, process, clock or module: it is compiled with the
few builtins below, may not name anything that begins with two underscores, and ends after `BUDGET` instructions.
"""

from __future__ import annotations

import ast
import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

from pystack.packetdrill.verdict import Failure, Skip

BUDGET = 500_000
"""Instructions that the snippets of a script may run together."""
_LARGEST = 1 << 20
"""Most bits of a number and most elements of what a snippet makes at once."""

_STATES = "ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT1 FIN_WAIT2 TIME_WAIT CLOSE CLOSE_WAIT LAST_ACK LISTEN CLOSING"
_BSD_STATES = (
    "CLOSED LISTEN SYN_SENT SYN_RECEIVED ESTABLISHED CLOSE_WAIT FIN_WAIT_1 CLOSING LAST_ACK "
    "FIN_WAIT_2 TIME_WAIT"
)
_LINUX_NUMBERS = (7, 10, 2, 3, 1, 8, 4, 11, 9, 5, 6)
_CONGESTION = ("Open", "Disorder", "CWR", "Recovery", "Loss")
_OPTIONS = {
    "TIMESTAMPS": 1, "SACK": 2, "WSCALE": 4, "ECN": 8, "ECN_SEEN": 16, "SYN_DATA": 32,
}  # fmt: skip
_FREEBSD_OPTIONS = {
    "TIMESTAMPS": 1,
    "SACK": 2,
    "WSCALE": 4,
    "ECN": 8,
    "TOE": 16,
    "TFO": 32,
    "ACE": 64,
}
_MEMINFO = "RMEM_ALLOC RCVBUF WMEM_ALLOC SNDBUF FWD_ALLOC WMEM_QUEUED OPTMEM BACKLOG DROPS"


_OF_THE_TOOL = re.compile(r"tcpi_|tcpv_|bbr_|dctcp_|sk_meminfo|SK_|TCPI_|TCP_")
"""Names that are not the script's own: one of these that is not here is missing, not misspelt."""


@dataclass(frozen=True, slots=True)
class Snippet:
    """A snippet and what was known when its line was reached. `line` is where it begins in the file."""

    text: str
    line: int
    snapshot: Mapping[str, int]


def constants(system: str) -> dict[str, int]:
    """The names that a system's snippets may use besides those of the snapshot."""
    names: dict[str, int] = {}
    if system == "linux":
        names.update({f"TCP_{word}": n for n, word in enumerate(_STATES.split(), 1)})
        names.update({f"TCPI_OPT_{word}": n for word, n in _OPTIONS.items()})
        names.update({f"SK_MEMINFO_{word}": n for n, word in enumerate(_MEMINFO.split())})
    else:
        names.update({f"TCPI_OPT_{word}": n for word, n in _FREEBSD_OPTIONS.items()})
    for n, word in enumerate(_BSD_STATES.split()):
        names[f"TCPI_{word}"] = n if system == "freebsd" else _LINUX_NUMBERS[n]
    names.update({f"TCP_CA_{word}": n for n, word in enumerate(_CONGESTION)})
    return names


# --- what a snippet may do ------------------------------------------------------------------------


def _range(*args: int) -> range:
    found = range(*args)
    if len(found) > _LARGEST:
        raise OverflowError("a range of that many")
    return found


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(base, int) and isinstance(exponent, int):
        if max(base.bit_length(), 1) * abs(exponent) > _LARGEST:
            raise OverflowError("a number of that many digits")
    return base**exponent


def _shift(number: Any, by: Any) -> Any:
    if isinstance(by, int) and by > _LARGEST:
        raise OverflowError("a number of that many digits")
    return number << by


def _times(a: Any, b: Any) -> Any:
    for one, other in ((a, b), (b, a)):
        if isinstance(other, int) and isinstance(one, str | bytes | list | tuple):
            if len(one) * other > _LARGEST:
                raise OverflowError("that many elements")
    if isinstance(a, int) and isinstance(b, int) and a.bit_length() + b.bit_length() > _LARGEST:
        raise OverflowError("a number of that many digits")
    return a * b


_GUARDED: dict[type[ast.operator], str] = {
    ast.Pow: "_power",
    ast.LShift: "_shift",
    ast.Mult: "_times",
}


class _Guard(ast.NodeTransformer):
    """Operators that can make something enormous of two small things become calls that refuse to."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        name = _GUARDED.get(type(node.op))
        if name is None:
            return node
        call = ast.Call(ast.Name(name, ast.Load()), [node.left, node.right], [])
        return ast.copy_location(call, node)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        if type(node.op) not in _GUARDED or not isinstance(node.target, ast.Name):
            return node
        value = ast.BinOp(ast.Name(node.target.id, ast.Load()), node.op, node.value)
        made = ast.Assign([node.target], self.visit(ast.copy_location(value, node)))
        return ast.copy_location(made, node)


_SAFE: dict[str, object] = {
    "True": True, "False": False, "None": None,
    "abs": abs, "all": all, "any": any, "bin": bin, "bool": bool, "dict": dict, "divmod": divmod,
    "enumerate": enumerate, "float": float, "hex": hex, "int": int, "isinstance": isinstance, "len": len,
    "list": list, "map": map, "max": max, "min": min, "range": _range, "repr": repr, "reversed": reversed,
    "round": round, "set": set, "sorted": sorted, "str": str, "sum": sum, "tuple": tuple, "zip": zip,
    "ArithmeticError": ArithmeticError, "AssertionError": AssertionError, "Exception": Exception,
    "KeyError": KeyError, "NameError": NameError, "TypeError": TypeError, "ValueError": ValueError,
}  # fmt: skip
_MODULES: dict[str, object] = {"math": math}
_FORBIDDEN = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await, ast.ClassDef, ast.With)


def _compile(snippet: Snippet, file: str) -> tuple[CodeType, set[str]]:
    """The code of a snippet, and all names that it reads. Raises Failure, Skip."""
    text = _dedent(snippet.text)
    try:
        tree = ast.parse(text, file)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as e:
        raise _failed(snippet.line, e) from None
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, _FORBIDDEN):
            raise Skip(f"{type(node).__name__} in a code snippet")
        if isinstance(node, ast.Import | ast.ImportFrom):
            asked = (
                [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            )
            for name in asked:
                if name not in _MODULES:
                    raise Skip(f"import of {name} in a code snippet")
        for name in (getattr(node, "id", ""), getattr(node, "attr", "")):
            if isinstance(name, str) and name.startswith("_"):
                raise Skip(f"the name {name} in a code snippet")
        if isinstance(node, ast.Attribute) and node.attr in ("format", "format_map"):
            raise Skip(f"{node.attr}() in a code snippet")
        if isinstance(node, ast.Name):
            names.add(node.id)
    ast.increment_lineno(tree, snippet.line - 1)
    guarded = ast.fix_missing_locations(_Guard().visit(tree))
    return compile(guarded, file, "exec"), names


def _dedent(text: str) -> str:
    """Later lines moved left by what they share; the first one was stripped already."""
    lines = text.expandtabs().split("\n")
    rest = [line for line in lines[1:] if line.strip()]
    if not rest or lines[0].rstrip().endswith(":"):
        return text
    shared = min(len(line) - len(line.lstrip()) for line in rest)
    return "\n".join([lines[0], *(line[shared:] for line in lines[1:])])


def _failed(line: int, e: BaseException) -> Failure:
    said = f"{type(e).__name__}: {e}" if str(e) else type(e).__name__
    return Failure(f"error in Python code: {said}", line=line)


class _TooLong(Exception):
    """The budget is used up."""


def run(snippets: Sequence[Snippet], system: str, file: str, say: Callable[[str], None]) -> None:
    """Run all snippets of a script in their order, in one namespace; `say` gets what they print.

    Raises Failure with the line of the file for an exception, Skip for what snippets may not do and for a
    field of TCP_INFO that the machine does not have.
    """
    known = constants(system)
    space: dict[str, object] = {
        "__builtins__": _SAFE | {"print": _printer(say), "__import__": _import},
        "_power": _power,
        "_shift": _shift,
        "_times": _times,
        **known,
    }
    left = BUDGET

    def count(frame: FrameType, event: str, arg: object) -> Any:
        nonlocal left
        frame.f_trace_opcodes = True  # a loop on one line is no new line
        left -= 1
        if left < 0:
            raise _TooLong(f"more than {BUDGET} steps were taken")
        return count

    for snippet in snippets:
        code, names = _compile(snippet, file)
        for name in sorted(names):
            if _OF_THE_TOOL.match(name) and name not in snippet.snapshot and name not in space:
                raise Skip(f"{name} in a code snippet")
        space.update(snippet.snapshot)
        before = sys.gettrace()
        sys.settrace(count)
        try:
            exec(code, space)
        except Exception as e:
            sys.settrace(before)
            raise _failed(_line_of(e, file, snippet.line), e) from None
        finally:
            sys.settrace(before)


def _import(name: str, *_: object) -> object:
    return _MODULES[name]


def _printer(say: Callable[[str], None]) -> Callable[..., None]:
    def show(*values: object, sep: str = " ", end: str = "\n") -> None:
        say(str(sep).join(map(str, values)))

    return show


def _line_of(e: BaseException, file: str, otherwise: int) -> int:
    trace = e.__traceback__
    line = otherwise
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
