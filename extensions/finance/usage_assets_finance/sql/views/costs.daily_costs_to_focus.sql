-- costs as FOCUS has them, with the columns of every version (docs/focus.md): one row per billed row of
-- costs.allocated_costs_named, in its own currency, per row of credits that has a rate, and per purchase; and two, which
-- add up to nothing, per correction of an invoiced month. Sums of BilledCost are those of costs.daily_costs. Sources that are
-- FOCUS themselves give their rows as they are. What cannot be a row is in costs.focus_left_out
-- reads: costs.daily_costs, costs.allocated_costs_named, costs.quantities, costs.tag_shares, ledger.partition_versions, ledger.stored_days,
--   ledger.restatements, accounting.invoices, accounting.purchases, accounting.currencies, accounting.providers,
--   accounting.cost_sources, costs.days_ahead, ledger.superseded_days
-- column BilledCost: the amount in its own currency; 0 for credits that are used, the price paid for them
--   [BillingCurrency; billed]
-- column BillingAccountId: the connection: not every provider reports the organization's id
-- column BillingAccountName: the connection
-- column BillingCurrency: the provider's currency, nothing is converted; USD for credits
-- column BillingPeriodEnd: the end of the calendar month, UTC
-- column BillingPeriodStart: the calendar month, UTC; for a purchase, the month in which it begins
-- column ChargeCategory: Usage or Purchase; from files, its own: also Tax, Credit and Adjustment
-- column ChargeClass: `Correction`, see corrections in docs/focus.md
-- column ChargeDescription: the bill's line item or description, otherwise model and kind of usage
-- column ChargeFrequency: Usage-Based; for a purchase One-Time, or Recurring (seats that a provider bills); from files, its own
-- column ChargePeriodEnd: the end of the day; of a purchase without an end, that of its month
-- column ChargePeriodStart: the UTC day; for a purchase, its first day
-- column CommitmentDiscountCategory: from files, as there; otherwise null: nobody states it
-- column CommitmentDiscountId: from files, as there; otherwise null: nobody states it
-- column CommitmentDiscountName: from files, as there; otherwise null: nobody states it
-- column CommitmentDiscountQuantity: from files, as there; otherwise null: nobody states it [CommitmentDiscountUnit]
-- column CommitmentDiscountStatus: from files, as there; otherwise null: nobody states it. FOCUS's validator cannot judge
--   `ConsumedQuantity` without this column
-- column CommitmentDiscountType: from files, as there; otherwise null: nobody states it
-- column CommitmentDiscountUnit: from files, as there; otherwise null: nobody states it
-- column ConsumedQuantity: what was used, see quantities in docs/focus.md; null for a purchase [ConsumedUnit]
-- column ConsumedUnit: Tokens, Requests, Images, Characters, Seconds, Credits, …; `Units` if no quantity is known
-- column ContractedCost: what the charge costs, after discounts [BillingCurrency; contracted]
-- column ContractedUnitPrice: `ContractedCost` / `PricingQuantity`, rounded to 24 decimal places; the rate for credits
--   [BillingCurrency; price]
-- column EffectiveCost: `ContractedCost`; 0 for credits that are bought [BillingCurrency; effective]
-- column HostProviderName: the company that provides the service; the provider's id if this release does not know it
-- column InvoiceId: the `[[invoice]]` of the month, the `id` of a purchase; filled in every row of a file or in none (see `x_InvoiceId`)
-- column InvoiceIssuerName: the company that invoices it, if that is known; otherwise `ServiceProviderName`
-- column ListCost: the cost before discounts, if the provider states it; otherwise `ContractedCost` [BillingCurrency; list]
-- column ListUnitPrice: `ListCost` / `PricingQuantity`, rounded to 24 decimal places; the rate for credits
--   [BillingCurrency; price]
-- column PricingCurrency: `Credits`, otherwise `BillingCurrency`
-- column PricingCurrencyContractedUnitPrice: 1 credit for a credit that is used, otherwise `ContractedUnitPrice`
--   [PricingCurrency; price]
-- column PricingCurrencyEffectiveCost: the number of credits, otherwise `EffectiveCost` [PricingCurrency; effective]
-- column PricingCurrencyListUnitPrice: 1 credit for a credit that is used, otherwise `ListUnitPrice` [PricingCurrency; price]
-- column PricingQuantity: the quantity that has the unit price; 1 (-1 for a refund) if there is none; null for taxes, credits and
--   adjustments [PricingUnit]
-- column PricingUnit: the bill's unit, such as `1000 Tokens`; `Units` if there is none
-- column ProviderName: the company that provides the service; the provider's id if this release does not know it
-- column PublisherName: the company that provides the service; the provider's id if this release does not know it
-- column RegionId: from files, as there; otherwise null: nobody states it
-- column RegionName: from files, as there; otherwise null: nobody states it
-- column ResourceId: from files, as there; otherwise null: nobody states it
-- column ResourceName: from files, as there; otherwise null: nobody states it
-- column ResourceType: from files, as there; otherwise null: nobody states it
-- column ServiceCategory: AI and Machine Learning
-- column ServiceName: the service, as the company calls it
-- column ServiceProviderName: the company that provides the service; the provider's id if this release does not know it
-- column ServiceSubcategory: Generative AI
-- column SkuId: `<provider>/<model>`; without a model, the kind of usage, the line item, `Credits` or `Seats` in its place
-- column SkuMeter: what is measured: the kind of usage, such as `Output Tokens` or `Cached Input`; `Credits`, `Seats`
-- column SkuPriceDetails: JSON: `ModelDeveloper` (where a company bills its own models), `ModelFamily` (the model up to its version
--   number), `ModelId`, `x_TokenType`, `x_ServiceTier`, `x_ContextWindow`, `x_InferenceGeo`; what is unknown is left out
-- column SkuPriceId: `<SkuId>/<kind of usage>/<service tier>/<context window>/<inference region>`, empty ones at the end left out
-- column SubAccountId: project or workspace; null for a default workspace
-- column SubAccountName: its current name
-- column SubAccountType: which of the two it is
-- column Tags: JSON: `team` and `cost_center` as in `costs.by_team` (`unowned` included), `project` and `workspace` by name
-- column x_Allocation: how key and user were found, as in `costs.allocated_costs`; null: not allocated
-- column x_AllocationBasis: by what usage they were found, as there
-- column x_ApiKeyId: the API key: named by the bill, or found by usage
-- column x_Connection: the connection
-- column x_ContextWindow: the context window
-- column x_CostBasis: `billed`, `credits`, `purchase of credits` or `purchase of seats`
-- column x_InferenceGeo: the inference region
-- column x_InvoiceId: as `InvoiceId`, in every file
-- column x_Model: the model
-- column x_NativeAmount: the amount as the provider states it; parts add up exactly
--   [x_NativeUnit; x_CostBasis; within BillingCurrency]
-- column x_NativeUnit: its unit: dollars, cents, credits, major units, minor units
-- column x_OtherColumns: JSON: of a charge from files, its columns that are not listed here; otherwise null
-- column x_QuantitySource: `bill`, `usage`, `shared usage`, `connections file` or `none`: who states the quantity
-- column x_ServiceTier: the service tier
-- column x_SourceTable: the raw table that holds the bill
-- column x_TagShares: JSON: the `tag`s of a gateway that share the charge (`costs.tag_shares`): `units` of the sum of all `units`
-- column x_UsageType: the kind of usage
-- column x_UsdPerCredit: the credit rate [USD; price]
-- column x_UsdPerCreditSource: where the rate comes from
-- column x_UserId: the user: named by the bill, or found by usage
-- column x_FirstDay: the UTC day; of a purchase, its first day
-- column costs.focus_left_out.connection: Connection: one provider organization or ChatGPT workspace
-- column costs.focus_left_out.usage_date: UTC day of the usage; of a purchase, its first day
-- column costs.focus_left_out.reason: Why it is no row of costs.focus
-- column costs.focus_left_out.native_unit: Unit of native_amount; of a purchase, its currency
-- column costs.focus_left_out.row_count: Rows or purchases that are added up [rows]
-- column costs.focus_left_out.native_amount: Sum of their amounts [native_unit; cost_basis; within currency]
create or replace view costs.focus as
with
providers as (
  select connection, split_part(arg_max(slice, written_at), '.', 1) as provider
  from ledger.partition_versions
  where table_name = 'costs.daily_costs'
  group by connection
),
quantities as (
  from costs.quantities
  anti join costs.days_ahead using (source_table, connection, usage_date)
),
-- an invoice without a stated day is made when the month is settled; of several, nobody can say what is on which
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
  anti join costs.days_ahead using (source_table, connection, usage_date, version)
  anti join (from ledger.superseded_days where superseded_by is not null) using (connection, usage_date)
  where cause = 'provider' and difference <> 0 and is_focus is not true
),
-- bills that have in common what their use was found by share that use, as those of a model's context windows do
billed as (
  select
    * rename (list_amount as stated_list_amount),
    -- a digest: to sort by all that it is made of takes longer than the rest of the view
    if(
      units is null,
      null,
      md5_number(
        json_array(
          source_table,
          project_id,
          workspace_id,
          user_id,
          api_key_id,
          basis,
          if(contains(basis, 'model'), model, null),
          if(contains(basis, 'service_tier'), service_tier, null)
        )::varchar
      )
    ) as use,
    if(use is null, null, greatest(replace(native_amount::decimal(38, 9)::varchar, '.', '')::hugeint, 0))
      as cost_in_use,
    if(use is null, user_id, null) as billed_user_id,
    if(use is null, api_key_id, null) as billed_api_key_id
  from costs.allocated_costs_named
  anti join (from accounting.cost_sources where is_focus) using (source_table)
  where (cost_basis = 'billed' and currency is not null)
    or (cost_basis = 'credits' and amount_usd is not null)
),
charges as (
  select
    costs.* replace (coalesce(costs.currency, 'USD') as currency),
    coalesce(costs.model, costs.usage_type, costs.line_item, sources.charge, 'Other use') as item,
    coalesce(costs.usage_type, if(costs.cost_basis = 'credits', 'credits', 'usage')) as meter,
    coalesce(quantities.category, 'Usage') as category,
    null as class,
    coalesce(
      costs.line_item,
      nullif(concat_ws(', ', costs.model, costs.usage_type), ''),
      sources.charge,
      'Use that is not itemized'
    ) as description,
    if(quantities.category <> 'Usage', coalesce(quantities.frequency, 'One-Time'), 'Usage-Based') as frequency,
    costs.usage_date as first_day,
    costs.usage_date + 1 as day_after,
    date_trunc('month', costs.usage_date)::date as month,
    -- a bill's quantity is that of the whole bill; that of a use that bills share is split by what they cost, to the last unit
    sum(cost_in_use) over bills_of_use as cost_of_use,
    sum(cost_in_use) over bills_so_far as cost_so_far,
    -- a part of a bill has what the parts up to it have of the bill's quantity, less what those before it have
    if(quantities.is_split, sum(costs.units) over bills_so_far, costs.units) as units_so_far,
    case
      when costs.cost_basis = 'credits' then 'bill'
      when (costs.units is null or quantities.is_split)
        and quantities.unit is not null
        and quantities.quantity is not null
        then 'bill'
      when costs.units is null then 'none'
      when count(*) over bills_of_use = 1 then 'usage'
      when cost_of_use > 0 and min(costs.currency) over bills_of_use = max(costs.currency) over bills_of_use
        then 'shared usage'
      else 'none'
    end as quantity_source,
    case quantity_source
      when 'bill'
        then case
          when costs.cost_basis = 'credits' then costs.native_amount
          when costs.units is null then quantities.quantity
          else (
            (
              replace(quantities.quantity::decimal(38, 9)::varchar, '.', '')::hugeint * units_so_far // costs.all_units
              - replace(quantities.quantity::decimal(38, 9)::varchar, '.', '')::hugeint * (units_so_far - costs.units)
              // costs.all_units
            )::decimal(29, 0) * 0.000000001
          )::decimal(38, 24)
        end
      when 'usage' then costs.units
      when 'shared usage'
        then costs.units * cost_so_far // cost_of_use - costs.units * (cost_so_far - cost_in_use) // cost_of_use
    end::decimal(38, 24) as quantity,
    if(costs.allocation = 'stated', split_part(split_part(costs.basis, ' of ', 1), '_', -1), costs.allocation) as counted,
    case
      when quantity_source = 'bill' then if(costs.cost_basis = 'credits', 'Credits', quantities.unit)
      when quantity_source <> 'none' then upper(counted[1]) || counted[2:]
    end as unit,
    coalesce(stated_list_amount, quantities.list_amount) as list_amount,
    invoiced.id as invoice_id,
    coalesce(costs.project_id, costs.workspace_id) as sub_account_id,
    if(costs.project_id is null, costs.workspace_name, costs.project_name) as sub_account_name
  from billed as costs
  left join accounting.cost_sources as sources using (source_table)
  left join quantities
    on quantities.source_table = costs.source_table
    and quantities.connection = costs.connection
    and quantities.usage_date = costs.usage_date
    and quantities.currency is not distinct from costs.currency
    and quantities.project_id is not distinct from costs.project_id
    and quantities.workspace_id is not distinct from costs.workspace_id
    and quantities.user_id is not distinct from billed_user_id
    and quantities.api_key_id is not distinct from billed_api_key_id
    and quantities.line_item is not distinct from costs.line_item
    and quantities.model is not distinct from if(coalesce(sources.splits_line_items, false), null, costs.model)
  left join invoiced
    on invoiced.cost_basis = costs.cost_basis
    and invoiced.connection = costs.connection
    and invoiced.month = date_trunc('month', costs.usage_date)
    and invoiced.currency = costs.currency
  window
    bills_of_use as (
      partition by costs.connection, costs.usage_date, if(quantities.is_split, md5_number(quantities::varchar), use)
    ),
    bills_so_far as (
      bills_of_use
      order by
        costs.line_item,
        costs.context_window,
        costs.inference_geo,
        costs.native_amount,
        costs.user_id,
        costs.api_key_id
      rows unbounded preceding
    )
  union all by name
  select
    corrections.connection,
    provider,
    'Correction' as item,
    'correction' as meter,
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
    'none' as quantity_source,
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
    upper(kind[1]) || kind[2:] as item,
    kind as meter,
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
    'connections file' as quantity_source,
    quantity,
    item as unit,
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
-- macro a view cannot use. A part of a bill has its part of the bill's list amount
amounts as (
  select
    *,
    if(
      currency = 'USD' and amount_usd is not null,
      amount_usd,
      (trunc(native_amount)::decimal(24, 0) * scale)::decimal(38, 24)
      + ((native_amount - trunc(native_amount))::decimal(24, 24) * scale)::decimal(38, 24)
    ) as amount,
    case
      when list_amount = coalesce(billed_amount, native_amount) then null  -- no discount
      when list_amount < 0 and native_amount > 0 or list_amount > 0 and native_amount < 0 then null
      when units is null then list_amount
      when list_amount is not null
        then (
          (
            replace(list_amount::varchar, '.', '')::hugeint // all_units * units
            + replace(list_amount::varchar, '.', '')::hugeint % all_units * units_so_far // all_units
            - replace(list_amount::varchar, '.', '')::hugeint % all_units * (units_so_far - units) // all_units
          )::decimal(38, 0) * 0.000000000000000000000001
        )::decimal(38, 24)
    end as native_list_amount
  from scaled
),
costs as (
  select
    *,
    if(cost_basis = 'credits', 0, amount)::decimal(38, 24) as billed,
    if(cost_basis = 'credits', amount_usd, amount)::decimal(38, 24) as contracted,
    if(cost_basis = 'purchase of credits', 0, contracted)::decimal(38, 24) as effective,
    if(
      native_list_amount is null,
      contracted,
      (trunc(native_list_amount)::decimal(24, 0) * scale)::decimal(38, 24)
      + ((native_list_amount - trunc(native_list_amount))::decimal(24, 24) * scale)::decimal(38, 24)
    ) as listed,
    -- no trunc() of the decimal: that takes a microsecond. Its average is a double, in which whole quantities (14 digits) are exact
    try_cast(list_avg([quantity]) as decimal(14, 0)) as whole_units
  from amounts
),
-- in how many parts of a unit a quantity is counted, so that a cost can be divided by a whole number of them. Null: its price
-- would be negative, or it has too many digits; then the charge is priced as one unit. Credits have a rate
counted as (
  select
    *,
    case
      when cost_basis = 'credits' then null
      -- no sign(): it makes a double of a decimal, which takes a microsecond
      when quantity <= 0 and (contracted > 0 or listed > 0) or quantity >= 0 and (contracted < 0 or listed < 0) then null
      when greatest(abs(contracted), abs(listed)) > 50000000000000 then null
      when quantity = whole_units then 1
      when abs(quantity) not between 0.000001 and 1000000000 or greatest(abs(contracted), abs(listed)) > 10000000
        then null
      when abs(quantity) < 100 and quantity = quantity::decimal(20, 17) then 100000000000000000
      when quantity = quantity::decimal(38, 14) then 100000000000000
    end::hugeint as parts_of_a_unit,
    abs(
      case parts_of_a_unit
        when 1 then if(quantity = 0, 1, whole_units::hugeint)
        when 100000000000000 then replace(quantity::decimal(38, 14)::varchar, '.', '')::hugeint
        when 100000000000000000 then replace(quantity::decimal(20, 17)::varchar, '.', '')::hugeint
      end
    ) as parts
  from costs
),
-- a cost in its last places by the quantity, rounded half up
priced as (
  select
    *,
    category in ('Usage', 'Purchase') as is_priced,
    parts is not null or cost_basis = 'credits' as has_price,
    if(contracted < 0 or listed < 0, -1, 1) as one_unit,
    list_transform(
      if(contracted = listed, [contracted], [contracted, listed]),
      lambda cost: case
        when cost_basis = 'credits' then usd_rate
        when parts is null then abs(cost)
        else (
          case
            -- to divide HUGEINTs takes three microseconds: once for nearly all rows
            when parts_of_a_unit = 1 then (replace(abs(cost)::varchar, '.', '')::hugeint * 2 + parts) // (parts * 2)
            else replace(abs(cost)::varchar, '.', '')::hugeint // parts * parts_of_a_unit
              + (replace(abs(cost)::varchar, '.', '')::hugeint % parts * parts_of_a_unit * 2 + parts) // (parts * 2)
          end::decimal(38, 0) * 0.000000000000000000000001
        )::decimal(38, 24)
      end
    ) as prices
  from counted
),
-- what the parts of a SkuPriceId are divided by is written as in a URL inside them
named as (
  select
    *,
    list_transform(
      [item, nullif(usage_type, item), service_tier, context_window, inference_geo],
      lambda part: coalesce(replace(replace(part, '%', '%25'), '/', '%2F'), '')
    ) as price_parts,
    list_transform(
      string_split(regexp_replace(meter, '[ _.]+', ' ', 'g'), ' '),
      lambda word: upper(word[1]) || word[2:]
    ) as meter_words,
    coalesce(api_key_id, '') as api_key_or_none
  from priced
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
  null::varchar as CommitmentDiscountCategory,
  null::varchar as CommitmentDiscountId,
  null::varchar as CommitmentDiscountName,
  null::decimal(38, 24) as CommitmentDiscountQuantity,
  null::varchar as CommitmentDiscountStatus,
  null::varchar as CommitmentDiscountType,
  null::varchar as CommitmentDiscountUnit,
  case
    when category <> 'Usage' then null
    when quantity is null then one_unit
    when starts_with(unit, '1000 ') then (quantity::decimal(34, 24) * 1000)::decimal(38, 24)
    else quantity
  end::decimal(38, 24) as ConsumedQuantity,
  if(category = 'Usage', coalesce(regexp_replace(unit, '^1000 ', ''), 'Units'), null) as ConsumedUnit,
  contracted as ContractedCost,
  if(is_priced, prices[1], null) as ContractedUnitPrice,
  effective as EffectiveCost,
  coalesce(company, provider) as HostProviderName,
  invoice_id as InvoiceId,
  coalesce(company, provider) as InvoiceIssuerName,
  listed as ListCost,
  if(is_priced, prices[-1], null) as ListUnitPrice,
  if(cost_basis = 'credits', 'Credits', currency) as PricingCurrency,
  if(is_priced, if(cost_basis = 'credits', 1, prices[1]), null)::decimal(38, 24) as PricingCurrencyContractedUnitPrice,
  if(cost_basis = 'credits', native_amount, effective)::decimal(38, 24) as PricingCurrencyEffectiveCost,
  if(is_priced, if(cost_basis = 'credits', 1, prices[-1]), null)::decimal(38, 24) as PricingCurrencyListUnitPrice,
  if(is_priced, if(has_price, quantity, one_unit), null)::decimal(38, 24) as PricingQuantity,
  if(is_priced, if(has_price, unit, 'Units'), null) as PricingUnit,
  coalesce(company, provider) as ProviderName,
  coalesce(company, provider) as PublisherName,
  null::varchar as RegionId,
  null::varchar as RegionName,
  null::varchar as ResourceId,
  null::varchar as ResourceName,
  null::varchar as ResourceType,
  'AI and Machine Learning' as ServiceCategory,
  coalesce(service, provider) as ServiceName,
  coalesce(company, provider) as ServiceProviderName,
  'Generative AI' as ServiceSubcategory,
  if(is_priced, provider || '/' || item, null) as SkuId,
  if(is_priced, array_to_string(meter_words, ' '), null) as SkuMeter,
  if(
    is_priced,
    nullif(
      json_merge_patch(
        '{}',
        json_object(
          'ModelDeveloper', if(model is null, null, model_developer),
          'ModelFamily', regexp_replace(model, '-[0-9].*', ''),
          'ModelId', model,
          'x_ContextWindow', context_window,
          'x_InferenceGeo', inference_geo,
          'x_ServiceTier', service_tier,
          'x_TokenType', coalesce(token_type, nullif(regexp_extract(usage_type, '.*(input|output|tokens)$'), ''))
        )
      )::varchar,
      '{}'
    ),
    null
  ) as SkuPriceDetails,
  if(is_priced, rtrim(provider || '/' || array_to_string(price_parts, '/'), '/'), null) as SkuPriceId,
  sub_account_id as SubAccountId,
  sub_account_name as SubAccountName,
  if(sub_account_id is null, null, coalesce(sub_account_type, 'Project')) as SubAccountType,
  if(
    team is null,
    null,
    json_merge_patch(
      '{}',
      json_object(
        'team', team,
        'cost_center', cost_center,
        'project', project_name,
        'workspace', workspace_name
      )
    )
  )::varchar as Tags,
  allocation as x_Allocation,
  basis as x_AllocationBasis,
  api_key_id as x_ApiKeyId,
  connection as x_Connection,
  context_window as x_ContextWindow,
  cost_basis as x_CostBasis,
  first_day as x_FirstDay,
  inference_geo as x_InferenceGeo,
  invoice_id as x_InvoiceId,
  model as x_Model,
  native_amount as x_NativeAmount,
  native_unit as x_NativeUnit,
  null::varchar as x_OtherColumns,
  quantity_source as x_QuantitySource,
  service_tier as x_ServiceTier,
  source_table as x_SourceTable,
  tag_shares as x_TagShares,
  usage_type as x_UsageType,
  if(cost_basis = 'credits', usd_rate, null) as x_UsdPerCredit,
  if(cost_basis = 'credits', usd_rate_source, null) as x_UsdPerCreditSource,
  user_id as x_UserId
from named
left join accounting.providers using (provider)
left join (
  select
    connection,
    usage_date as first_day,
    'billed' as cost_basis,
    model,
    coalesce(api_key_id, '') as api_key_or_none,
    to_json(
      list(
        struct_pack(tag := tag, found_by := tag_allocation, units := tag_units::varchar)
        order by tag, tag_allocation
      )
    )::varchar as tag_shares
  from costs.tag_shares
  group by all
) using (connection, first_day, cost_basis, model, api_key_or_none)
union all by name
from (
{focus_rows}
)
-- days without stored costs, or with costs of another connection alone, have no charges here, either
semi join (
  select
    connection as x_Connection,
    usage_date as x_FirstDay,
    slice as x_SourceTable
  from ledger.stored_days
  where table_name = 'costs.daily_costs' and (inputs is null or (inputs ->> slice) is not null)
) using (x_Connection, x_FirstDay, x_SourceTable);

comment on view costs.focus is 'Costs and purchases as FOCUS has them, with the columns of all its versions: docs/focus.md';

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
