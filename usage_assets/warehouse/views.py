"""Views: made where they are not there as this release has them."""

import re
from collections.abc import Iterable
from functools import cache
from hashlib import sha256

import duckdb

from usage_assets.core.schema import columns, declarations
from usage_assets.warehouse.tables import quoted

_VIEW = re.compile(r"create or replace view (\S+)")


def make_views(connection: duckdb.DuckDBPyConnection, statements: Iterable[str]) -> None:
    """Make the views that are not there as the statements have them, over tables as they are declared now.

    The comment of a statement's first view tells. To make them anyway would change the file each time it is opened, and
    to write that takes as long as the rest of most transactions.
    """
    listed = "select schema_name || '.' || view_name, coalesce(comment, '') from duckdb_views() where not internal"
    stored = dict(connection.execute(listed).fetchall())
    for statement in statements:
        names, version = _VIEW.findall(statement), _version(statement)
        if stored.keys() >= {*names} and stored[names[0]].endswith(version):
            continue
        connection.execute(statement)
        comment = dict(connection.execute(listed).fetchall())[names[0]]
        connection.execute(f"comment on view {names[0]} is {quoted(f'{comment} {version}'.lstrip())}")


@cache
def _version(views: str) -> str:
    """Which release's views these are. A view of all columns must be made again where its table gains one."""
    read = [columns(row) for name, row in sorted(declarations().items()) if name in views]
    return f"[{sha256(f'{views}{read}'.encode()).hexdigest()[:12]}]"
