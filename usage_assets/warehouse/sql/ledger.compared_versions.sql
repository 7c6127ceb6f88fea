-- each version next to the one before, and whether it answers another question; null, of earlier releases, differs from nothing.
-- Another scope or filter makes other totals. Another grouping does not: where they differ by more than what a provider's own
-- arithmetic loses in the rows of both (core.money.TOLERANCE a row), the provider has restated the day as well
-- reads: ledger.partition_versions
-- columns: ledger.partition_versions
-- column row_count_before: Rows of the day in the version before; null: none before [rows]
-- column day_totals_before: day_totals of the version before
-- column total_units_before: total_units of the version before
-- column filters_before: filters of the version before
-- column question_before: question of the version before
-- column grouped_by_before: grouped_by of the version before
-- column was_open: Whether the day was not over yet at the version before
-- column asked_otherwise: Whether the version answers another question than the one before: another scope or filter, or another grouping
--   with the same totals
create or replace view ledger.compared_versions as
select
    *,
    case
        when filters is distinct from filters_before or question <> question_before then true
        when grouped_by <> grouped_by_before then len(list_filter(
            json_keys(day_totals_before) || json_keys(day_totals),
            lambda total: (day_totals ->> total) is distinct from (day_totals_before ->> total) and coalesce(
                try(
                    abs(
                        try_cast(coalesce(day_totals ->> total, '0') as decimal(38, 24))
                        - try_cast(coalesce(day_totals_before ->> total, '0') as decimal(38, 24))
                    ) > (row_count_before + row_count) * 0.000000000001
                ),
                true
            )
        )) = 0
        else false
    end as asked_otherwise
from (
    select
        *,
        lag(row_count) over writes as row_count_before,
        lag(day_totals) over writes as day_totals_before,
        lag(total_units) over writes as total_units_before,
        lag(filters) over writes as filters_before,
        lag(question) over writes as question_before,
        lag(grouped_by) over writes as grouped_by_before,
        lag(is_open) over writes as was_open
    from ledger.partition_versions
    window writes as (partition by connection, table_name, slice, usage_date order by version)
)
