-- limits of members, in whole dollars for each billing cycle of a month. The one that applies counts; an override of 0 is none
-- reads: cursor.spend
select
  connection,
  'cursor.spend' as source,
  'user' as scope_type,
  id as scope_id,
  'month' as period,
  'USD' as currency,
  coalesce(effective_limit_dollars, monthly_limit_dollars, nullif(hard_limit_override_dollars, 0))::decimal(36, 2) * 100
    as minor_units,
  true as enforced
from cursor.spend
where valid_to is null
  and coalesce(effective_limit_dollars, monthly_limit_dollars, nullif(hard_limit_override_dollars, 0)) > 0
