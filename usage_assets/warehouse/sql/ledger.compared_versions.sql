-- each version next to the one before, and whether it answers another question; null, of earlier releases, differs from nothing.
-- Another scope or filter makes other totals. Another grouping does not: where they differ by more than what a provider's own
-- arithmetic loses in the rows of both (core.money.TOLERANCE a row), the provider has restated the day as well
-- reads: ledger.partition_versions
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
