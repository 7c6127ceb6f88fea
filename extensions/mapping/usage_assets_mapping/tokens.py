"""The words of a JQ program, and those that must not run. Nothing here runs JQ.

The rules are those of jq 1.8's lexer. A program is refused where they could be read in two ways, so that nothing runs
that was read differently here.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from usage_assets_mapping.errors import MappingError

REFUSED = frozenset(
    ("debug", "env", "get_jq_origin", "get_prog_origin", "get_search_list", "halt", "halt_error", "import", "include")
) | {"input", "input_filename", "input_line_number", "inputs", "modulemeta", "stderr"}
"""Names that read files, other input or the environment, write, or end the program."""
ALLOWED_INTERNAL = "__loc__"
BREAK = "__jq"
"""The key of the errors by which jq ends a ``label``. Whoever raises one is not heard to fail."""
OPENING = {")": "(", "]": "[", "}": "{"}
_CODE = re.compile(
    r"""(?P<space>[ \t\n]+)
    | (?P<comment>\#[^\n]*)
    | (?P<quote>")
    | (?P<field>\.[A-Za-z_]\w*)
    | (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<format>@\w+)
    | (?P<name>(?:[A-Za-z_]\w*::)*[A-Za-z_]\w*)
    | (?P<mark>\?//=?|//=?|\.\.|[-+*/%|=!<>]=|.)""",
    re.ASCII | re.VERBOSE,
)
_TEXT = re.compile(r"""(?P<text>(?:[^"\\]|\\[^(])+)|(?P<opens>\\\()|(?P<quote>")""", re.DOTALL)


class Token(NamedTuple):
    """A word of a program."""

    kind: str
    """``field`` (``.name``), ``name``, ``number``, ``format``, ``text`` (in a string), ``quote`` or ``mark``."""
    text: str
    at: int
    """Where it begins."""


def tokens_of(program: str) -> Iterator[Token]:
    """Yield the words of a program, also those that are interpolated into strings. Comments and spaces are left out.

    Raises MappingError for what jq's versions read differently.
    """
    opened: list[str] = []
    at, in_text = 0, False
    while at < len(program):
        found = (_TEXT if in_text else _CODE).match(program, at)
        if not found:
            raise MappingError(f"a text is not closed: {program[at:]!r}")
        kind, text = str(found.lastgroup), found.group()
        if kind == "comment" and text.endswith("\\"):
            raise MappingError(r"a comment ends with \, and versions of jq differ about where it ends: remove it")
        if kind not in ("comment", "space"):
            yield Token(kind, text, at)
        at = found.end()
        if kind == "quote":
            in_text = not in_text
        elif kind == "opens":
            opened.append(text)
            in_text = False
        elif kind == "mark" and text in "([{":
            opened.append(text)
        elif kind == "mark" and text in OPENING and opened:
            in_text = opened.pop() == r"\(" and text == ")"


def refuse_unsafe(program: str) -> None:
    """Raise MappingError for a program that names what an expression must not use.

    ``.env``, ``{env: 1}`` and ``"env"`` are data.
    """
    if any(each < " " and each not in "\t\n" for each in program):
        raise MappingError("the expression has a control character: remove it")
    found = [*tokens_of(program), Token("mark", "", len(program))]
    for before, token, after in zip([found[-1], *found], found, found[1:], strict=False):
        if BREAK in token.text:
            raise MappingError(f"{BREAK} must not be used: jq leaves first and limit with it, and gives nothing")
        if token.kind != "name":
            continue
        if before.text == "$":
            if token.text == "ENV" or (token.text.startswith("__") and token.text != ALLOWED_INTERNAL):
                raise MappingError(f"${token.text} must not be used: an expression sees the answer only")
        elif token.text in REFUSED and (after.text != ":" or before.text == "def"):
            raise MappingError(f"{token.text} must not be used: an expression sees the answer only")
