"""How long a function of the product may be."""

import ast
from pathlib import Path

import usage_assets

PRODUCT = Path(usage_assets.__file__).parent
MOST_LINES = 60
"""With signature and docstring: a function that can be read without scrolling."""


def test_no_function_is_longer_than_a_screen() -> None:
    long = {
        f"{path.relative_to(PRODUCT)}: {node.name}": lines
        for path in sorted(PRODUCT.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > MOST_LINES
    }
    assert not long
