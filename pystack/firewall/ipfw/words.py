"""The words of a command, and how ipfw compares them."""

from __future__ import annotations

from collections.abc import Callable

from pystack.firewall.ipfw.errors import EX_USAGE, Refusal

Warn = Callable[[str], None]


def matches(word: str, full: str, warn: Warn) -> bool:
    """Is a word the beginning of another one? It is accepted, with a complaint if it is not all of it."""
    if not full.startswith(word):
        return False
    if word != full:
        warn(f"DEPRECATED: '{word}' matched '{full}' as a sub-string")
    return True


class Words:
    """What is left of a command. `warn`: hears of words that are cut short."""

    def __init__(self, words: list[str], warn: Warn):
        self._words = words
        self._at = 0
        self._seen = 0
        self.warn = warn

    def __bool__(self) -> bool:
        return self._at < len(self._words)

    def __len__(self) -> int:
        return len(self._words) - self._at

    def looked_at(self) -> str | None:
        """The word that was asked for last, if there is one: where a command is refused, that is why."""
        return self._words[self._seen] if self._seen < len(self._words) else None

    def peek(self, ahead: int = 0) -> str | None:
        """A word that is still to come, if there is one."""
        at = self._seen = self._at + ahead
        return self._words[at] if at < len(self._words) else None

    def take(self) -> str:
        """The next word."""
        word = self._words[self._at]
        self._seen = self._at
        self._at += 1
        return word

    def taken(self) -> str:
        """The word that was taken last."""
        self._seen = self._at - 1
        return self._words[self._at - 1]

    def back(self) -> None:
        """The last word is still to come."""
        self._at -= 1

    def rest(self) -> list[str]:
        """All words that are left."""
        left = self._words[self._at :]
        self._at = len(self._words)
        return left

    def need(self, complaint: str, status: int = EX_USAGE) -> str:
        """The next word, which is not taken; there has to be one."""
        at = self._seen = self._at
        if at >= len(self._words):
            raise Refusal(status, complaint)
        return self._words[at]

    def put(self, word: str) -> None:
        """Another word stands where the next one was."""
        self._words[self._at] = word

    def at(self, full: str) -> bool:
        """Is the next word this one, or a beginning of it?"""
        self._seen = self._at
        if self._at == len(self._words) or not full.startswith(self._words[self._at]):
            return False
        return matches(self._words[self._at], full, self.warn)

    def skip(self, full: str) -> bool:
        """Take the next word if it is this one."""
        at = self._seen = self._at
        words = self._words
        if at == len(words) or not full.startswith(words[at]):
            return False  # asked for most words, of most rules
        self._at += matches(words[at], full, self.warn)
        return True
