-- what is billed, by what a [[shared_cost]] can name, in whole units of the currency; and which of them shares it: the first that
-- covers a cost without a cost center
-- reads: costs.allocated_costs_by_key_named, accounting.shared_costs, accounting.currencies
-- columns: costs.allocated_costs_by_key_named
-- column api_key: Id of the API key, or its name where it has no id
-- column currency: Currency; XXX: not stated
-- column shared_by: Position of the entry that shares it; null: none does
-- column amount: Sum of the amounts in whole units [currency; billed; within currency]
create or replace view costs.billed_to_share as
with
billed as (
  select
    usage_date,
    connection,
    provider,
    team,
    cost_center,
    project_id,
    workspace_id,
    coalesce(api_key_id, api_key_name) as api_key,
    coalesce(currency, 'XXX') as currency,
    sum(
      case native_unit
        when 'cents' then amount_usd
        when 'minor units'
          then (trunc(native_amount)::decimal(24, 0) * scale)::decimal(38, 24)
            + ((native_amount - trunc(native_amount))::decimal(24, 24) * scale)::decimal(38, 24)
        else native_amount
      end
    ) as amount
  from (
    select costs.*, coalesce(minor_unit, 0.01)::decimal(5, 4) as scale
    from costs.allocated_costs_by_key_named as costs
    left join accounting.currencies using (currency)
    where cost_basis = 'billed'
  )
  group by all
)
select billed.*, min(position) as shared_by
from billed
left join accounting.shared_costs as entries
  on billed.cost_center is null
  and usage_date between valid_from and coalesce(valid_until, date '9999-12-31')
  and scope_id is not distinct from case scope_type
    when 'connection' then connection
    when 'team' then team
    when 'project' then project_id
    when 'workspace' then workspace_id
    when 'api_key' then api_key
  end
group by all;

comment on view costs.billed_to_share is
  'One row per connection, day, currency and what an entry of shared costs can name: what is billed, and the entry that shares it'
