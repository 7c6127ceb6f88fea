-- costs as FOCUS 1.2 has them (docs/focus.md): one row per billed row of costs.allocated_costs_named, in its own currency,
-- per row of credits that has a rate, and per purchase; and two, which add up to nothing, per correction of an invoiced
-- month. Sums of BilledCost are those of costs.daily_costs. What cannot be a row is in costs.focus_left_out
-- reads: costs.daily_costs, costs.allocated_costs_named, ledger.partition_versions, ledger.stored_days,
--   ledger.restatements, accounting.invoices, accounting.purchases, accounting.currencies, accounting.providers,
--   accounting.cost_sources
create or replace view costs.focus as
with
providers as (
  select connection, split_part(arg_max(slice, written_at), '.', 1) as provider
  from ledger.partition_versions
  where table_name = 'costs.daily_costs'
  group by connection
),
-- what a source has said that its costs do not hold yet: it was fetched again alone. Costs record which version they were
-- computed from; those of releases that did not are taken to hold what was written before them
ahead as (
  select
    raw.connection,
    raw.usage_date,
    raw.table_name as source_table,
    raw.version
  from ledger.partition_versions as raw
  left join ledger.stored_days as costs
    on costs.table_name = 'costs.daily_costs'
    and costs.slice = raw.table_name
    and costs.connection = raw.connection
    and costs.usage_date = raw.usage_date
  where raw.changed
    and case
      when costs.inputs is not null then raw.version > (costs.inputs ->> raw.table_name)::bigint
      else costs.written_at is null or costs.written_at < raw.written_at
    end
),
-- the quantities that sources state, summed as the costs are
quantities as (
  from (
{quantities}
  )
  anti join ahead using (source_table, connection, usage_date)
),
-- an invoice of which no day is stated is made when the month is settled; of several, nobody can say what is on which
settling as (
  select connection, max(settling_days) as days
  from ledger.partition_versions
  group by connection
),
invoiced as (
  select
    'billed' as cost_basis,
    connection,
    month,
    currency,
    if(count(*) = 1, any_value(id), null) as id,
    min(coalesce(issued + 1, (month + interval 1 month)::date + coalesce(days, 0)::integer)) as changed_since
  from accounting.invoices
  left join settling using (connection)
  group by connection, month, currency
),
corrections as (
  select
    connection,
    split_part(source_table, '.', 1) as provider,
    usage_date,
    source_table,
    version,
    case
      when restatements.unit in ('USD', 'cents') then 'USD'
      else right(restatements.unit, 3)
    end as currency,
    case
      when restatements.unit = 'cents' then 'cents'
      when restatements.unit = 'USD' then 'dollars'
      when restatements.unit like 'minor units of %' then 'minor units'
      else 'major units'
    end as native_unit,
    difference,
    found_at
  from ledger.restatements
  join accounting.cost_sources on source_table = table_name and total glob billed_totals
  anti join ahead using (source_table, connection, usage_date, version)
  where cause = 'provider' and difference <> 0
),
charges as (
  select
    costs.* replace (coalesce(costs.currency, 'USD') as currency),
    'Usage' as category,
    null as class,
    coalesce(
      costs.line_item,
      nullif(concat_ws(', ', costs.model, costs.usage_type), ''),
      sources.charge,
      'Use that is not itemized'
    ) as description,
    'Usage-Based' as frequency,
    costs.usage_date as first_day,
    costs.usage_date + 1 as day_after,
    date_trunc('month', costs.usage_date)::date as month,
    -- a quantity is that of a whole bill
    coalesce(costs.allocation, 'stated') in ('stated', 'unattributed') and quantities.unit is not null as has_quantity,
    if(has_quantity, quantities.quantity, 1) as quantity,
    if(has_quantity, quantities.unit, 'Units') as unit,
    invoiced.id as invoice_id,
    coalesce(costs.project_id, costs.workspace_id) as sub_account_id,
    if(costs.project_id is null, costs.workspace_name, costs.project_name) as sub_account_name
  from costs.allocated_costs_named as costs
  left join accounting.cost_sources as sources using (source_table)
  left join quantities
    on quantities.source_table = costs.source_table
    and quantities.connection = costs.connection
    and quantities.usage_date = costs.usage_date
    and quantities.currency is not distinct from costs.currency
    and quantities.project_id is not distinct from costs.project_id
    and quantities.user_id is not distinct from costs.user_id
    and quantities.api_key_id is not distinct from costs.api_key_id
    and quantities.line_item is not distinct from costs.line_item
  left join invoiced
    on invoiced.cost_basis = costs.cost_basis
    and invoiced.connection = costs.connection
    and invoiced.month = date_trunc('month', costs.usage_date)
    and invoiced.currency = costs.currency
  where (costs.cost_basis = 'billed' and costs.currency is not null)
    or (costs.cost_basis = 'credits' and costs.amount_usd is not null)
  union all by name
  select
    corrections.connection,
    provider,
    'Usage' as category,
    class,
    if(class is null, 'As invoiced: without the correction', 'Correction')
    || ' of ' || source_table || ', version ' || version
    || ', found ' || (found_at at time zone 'UTC')::date as description,
    'Usage-Based' as frequency,
    usage_date as first_day,
    usage_date + 1 as day_after,
    month,
    corrections.currency,
    cost_basis,
    if(class is null, -difference, difference) as native_amount,
    native_unit,
    1 as quantity,
    'Units' as unit,
    if(class is null, invoiced.id, null) as invoice_id,
    source_table
  from corrections
  join invoiced
    on invoiced.connection = corrections.connection
    and invoiced.month = date_trunc('month', usage_date)
    and invoiced.currency = corrections.currency
    and found_at >= changed_since at time zone 'UTC'
  cross join (values (null), ('Correction')) as booked (class)
  union all by name
  select
    connection,
    provider,
    'Purchase' as category,
    null as class,
    'Purchase of ' || kind || ', ' || id as description,
    'One-Time' as frequency,
    valid_from as first_day,
    coalesce(valid_until + 1, (date_trunc('month', valid_from) + interval 1 month)::date) as day_after,
    date_trunc('month', valid_from)::date as month,
    currency,
    'purchase of ' || kind as cost_basis,
    amount as native_amount,
    if(currency = 'USD', 'dollars', 'major units') as native_unit,
    quantity,
    if(kind = 'credits', 'Credits', 'Seats') as unit,
    id as invoice_id,
    'accounting.purchases' as source_table
  from accounting.purchases
  join providers using (connection)
),
scaled as (
  select
    charges.*,
    if(native_unit in ('cents', 'minor units'), coalesce(minor_unit, 0.01::decimal(5, 4)), 1::decimal(5, 4)) as scale
  from charges
  -- a narrow decimal: to cast a wide one takes 8 microseconds a row
  left join (select currency, minor_unit::decimal(5, 4) as minor_unit from accounting.currencies) using (currency)
),
-- the dollars of a part are those that add up to the bill's; other money is converted as product.sql does, whose temporary
-- macro a view cannot use
amounts as (
  select
    *,
    if(
      currency = 'USD' and amount_usd is not null,
      amount_usd,
      (trunc(native_amount)::decimal(24, 0) * scale)::decimal(38, 24)
      + ((native_amount - trunc(native_amount))::decimal(24, 24) * scale)::decimal(38, 24)
    ) as amount
  from scaled
),
costs as (
  select
    *,
    if(cost_basis = 'credits', 0, amount)::decimal(38, 24) as billed,
    if(cost_basis = 'credits', amount_usd, amount)::decimal(38, 24) as contracted,
    if(cost_basis = 'purchase of credits', 0, contracted)::decimal(38, 24) as effective
  from amounts
)
select
  billed as BilledCost,
  connection as BillingAccountId,
  connection as BillingAccountName,
  currency as BillingCurrency,
  (month + interval 1 month) at time zone 'UTC' as BillingPeriodEnd,
  month::timestamp at time zone 'UTC' as BillingPeriodStart,
  category as ChargeCategory,
  class as ChargeClass,
  description as ChargeDescription,
  frequency as ChargeFrequency,
  day_after::timestamp at time zone 'UTC' as ChargePeriodEnd,
  first_day::timestamp at time zone 'UTC' as ChargePeriodStart,
  contracted as ContractedCost,
  effective as EffectiveCost,
  invoice_id as InvoiceId,
  coalesce(company, provider) as InvoiceIssuerName,
  contracted as ListCost,
  if(cost_basis = 'credits', 'Credits', currency) as PricingCurrency,
  if(cost_basis = 'credits', native_amount, effective)::decimal(38, 24) as PricingCurrencyEffectiveCost,
  if(cost_basis = 'credits', native_amount, quantity)::decimal(38, 24) as PricingQuantity,
  if(cost_basis = 'credits', 'Credits', unit) as PricingUnit,
  coalesce(company, provider) as ProviderName,
  coalesce(company, provider) as PublisherName,
  'AI and Machine Learning' as ServiceCategory,
  coalesce(service, provider) as ServiceName,
  'Generative AI' as ServiceSubcategory,
  sub_account_id as SubAccountId,
  sub_account_name as SubAccountName,
  if(sub_account_id is null, null, coalesce(sub_account_type, 'Project')) as SubAccountType,
  case
    when cost_centre is not null then json_object('team', team, 'cost_centre', cost_centre)
    when team is not null then json_object('team', team)
  end::varchar as Tags,
  allocation as x_Allocation,
  basis as x_AllocationBasis,
  api_key_id as x_ApiKeyId,
  connection as x_Connection,
  context_window as x_ContextWindow,
  cost_basis as x_CostBasis,
  inference_geo as x_InferenceGeo,
  invoice_id as x_InvoiceId,
  model as x_Model,
  native_amount as x_NativeAmount,
  native_unit as x_NativeUnit,
  service_tier as x_ServiceTier,
  source_table as x_SourceTable,
  if(cost_basis = 'credits', usd_rate, null) as x_UsdPerCredit,
  if(cost_basis = 'credits', usd_rate_source, null) as x_UsdPerCreditSource,
  usage_type as x_UsageType,
  user_id as x_UserId
from costs
left join accounting.providers using (provider);

comment on view costs.focus is 'Costs and purchases as FOCUS 1.2 has them: docs/focus.md';

create or replace view costs.focus_left_out as
select
  connection,
  usage_date,
  if(cost_basis = 'credits', 'credits without a rate', 'costs without a currency') as reason,
  native_unit,
  count(*) as row_count,
  sum(native_amount) as native_amount
from costs.daily_costs
where (cost_basis = 'credits' and amount_usd is null)
  or (cost_basis = 'billed' and currency is null)
group by all
union all
select
  connection,
  valid_from as usage_date,
  'purchases of connections without costs' as reason,
  currency as native_unit,
  count(*) as row_count,
  sum(amount) as native_amount
from accounting.purchases
where connection not in (select connection from ledger.partition_versions where table_name = 'costs.daily_costs')
group by all;

comment on view costs.focus_left_out is 'What costs and is no row of costs.focus, by connection, day and reason'
