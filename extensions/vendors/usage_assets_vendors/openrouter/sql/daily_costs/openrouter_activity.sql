-- one row per connection, day, kind of money, workspace, model and provider behind it; own keys of other providers are
-- in those providers' bills: notional here, never billed
with moneys as (
  unpivot (
    select
      connection,
      usage_date,
      workspace_id,
      model,
      provider_name,
      usage as billed,
      nullif(byok_usage_inference, 0) as notional
    from openrouter.activity
  )
  on billed, notional
  into name cost_basis value amount
)
select
  connection,
  'openrouter' as provider,
  usage_date,
  'openrouter.activity' as source_table,
  cost_basis,
  sum(amount) as native_amount,
  'dollars' as native_unit,
  'USD' as currency,
  model,
  workspace_id,
  concat_ws(', ', provider_name, model) as line_item,
  '' as grouped_by
from moneys
group by connection, usage_date, cost_basis, model, workspace_id, line_item
