-- what a gateway takes a model's use for, beside what a provider bills of the model on that day. A model is a family here; use that did
-- not go through the gateway is in the bill only. billed_usd is null where a part of the bill has no dollar value
-- reads: costs.daily_costs, models.names_in_costs
-- column connection: Connection of the gateway
-- column usage_date: UTC day of the usage
-- column model: Family of the model
-- column billed_by: Provider that bills it
-- column estimated_usd: What the gateway takes the use for [USD; estimated]
-- column billed_usd: What the provider bills for the model on the day, also for use without the gateway; null where a part has no dollar
--   value [USD; billed]
-- column difference_usd: estimated_usd less billed_usd [USD; estimated]
-- column ratio: estimated_usd divided by billed_usd
create or replace view costs.gateways_and_bills as
with gateways as (
{gateways}
),
estimates as (
  select connection, usage_date, named_provider, family as model, sum(amount_usd) as estimated_usd
  from gateways
  join models.names_in_costs using (provider, model)
  group by all
),
bills as (
  select
    usage_date,
    provider as billed_by,
    family as model,
    if(count(*) filter (where amount_usd is null and native_amount <> 0) = 0, sum(amount_usd), null) as billed_usd
  from costs.daily_costs
  join models.names_in_costs using (provider, model)
  where cost_basis = 'billed'
  group by all
)
select
  connection,
  usage_date,
  model,
  billed_by,
  sum(estimated_usd)::decimal(38, 24) as estimated_usd,
  any_value(billed_usd)::decimal(38, 24) as billed_usd,
  (sum(estimated_usd) - any_value(billed_usd))::decimal(38, 24) as difference_usd,
  sum(estimated_usd) / nullif(any_value(billed_usd), 0) as ratio
from estimates
join bills using (usage_date, model)
where named_provider is null
  or named_provider = billed_by
  or named_provider not in (select billed_by from bills)
group by connection, usage_date, model, billed_by;

comment on view costs.gateways_and_bills is
  'One row per gateway connection, day, model and provider that bills it: the estimate, the bill, their difference and ratio'
