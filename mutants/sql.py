"""Small faults of SQL files, as text: what is left must still parse."""

import re
from collections.abc import Iterator

import duckdb

_APART = re.compile(r"--[^\n]*|'(?:[^']|'')*'")
"""Comments and texts: no fault is put into them."""
_FAULTS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("comparison", r"(?<= )(>=|<=|<|>|=|<>)(?= )", {">=": ">", "<=": "<", ">": "<=", "<": ">=", "=": "<>", "<>": "="}),
    ("arithmetic", r"(?<= )([+\-*])(?= )", {"+": "-", "-": "+", "*": "+"}),
    ("aggregate", r"\b(sum|min|max)(?=\()", {"sum": "max", "min": "max", "max": "min"}),
    ("union", r"\bunion all\b", {"union all": "union"}),
    ("join", r"\bleft join\b", {"left join": "join"}),
    ("condition", r"\n *and [^\n()]+?(?= *\n)", {}),  # also the second column of a join
    ("filter", r"(?<=\bwhere )[^\n()]+?(?= *\n)", {}),
    ("column", r"(?<=using \()[^()]+, \w+(?=\))", {}),
    ("coalesce", r"\bcoalesce\((?=([^(),]+),[^()]+\))", {}),
)


def faults(text: str) -> Iterator[tuple[str, str, str, str]]:
    """The faults of a file: operator, what is there, what is put there, and the file with it."""
    if not _parses(text):
        return
    code = _APART.sub(lambda found: (" " if found[0].startswith("-") else "'") * len(found[0]), text)
    for operator, pattern, instead in _FAULTS:
        for found in re.finditer(pattern, code):
            begin, end = found.span()
            if operator == "coalesce":
                end = code.index(")", end) + 1
                new = found[1]
            elif operator == "column":
                new = found[0].rpartition(", ")[0]
            else:
                new = instead.get(found[0], "true" if operator == "filter" else "")
            changed = text[:begin] + new + text[end:]
            if _parses(changed):
                yield operator, text[begin:end], new, changed


def _parses(text: str) -> bool:
    """Whether DuckDB takes it, with a name where something is filled in."""
    try:
        duckdb.extract_statements(re.sub(r"\{\w+\}", "filled", text))
    except duckdb.Error:
        return False
    return True
