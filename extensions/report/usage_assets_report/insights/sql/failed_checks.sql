-- checks of bills that are errors and fail, by day
select check_name, connection, usage_date, min(text) as text
from ledger.failed_checks
where severity = 'ERROR'
  and usage_date between $first and $last
  and not exists (
    from ledger.assets as assets
    where assets.connection = failed_checks.connection
      and assets.asset = failed_checks.asset
      and starts_with(assets.table_name, 'port_entities.')
  )
group by all
order by all
