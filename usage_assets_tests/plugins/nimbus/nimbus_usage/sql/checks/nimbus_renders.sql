-- costs.daily_costs holds every credit of nimbus.renders
-- sums: native_amount
-- by: native_unit
-- unit: native_unit
select
  connection,
  usage_date,
  'credits' as native_unit,
  credits as native_amount
from nimbus.renders
