-- the rates that a source's costs were computed with, and the lack of one; as ledger.due_days finds them in accounting
select distinct
  connection,
  usage_date,
  'rate of ' || if(native_unit = 'credits', coalesce(workspace_id, '?'), coalesce(currency, '?')) as input,
  usd_rate::varchar || ' ' || usd_rate_source as value
from costs.daily_costs
where source_table = $part and native_unit in ('credits', 'major units', 'minor units')
