-- one row per billed row of anthropic.cost_report with a discount, of the older report: its cents at list price, which anthropic_analytics.cost
-- states. That report has no descriptions, so what it lists of a workspace, model, kind of cost, class of tokens and service
-- tier is split by what is billed of it, to the last digit. A bill may lack the model or the tier (web searches have neither): it
-- has what is listed of all of them, but for those that another bill names. None where costs have several rows of a line item
-- and model, because nobody can tell whose the list amount is. Two connections are of one organization if both say the same of a
-- day, but for a millionth of a cent a row. The default workspace is null in one report and has an id in the other
-- reads: anthropic.cost_report, anthropic_analytics.cost
select
  'anthropic.cost_report' as source_table,
  connection,
  usage_date,
  currency,
  workspace_id,
  line_item,
  model,
  list_amount
from (
  with
  bills as (
    select
      *,
      {'model': model, 'cost_type': cost_type, 'token_type': token_type, 'service_tier': service_tier} as kind,
      count(*) over (
        partition by connection, usage_date, currency, workspace_id, line_item, model
      ) as rows_of_line_item
    from (
      select
        connection,
        usage_date,
        upper(currency) as currency,
        workspace_id,
        model,
        cost_type,
        token_type,
        service_tier,
        description as line_item,
        context_window,
        inference_geo,
        grouped_by,
        sum(amount_cents) as amount,
        count(*) as row_count
      from anthropic.cost_report
      where list_amount_cents is null
      group by all
    )
  ),
  kinds as (
    select distinct connection, usage_date, currency, workspace_id, kind
    from bills
  ),
  listed as (
    select
      *,
      row_number() over () as row
    from (
      select
        connection,
        usage_date,
        upper(currency) as currency,
        workspace_id,
        model,
        cost_type,
        token_type,
        service_tier,
        sum(amount_cents) as amount,
        sum(list_amount_cents) as list_amount,
        count(*) as row_count
      from anthropic_analytics.cost
      group by all
    )
  ),
  same_organization as (
    select
      bills.connection,
      listed.connection as listed_by,
      usage_date,
      currency
    from (
      select connection, usage_date, currency, sum(amount) as amount, sum(row_count) as row_count
      from bills
      group by all
    ) as bills
    join (
      select connection, usage_date, currency, sum(amount) as amount, sum(row_count) as row_count
      from listed
      group by all
    ) as listed using (usage_date, currency)
    where bills.amount <> 0
      and abs(bills.amount - listed.amount) <= (bills.row_count + listed.row_count) * 0.000001
  ),
  discounts as (
    select
      connection,
      usage_date,
      currency,
      workspace_id,
      kind,
      sum(amount) as amount,
      sum(list_amount) as list_amount,
      sum(row_count) as row_count
    from (
      select
        kinds.*,
        listed.amount,
        listed.list_amount,
        listed.row_count
      from listed
      join same_organization
        on same_organization.listed_by = listed.connection
        and same_organization.usage_date = listed.usage_date
        and same_organization.currency = listed.currency
      left join (select distinct connection, usage_date, workspace_id from bills) as billed_workspaces
        on billed_workspaces.connection = same_organization.connection
        and billed_workspaces.usage_date = listed.usage_date
        and billed_workspaces.workspace_id = listed.workspace_id
      join kinds
        on kinds.connection = same_organization.connection
        and kinds.usage_date = listed.usage_date
        and kinds.currency = listed.currency
        and kinds.workspace_id is not distinct from billed_workspaces.workspace_id
        and kind.cost_type is not distinct from listed.cost_type
        and kind.token_type is not distinct from listed.token_type
        and coalesce(kind.model = listed.model, kind.model is null)
        and coalesce(kind.service_tier = listed.service_tier, kind.service_tier is null)
      qualify row_number() over (
        partition by kinds.connection, listed.row
        order by kind.model nulls last, kind.service_tier nulls last
      ) = 1
    )
    group by all
    having sum(amount) <> sum(list_amount)
  ),
  shares as (
    select
      bills.* exclude (kind),
      discounts.amount as same_amount,
      discounts.row_count as same_rows,
      replace(discounts.list_amount::varchar, '.', '')::hugeint as places,
      abs(replace(bills.amount::decimal(38, 9)::varchar, '.', '')::hugeint) as weight,
      sum(weight) over (bills_of_discount order by bills.amount, line_item, context_window, inference_geo) as upto,
      sum(weight) over bills_of_discount as weights,
      sum(bills.amount) over bills_of_discount as amount_of_bills,
      sum(bills.row_count) over bills_of_discount as rows_of_bills
    from bills
    join discounts
      on discounts.connection = bills.connection
      and discounts.usage_date = bills.usage_date
      and discounts.currency = bills.currency
      and discounts.workspace_id is not distinct from bills.workspace_id
      and discounts.kind = bills.kind
    window bills_of_discount as (
      partition by bills.connection, bills.usage_date, bills.currency, bills.workspace_id, bills.kind
    )
  )
  select
    * exclude (places, weight, upto, weights),
    (
      (
        (places // weights * upto + places % weights * upto // weights)
        - (places // weights * (upto - weight) + places % weights * (upto - weight) // weights)
      )::decimal(38, 0) * 0.000000000000000000000001
    )::decimal(38, 24) as list_amount
  from shares
  where weights > 0
    and rows_of_line_item = 1
    and abs(amount_of_bills - same_amount) <= (rows_of_bills + same_rows) * 0.000001
)
