-- at most 5 % of what a day is billed has neither an API key nor a person (a refund counts as what it gives back)
select
  connection,
  usage_date,
  concat_ws(' ', 'what is attributed of the', native_unit, 'billed in', currency, '(' || round(100 * share, 1) || ' %)')
    as total,
  billed as expected,
  attributed as found
from (
  select
    connection,
    usage_date,
    native_unit,
    currency,
    sum(native_amount) as billed,
    coalesce(sum(native_amount) filter (where allocation <> 'unattributed'), 0) as attributed,
    coalesce(sum(abs(native_amount)) filter (where allocation <> 'unattributed'), 0) / sum(abs(native_amount)) as share
  from costs.allocated_costs
  group by connection, usage_date, native_unit, currency
)
where share < 0.95
