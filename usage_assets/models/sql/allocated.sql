-- one row per billed row of a source in costs.daily_costs and API key and user that it is for: whole, or in parts by
-- what they used of what it bills (native: its first step that knows of anybody counts)
select
  costs.connection,
  costs.provider,
  costs.usage_date,
  costs.source_table,
  coalesce(parts.native_part, costs.native_amount) as native_amount,
  costs.native_unit,
  costs.currency,
  coalesce(parts.usd_part, costs.amount_usd) as amount_usd,
  costs.usd_reason,
  costs.model,
  costs.usage_type,
  costs.project_id,
  costs.workspace_id,
  if(parts.bill is null, costs.user_id, parts.user_id) as user_id,
  if(parts.bill is null, costs.api_key_id, parts.api_key_id) as api_key_id,
  costs.line_item,
  costs.cost_type,
  costs.token_type,
  costs.service_tier,
  costs.context_window,
  costs.inference_geo,
  costs.charge_frequency,
  case
    when parts.is_stated then 'stated'
    when parts.bill is not null then parts.unit
    when costs.api_key_id is not null
      or costs.user_id is not null
      or list_has_all(string_split(costs.grouped_by, ','), ['api_key_id', 'user_id'])
      then 'stated'
    else 'unattributed'
  end as allocation,
  parts.basis,
  parts.units,
  parts.all_units,
  costs.native_amount as billed_amount
from costs.daily_costs as costs
left join (
  with
  used as (
    select
      *,
      [user_id, api_key_id] as tie,
      sum(units) over (partition by connection, usage_date, bill, step)::bigint as all_units
    from (
      from native
      union all by name
      select null::boolean as is_stated
      where false
    )
    qualify step = min(step) over (partition by connection, usage_date, bill)
  ),
  shares as (
    select
      *,
      share_of(native_amount, units, all_units) as native_share,
      share_of(amount_usd, units, all_units) as usd_share
    from used
  )
  select
    *,
    part_of(native_share, connection, usage_date, bill, tie) as native_part,
    part_of(usd_share, connection, usage_date, bill, tie) as usd_part
  from shares
) as parts
  on parts.connection = costs.connection
  and parts.usage_date = costs.usage_date
  and parts.bill = costs.rowid
where costs.cost_basis = 'billed'
