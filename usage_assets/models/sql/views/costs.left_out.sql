-- what bills of several products say of those that are no costs here, and why. is_unknown: it is not known whether the product is AI.
-- effective_amount is the same with prepaid charges spread over their use, null where a part of it is not stated
create or replace view costs.left_out as
select
  connection,
  usage_date,
  provider,
  product,
  currency,
  row_count,
  amount,
  effective_amount,
  reason,
  is_unknown
from (
{left_out}
);

comment on view costs.left_out is
  'One row per connection, day, product or service, currency and reason: what is billed and is not in costs.daily_costs'
