"""lark's contextual lexer with less to do for each token: a third of the time of parsing a script.

One regular expression for each state of the parser takes blanks, comments and the token together, and nobody
counts lines (`Source` knows them). What it does not match goes the ordinary way, to lark's own errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from lark import Token
from lark.lexer import BasicLexer, ContextualLexer, LexerState


class _StateLexer(BasicLexer):
    """The tokens that can come in one state."""

    _take: Callable[[str, int], re.Match[str] | None] | None = None

    def next_token(self, lex_state: LexerState, parser_state: Any = None) -> Token:
        take = self._take or self._make()
        at = lex_state.line_ctr
        match = take(lex_state.text.text, at.char_pos)
        if match is None:
            return super().next_token(lex_state, parser_state)
        kind = match.lastgroup or ""
        lex_state.last_token = token = Token(kind, match[kind], match.start(kind))
        at.char_pos = match.end()
        return token

    def _make(self) -> Callable[[str, int], re.Match[str] | None]:
        """`terminals` are in the order of their priority already. A comment is never given back."""
        ignored, wanted = [], []
        for terminal in self.terminals:
            pattern = terminal.pattern.to_regexp()
            if terminal.name in self.ignore_types:
                ignored.append(pattern)
            else:
                wanted.append(f"(?P<{terminal.name}>{pattern})")
        tokens = "|".join(wanted) or "(?!)"
        self._take = re.compile(f"(?:{'|'.join(ignored)})*+(?:{tokens})").match
        return self._take


class QuickLexer(ContextualLexer):
    """For Lark's option `_plugins`, as `ContextualLexer`."""

    BasicLexer = _StateLexer
