"""The end of a chain of pages: whatever a provider or Port answers, reading it ends."""

from collections.abc import Hashable, Iterable

MOST_OF_A_LIST = 10_000
"""Pages of a list of people, keys, projects or entities."""


class EndlessError(Exception):
    """A chain of pages that does not end, or that does not say how it goes on."""


class Chain:
    """The pages of one answer, as they come. Each but the last must bring something, and a token that is new."""

    def __init__(self, most: int, empty: str = "") -> None:
        """``most``: how many pages there can be. ``empty``: why one page may be empty though others follow."""
        self.most, self.empty = most, empty
        self._tokens: set[str] = set()
        self._items: set[Hashable] = set()
        self._pages = 0

    def follow(self, token: str | None, items: Iterable[Hashable]) -> str:
        """Return the token of the next page, given what tells the items of this page apart. Raises EndlessError."""
        found = set(items)
        self._pages += 1
        if not token:
            raise EndlessError("has_more is true, but no page token is given")
        if token in self._tokens:
            raise EndlessError("the page token repeats")
        if not found and not self.empty:
            raise EndlessError("a page is empty, though others follow")
        if found and found <= self._items:
            raise EndlessError("the page repeats")
        if self._pages >= self.most:
            raise EndlessError(f"others follow after {self.most:,} pages, and there cannot be so many")
        self.empty = self.empty if found else ""
        self._tokens.add(token)
        self._items |= found
        return token
