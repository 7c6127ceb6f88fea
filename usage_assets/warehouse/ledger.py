"""The ledger tables: the versions of each table's days, and the entities that Port has acknowledged."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from usage_assets.core.schema import ConnectionRow, Row, SeedRow, TableRow, column
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import View

TEXT_CHARACTERS = 300
"""How much is remembered of what is wrong with a day."""
StoredIn = Annotated[str, column("Table that the day is stored in")]
SetName = Annotated[str, column("Set of files, as in ledger.bill_sets")]
Account = Annotated[str, column("Port account: API address and client id")]


class PartitionVersion(Row):
    """One row a write of one day of one table.

    The newest row of a day says what the table holds now; the others say what it held before. A write that changed
    nothing is recorded too (``changed`` false): two equal fetches are how a day proves settled.

    Columns that a release has added are null in the versions of releases before it.
    """

    table = "ledger.partition_versions"
    grain = ("table_name", "slice", "version")

    table_name: Annotated[str, column("Table that was written")]
    slice: Annotated[str, column("Part of the table that the write replaces beside connection and day; usually empty")]
    version: Annotated[int, column("1 for the first write of the day, then rising by 1")]
    content_hash: Annotated[str, column("SHA-256 over the day's sorted rows, fetch times excluded")]
    changed: Annotated[bool, column("Whether the content differs from the version before")]
    changed_run_id: Annotated[str, column("Dagster run that wrote this content first")]
    row_count: Annotated[int, column("Rows of the day", unit="rows", additive=False)]
    day_totals: Annotated[str, column("Totals of the day as JSON: name -> exact decimal as text")]
    total_units: Annotated[str | None, column("What each of the totals counts, as JSON: name -> unit")]
    is_open: Annotated[bool, column("Whether the day was not over yet when it was fetched")]
    settling_days: Annotated[
        int | None,
        column("How long the provider may revise a day after its end; null in derived tables", unit="days"),
    ]
    filters: Annotated[str | None, column("Filters of the connection, as JSON; null: none")]
    question: Annotated[
        str | None,
        column("Digest of the request settings: scope, filters and policy for people; null in derived tables"),
    ]
    grouped_by: Annotated[str | None, column("Dimensions that the provider granted; null: no rows, or none to grant")]
    inputs: Annotated[
        str | None,
        column(
            "What a derived day was computed from, as JSON: source table -> version of its day, lookup -> when it last "
            "named an id of this day or an earlier one, currency or workspace -> rate, query -> digest; null in raw "
            "tables"
        ),
    ]
    has_sums: Annotated[bool | None, column("Whether the day's sums by key were stored with it; only of costs")]
    answered_at: Annotated[
        datetime | None, column("When the answer was first stored, where it came from the archive; null: written_at")
    ]
    run_id: Annotated[str, column("Dagster run of this write")]
    written_at: Annotated[datetime, column("When the write was made")]


class FailedCheck(Row):
    """One row per asset, check and day that the check found wrong when it last looked at the day.

    A day that the check finds right, or can no longer compare, loses its row. The check passes when no row is left,
    whatever days its run looks at.
    """

    table = "ledger.failed_checks"
    grain = ("asset", "check_name")

    asset: Annotated[str, column("Key of the asset")]
    check_name: Annotated[str, column("Check")]
    severity: Annotated[str, column("ERROR or WARN")]
    text: Annotated[str, column(f"What is wrong; at most {TEXT_CHARACTERS} characters")]
    run_id: Annotated[str, column("Dagster run that found it")]
    found_at: Annotated[datetime, column("When it was found")]


class LateDay(Row):
    """One row per table and day that its provider did not serve yet when it was last asked, and per table and day that
    was to be computed from such a day.

    A raw day is requested again from ``again_at`` on. A row whose day was stored since is deleted when the table's next
    one is written; ``ledger.awaited_days`` leaves it out.
    """

    table = "ledger.late_days"
    grain = ("table_name", "slice")

    table_name: Annotated[str, column("Table that lacks the day")]
    slice: Annotated[str, column("Part of the table; usually empty")]
    reason: Annotated[str, column("What the provider said, or which table is waited for, in one line")]
    asked_at: Annotated[datetime, column("When it was asked for")]
    again_at: Annotated[
        datetime,
        column("Next time to ask: after half the time since the day's end, but at least 1 hour and at most 24"),
    ]
    run_id: Annotated[str, column("Dagster run that asked")]
    is_broken: Annotated[
        bool | None, column("Whether it waits for something that somebody has to mend; null: by an earlier release, no")
    ]


class BillSet(ConnectionRow):
    """One row per set of bill files that exists, or that has stored days.

    ``files`` is what the last run listed. If ``files_read`` differs, its days are due (ledger.bill_states).
    """

    table = "ledger.bill_sets"
    grain = ("table_name", "set_name")

    table_name: Annotated[str, column("Table that its charges are stored in")]
    set_name: Annotated[str, column("Path below the location; a new delivery of the set keeps it")]
    files: Annotated[str | None, column("Digest of path, size and time of its files; null: the files are gone")]
    files_read: Annotated[str | None, column("The same digest when all of the set was last read; null: never")]
    manifest: Annotated[str | None, column("Its manifest; null: none")]
    period_first: Annotated[date | None, column("First day that its path names; null: none")]
    period_last: Annotated[date | None, column("Last day that its path names")]
    first_day: Annotated[date | None, column("First day that it covers, as it was last read; null: none")]
    last_day: Annotated[date | None, column("Last day that it covers")]
    missing: Annotated[str | None, column("Why it is incomplete; null: it is complete")]
    changed_at: Annotated[datetime, column("When a run first found it like this")]
    run_id: Annotated[str, column("Dagster run that found it like this")]


class BillDay(Row):
    """One row per day and set of files that covers it or has charges of it, or did when the day was stored.

    Two rows, if the set corrects a day that it covered until the day was archived.

    ``stored`` is written with the rows of the day. If ``said`` differs, the day is due (ledger.bill_states).
    """

    table = "ledger.bill_days"
    grain = ("table_name", "set_name", "covers")

    table_name: StoredIn
    set_name: SetName
    said: Annotated[
        str | None, column("Digest of what the set says about the day, when it was last read; null: nothing any more")
    ]
    covers: Annotated[bool, column("Whether it covers the day; false: it has charges of the day")]
    stored: Annotated[str | None, column("Digest of what is stored of it; null: nothing")]
    archived_at: Annotated[
        datetime | None,
        column("When a run found it gone after the time that files are kept (keeps); null: it is not archived"),
    ]


class BillAmount(Row):
    """One row per day, set of files and currency: what the set delivered, when it was last read.

    All charges are in it, those of services that are left out, too. costs.delivered compares it with what is stored.
    """

    table = "ledger.bill_amounts"
    grain = ("table_name", "set_name", "currency")

    table_name: StoredIn
    set_name: SetName
    currency: Annotated[str, column("Currency, ISO 4217")]
    amount: Annotated[
        Decimal, column("What is billed, each charge rounded as it is stored", unit="currency", kind="billed")
    ]


class AcceptedBillDay(Row):
    """One row per withdrawn day of a bill that somebody has accepted: it has no charges from then on.

    It holds until the day is stored again. Then it stays, as a record.
    """

    table = "ledger.accepted_bill_days"
    grain = ("table_name", "accepted_at")

    table_name: StoredIn
    accepted_at: Annotated[datetime, column("When")]
    accepted_by: Annotated[str, column("User of the machine on which the command ran")]
    withdrawn: Annotated[str, column("What was accepted: the sets that no longer have the day")]
    day_totals: Annotated[
        str, column("Totals of the day that were stored then, as JSON: name -> exact decimal as text")
    ]
    stored_at: Annotated[datetime | None, column("When the day was stored again; null: it holds")]


class BillState(Row):
    """One row per stored day and set of files of a bill that is not stored as the files are.

    A view over ledger.bill_sets and ledger.bill_days. changed: the set has other files, or says something else about
    the day; it is fetched again. withdrawn: the set no longer has the day, and no other set covers it. accepted: the
    same, and somebody has accepted it; the next run clears the day. archived: its files went after the time for which
    files are kept, and the day stays as it is stored.
    """

    table = "ledger.bill_states"
    grain = ("table_name", "set_name")

    table_name: StoredIn
    set_name: SetName
    state: Annotated[str, column("changed, withdrawn, accepted or archived")]
    waits: Annotated[bool, column("Whether the set is not complete: its days wait for the rest of the delivery")]
    since: Annotated[datetime, column("Since when")]
    because: Annotated[str, column("What is different")]


class PortEntity(Row):
    """One row an entity that Port has acknowledged and that was not deleted since, per Port account."""

    table = "ledger.port_entities"
    grain = ("account", "blueprint", "identifier")

    account: Account
    blueprint: Annotated[str, column("Blueprint")]
    identifier: Annotated[str, column("Identifier of the entity in Port")]
    content_hash: Annotated[
        str,
        column(
            "Hash of what Port has, whose last 8 digits identify the names of properties and relations; mark of a "
            "running push; empty: unknown"
        ),
    ]
    pushed_at: Annotated[datetime, column("When Port acknowledged it")]
    resource: Annotated[str | None, column("Resource of a mapping that it comes from; null: none")] = None


class PushedDay(Row):
    """One row per day of a blueprint that Port has as it is stored, per Port account.

    It is written when nothing of the day differs from what Port has acknowledged, and deleted before anything of the
    day is sent. So a day whose push was interrupted or refused has no row, and ``ledger.due_days`` lists it.
    """

    table = "ledger.pushed_days"
    grain = ("account", "blueprint")

    account: Account
    blueprint: Annotated[str, column("Blueprint")]
    inputs: Annotated[
        str,
        column("What was sent, as JSON: table of entities -> version of its day, query -> digest of the relations"),
    ]
    pushed_at: Annotated[datetime, column("When it was found that Port has it")]


class Naming(ConnectionRow):
    """One row per lookup and first day: from this stored day on, usage has ids that the lookup has named or renamed.

    Days from then on that were computed earlier show an id or an old name. A row that a newer one covers is deleted.
    """

    table = "ledger.namings"
    grain = ("lookup", "first_day")

    lookup: Annotated[str, column("Table of the lookup")]
    first_day: Annotated[date, column("First stored day that has one of the ids")]
    named_at: Annotated[datetime, column("When the names were stored")]


class Statement(SeedRow):
    """One row per part of the configuration that is stored as tables.

    Of several processes, the one that read the configuration last decides what these tables hold.
    """

    table = "ledger.statements"
    grain = ("name",)

    name: Annotated[str, column("accounting (the tables accounting.*), assets (ledger.assets) or assets:shard")]
    read_at: Annotated[datetime, column("When that process read the configuration")]
    digest: Annotated[
        str | None, column("Hash of what it stated; null: not known, so the tables are compared row by row")
    ]
    release: Annotated[str | None, column("Release of usage-assets that it ran; null: one that did not note it")]
    entries: Annotated[
        str | None,
        column("Hash of the entries of the connections file; null: it has none, there is none, or it is not known"),
    ]
    read_state: Annotated[
        str | None,
        column("Of insights: time of the last change of stored days that they know, and how many there were"),
    ] = None


class IssuedStatement(TableRow):
    """One row per issued month and cost center: the digests of its files, and what it added up to.

    It has no names of persons and no days, so forgetting a person, removing a connection and retention leave it as it
    is. A row never changes: what is restated later is a correction in the next month that is issued.
    """

    table = "ledger.issued_statements"
    grain = ("month", "cost_center")

    month: Annotated[date, column("First day of the month")]
    cost_center: Annotated[str | None, column("Cost center; null: what has none")]
    issued_at: Annotated[datetime, column("When the month was issued")]
    accepted: Annotated[str | None, column("What was not final and was accepted; null: everything was final")]
    csv_sha256: Annotated[str, column("SHA-256 of the CSV file")]
    xlsx_sha256: Annotated[str, column("SHA-256 of the XLSX file")]
    pdf_sha256: Annotated[str, column("SHA-256 of the PDF file")]
    sums: Annotated[
        str,
        column(
            "What it added up to, as JSON with exact numbers as text: amount of each connection and currency, what is "
            "payable of each currency, and corrections of earlier months"
        ),
    ]


class PortPush(ConnectionRow):
    """One row a push to Port that this database knows of, per Port account.

    Port holds the id of a connection's last push in `ai_connection.last_push`. Where that id is not here, another
    database or a newer copy of this one has pushed: what Port holds is read back before anything is sent.
    """

    table = "ledger.port_pushes"
    grain = ("account", "push")

    account: Account
    push: Annotated[str, column("Id of the push; empty: Port is being read back, until then no id is known")]
    began_at: Annotated[datetime, column("When it began")]


class Restatement(Row):
    """One row a total of a day that a write found changed since the write before, and one for a write that changed rows
    but no total.

    A view over ledger.partition_versions. The first version of a day is no restatement: nothing was said before.
    ``cause`` tells what the provider restated from what we did ourselves. A figure of 10^14 and more is null here, and
    exact in partition_versions.
    """

    table = "ledger.restatements"
    grain = ("table_name", "slice", "version", "total")

    table_name: Annotated[str, column("Table that was written")]
    slice: Annotated[str, column("Part of the table that was written; usually empty")]
    version: Annotated[int, column("Version of the day that this write made")]
    cause: Annotated[
        str | None,
        column(
            "provider: its answer changed; running: the day was not over then; question: the request settings changed, "
            "or the provider granted other dimensions and the totals agree; archive: an archived answer was read "
            "again, without a request; derived: computed again from stored rows; null: an earlier release found it"
        ),
    ]
    change: Annotated[
        str,
        column("rose, fell; appeared, vanished: nothing was added up before, after; rows: they differ, but no total"),
    ]
    total: Annotated[str | None, column("Total of the day, or row_count; null where change is rows")]
    unit: Annotated[str | None, column("What the total counts; null: an earlier release found it")]
    before: Annotated[
        Decimal | None,
        column("The total before; null: nothing was added up", unit="unit", within=("table_name", "total")),
    ]
    after: Annotated[
        Decimal | None, column("The total now; null: nothing is added up", unit="unit", within=("table_name", "total"))
    ]
    difference: Annotated[
        Decimal | None,
        column("after - before, exact; what is null counts as 0", unit="unit", within=("table_name", "total")),
    ]
    found_at: Annotated[datetime, column("When the write was made")]
    run_id: Annotated[str, column("Dagster run that found it")]


class DayState(Row):
    """One row per stored day of a raw table: whether the provider may still change it.

    A view over ledger.partition_versions. Derived days are as settled as the raw days that they were computed from.

    open: the day was not over at its last fetch. settled: two fetches, at least 24 hours apart and the later one after
    the settling time (``settling_days`` of the connection's newest write), had the same content, and so has every fetch
    since. provisional: all other days. One fetch after the settling time makes a day final by the provider's word
    (``final_at``). A settled day stays settled if the archive is read again, which is not a fetch, or if the content
    differs because the request settings changed. If the provider granted other dimensions and the totals do not agree,
    the provider has changed the day.
    """

    table = "ledger.day_states"
    grain = ("table_name", "slice")

    table_name: Annotated[str, column("Raw table")]
    slice: Annotated[str, column("Part of the table; usually empty")]
    state: Annotated[str, column("open, provisional or settled")]
    first_fetched_at: Annotated[
        datetime | None, column("First fetch that had the present content; null: it came from the archive alone")
    ]
    last_fetched_at: Annotated[datetime | None, column("Last fetch, which had it still")]
    final_at: Annotated[
        datetime | None,
        column("First fetch of the present content after the settling time: final by the provider's word"),
    ]
    settled_at: Annotated[datetime | None, column("Fetch that settled the day")]


VERSIONS = Table(PartitionVersion)
NAMINGS = Table(Naming)
FAILED_CHECKS = Table(FailedCheck)
LATE_DAYS = Table(LateDay)
ACCEPTED_BILL_DAYS = Table(AcceptedBillDay)
STATEMENTS = Table(Statement)
PORT_ENTITIES = Table(PortEntity)
PUSHED_DAYS = Table(PushedDay)
ISSUED_STATEMENTS = Table(IssuedStatement)
VIEWS = tuple(View(path.read_text()) for path in sorted((Path(__file__).parent / "sql").glob("*.sql")))
