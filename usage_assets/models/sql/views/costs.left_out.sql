-- what bills of several products say of those that are no costs here, and why. is_unknown: it is not known whether the product is AI.
-- effective_amount is the same with prepaid charges spread over their use, null where a part of it is not stated
-- column connection: Connection: one provider organization or ChatGPT workspace
-- column usage_date: UTC day of the usage
-- column provider: Provider of the connection
-- column product: Product and SKU, or service
-- column currency: Currency, ISO 4217
-- column row_count: Rows or charges that are added up [rows]
-- column amount: What is billed [currency; billed]
-- column effective_amount: The same with prepaid charges spread over their use; null where a part of it is not stated
--   [currency; effective]
-- column reason: Why it is not in costs.daily_costs
-- column is_unknown: Whether nobody knows if the product is AI
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
