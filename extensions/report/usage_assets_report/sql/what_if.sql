-- title: What if: the same tokens on another model
-- short: {model}: [{usd_change} at list prices with {instead}|{instead}]
-- note: Each row compares what a model was billed (USD) with public list prices of the same tokens: its own (USD list), and those of
--   what [[what_if]] names, or else of the next cheaper model in use (USD list instead). USD change is the difference of the two list
--   prices. USD bill less list is the effect of discounts, long requests and tools. Each token has the price of its own tier, such as
--   batch. A report that does not state the tier counts as standard. USD left out is what the model was billed on days that cannot be
--   compared, and is not in USD. This is an estimate and no offer: quality is not compared. The last rows name the models that cannot
--   be compared.
-- explain: {of_costs} {days} --model {model} --where cost_basis=billed --column amount_usd
with
what_ifs as (
{what_ifs}
)
select
  model,
  instead,
  of_costs,  -- for explain
  provider,
  usd,
  usd_change,
  usd_difference_to_bill,
  usd_list,
  usd_list_instead,
  usd_bill_less_list,
  share_of_bill,
  tiers,
  days,
  days_without_price,
  usd_left_out,
  left_out_because,
  list_of
from what_ifs
