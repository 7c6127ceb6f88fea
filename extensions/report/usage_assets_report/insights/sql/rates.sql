-- one row per scope and exchange rate that its billed amounts of some days were valued with in USD
-- reads: costs.counted_costs, costs.rates_used
select distinct
  scope.kind as kind,
  scope.id as id,
  currency,
  rate,
  source,
  valid_from
from (
  select
    currency,
    rate,
    source,
    valid_from,
    unnest([
      {'kind': 'all', 'id': ''},
      {'kind': 'connection', 'id': connection},
      {'kind': 'team', 'id': team},
      {'kind': 'project', 'id': project_id},
      {'kind': 'workspace', 'id': workspace_id},
      {'kind': 'user', 'id': user_id},
      {'kind': 'model', 'id': model},
      {'kind': 'model', 'id': family},
      {'kind': 'api_key', 'id': coalesce(api_key_id, api_key_name)}
    ]) as scope
  from costs.counted_costs
  join costs.rates_used using (connection, usage_date, source_table, currency)
  where counted_in = 'USD' and usage_date between $first and $last
)
where scope.id is not null
