"""What the doctor finds where code locations have different connections files."""

from collections.abc import Iterator

from usage_assets.cli.findings import Finding, Level
from usage_assets.config.settings import Settings
from usage_assets.models.due import ASSETS
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.ledger import STATEMENTS
from usage_assets.warehouse.migrate import create_or_alter

STATED = "select distinct connection, shard from ledger.assets order by all"
LOCATIONS = "select name from ledger.statements where name like 'assets%'"
SAME = "give all code locations the same connections file, and restart them, the main one first"


def different_files(settings: Settings, warehouse: Warehouse) -> Iterator[Finding]:
    """Find connections that another code location states otherwise than the file here. Raises WarehouseError.

    A location that has never stated anything is no finding: it may be about to start.
    """
    here = {each.name: each.shard for each in settings.connections()}
    with warehouse.transaction(keep=False) as database:
        for table in (ASSETS, STATEMENTS):
            create_or_alter(database, table)
        stated = database.execute(STATED).fetchall()
        locations = {name.partition(":")[2] or None for (name,) in database.execute(LOCATIONS).fetchall()}
    if not any((*here.values(), *(shard for _, shard in stated))):
        return
    for connection, shard in stated:
        where = f"shard {shard}" if shard else "no shard"
        if connection not in here:
            text = f"the code location of {where} runs {connection}, which the connections file here lacks"
        elif here[connection] != shard:
            own = f"shard {here[connection]}" if here[connection] else "no shard"
            text = f"{connection} is in {own} here, but its code location states {where}"
        else:
            continue
        yield Finding(Level.WARN, "shards", f"{text}: {SAME}")
    known = {connection for connection, _ in stated}
    for connection, own_shard in here.items():
        if connection not in known and own_shard in locations:
            where = f"shard {own_shard}" if own_shard else "no shard"
            text = f"no code location states {connection}, which is in {where} here, so none of its days is due"
            yield Finding(Level.WARN, "shards", f"{text}: {SAME}")
