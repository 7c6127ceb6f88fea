-- one row per billed row of anthropic.cost_report, API key, account and step, with how much they used of what it bills;
-- none where nobody's use is known. The newer report states whose each cost is, so its rows have the use of their API key, or
-- without one of their account; none where two rows have a key. The older one bills by workspace and description, never by key:
-- * Tokens go with those of the same day, workspace (null is the default one in both reports), model, token type and
--   service tier. Context window and place of inference are left out because usage cannot be grouped by more than five
--   dimensions: the workspace's users of a model share what one of them alone paid for long context.
-- * Where that tier has none: those of tiers that the cost report has no rows for (flex and others), which are billed
--   under another name. Never those of the other tier that it has rows for, whose users paid those, and never those of
--   Priority Tier, which was paid for in advance and is not in the cost report.
-- * Web searches go with those of the same day and workspace, whatever the tier: what is paid in advance is tokens.
-- * Code executions and sessions are in no usage report and stay unattributed.
-- * A measure that Anthropic left out of a row of the day is shared by nobody: the others would pay for that row's user.
-- The Console's use and a service account's have neither key nor account here: they share in the bill all the same
with billed as (
  select
    rowid as bill,
    *,
    list_amount is not null as is_stated,
    count(*) over (
      partition by connection, usage_date, workspace_id, model, usage_type, service_tier, api_key_id
    ) as rows_of_key
  from costs.daily_costs
  where cost_basis = 'billed' and source_table = 'anthropic.cost_report'
),
usage as (
  select *
  from anthropic.usage_messages
  unpivot include nulls (
    units for measure in (
      uncached_input_tokens,
      output_tokens,
      cache_read_input_tokens,
      cache_creation_5m_input_tokens,
      cache_creation_1h_input_tokens,
      web_search_requests
    )
  )
  qualify bool_and(units is not null) over (partition by connection, usage_date, measure)
)
select
  costs.connection,
  costs.usage_date,
  costs.bill,
  costs.native_amount,
  costs.amount_usd,
  usage.api_key_id,
  if(is_stated, costs.user_id, usage.account_id) as user_id,
  is_stated,
  sum(usage.units) as units,
  if(costs.cost_type = 'web_search', 'requests', 'tokens') as unit,
  if(costs.cost_type = 'web_search' or usage.service_tier is not distinct from costs.service_tier, 1, 2) as step,
  measure || ' of anthropic.usage_messages of the same day, workspace_id' || case
    when costs.cost_type = 'web_search' then ''
    when step = 1 then ', model, service_tier'
    else ', model and of tiers that anthropic.cost_report has no rows for'
  end as basis
from billed as costs
join usage
  on usage.connection = costs.connection
  and usage.usage_date = costs.usage_date
  and usage.workspace_id is not distinct from costs.workspace_id
  and usage.measure
    = if(costs.cost_type = 'web_search', 'web_search_requests', replace(costs.token_type, '.ephemeral', ''))
  and if(costs.cost_type = 'web_search', null, usage.model) is not distinct from costs.model
where usage.units > 0
  and (
    not is_stated
    or if(
      costs.api_key_id is null,
      usage.api_key_id is null and usage.account_id is not distinct from costs.user_id,
      usage.api_key_id = costs.api_key_id and rows_of_key = 1
    )
  )
  and (
    costs.cost_type = 'web_search'
    or usage.service_tier is not distinct from costs.service_tier
    or coalesce(usage.service_tier, '') not in ('standard', 'batch', 'priority')
  )
group by all
