-- one row per row that breaks a rule, with the first that it breaks: of FOCUS what its own validator does not see
-- (docs/focus.md), that no charge is there twice, and that the rows to export (exported) add up to their sources. Rows of
-- FOCUS files (passed) are exported as they are: only what their reader guarantees is checked
with
passed as (
  from exported
  semi join (from accounting.cost_sources where is_focus) as sources on source_table = x_SourceTable
),
made as (
  from exported
  anti join (from accounting.cost_sources where is_focus) as sources on source_table = x_SourceTable
),
broken as (
  select
    x_Connection,
    ChargePeriodStart,
    ChargeDescription,
    case
      when (
        ServiceCategory = 'AI and Machine Learning'
        and ServiceSubcategory = 'Generative AI'
        and ServiceName is not null
        and InvoiceIssuerName is not null
        and ProviderName = PublisherName
        and ProviderName = ServiceProviderName
        and ProviderName = HostProviderName
      ) is not true then 'service, category and company are those of an AI provider'
      when (
        case x_CostBasis
          when 'credits' then ChargeCategory = 'Usage'
          when 'billed' then ChargeCategory in ('Usage', 'Purchase', 'Tax', 'Credit', 'Adjustment')
          else ChargeCategory = 'Purchase'
            and ChargeFrequency = 'One-Time'
            and x_CostBasis in ('purchase of credits', 'purchase of seats')
        end
        and if(
          ChargeCategory = 'Usage',
          ChargeFrequency = 'Usage-Based',
          ChargeFrequency in ('One-Time', 'Recurring', 'Usage-Based')
        )
      ) is not true then 'what is used of credits is Usage, what the connections file says is bought a One-Time Purchase'
      when (
        BillingPeriodStart = date_trunc('month', ChargePeriodStart)
        and BillingPeriodEnd = BillingPeriodStart + interval 1 month
        and ChargePeriodStart = date_trunc('day', ChargePeriodStart)
        and ChargePeriodEnd > ChargePeriodStart
        and (ChargeCategory <> 'Usage' or ChargePeriodEnd = ChargePeriodStart + interval 1 day)
      ) is not true then 'a billing period is a month, and a day of use lies in it'
      when (
        case x_NativeUnit
          when 'credits' then BilledCost = 0
          when 'dollars' then BilledCost = x_NativeAmount and BillingCurrency = 'USD'
          when 'major units' then BilledCost = x_NativeAmount and BillingCurrency <> 'USD'
          -- parts of a bill are rounded on their own, in its dollars and in its cents
          when 'cents' then BillingCurrency = 'USD'
            and abs(BilledCost - major_units(x_NativeAmount, minor_unit)) <= 1e-24::decimal(38, 24)
          when 'minor units' then BillingCurrency <> 'USD'
            and BilledCost = major_units(x_NativeAmount, minor_unit)
        end
      ) is not true then 'BilledCost is the native amount in whole units of its currency, and 0 of credits'
      when (
        x_CostBasis <> 'credits'
        or (
          PricingUnit = 'Credits'
          and PricingQuantity = x_NativeAmount
          and PricingCurrencyContractedUnitPrice = 1
          and PricingCurrencyListUnitPrice = 1
          and PricingCurrencyEffectiveCost = x_NativeAmount
          and EffectiveCost = product(x_NativeAmount, x_UsdPerCredit::decimal(14, 10))
        )
      ) is not true then 'credits cost what their rate says'
      when (
        (x_CostBasis = 'credits' or ContractedCost = BilledCost)
        and EffectiveCost = if(x_CostBasis = 'purchase of credits', 0, ContractedCost)
        and (x_CostBasis = 'credits' or PricingCurrencyEffectiveCost = EffectiveCost)
      ) is not true then 'ContractedCost and EffectiveCost are one cost, EffectiveCost of bought credits is 0'
      when (
        (PricingQuantity is not null) = (ChargeCategory in ('Usage', 'Purchase'))
        and (PricingUnit is not null) = (PricingQuantity is not null)
        and (PricingUnit is null or regexp_full_match(PricingUnit, '([1-9][0-9]* )?[A-Z][A-Za-z]*(-[A-Z][a-z]+)?'))
        and (ConsumedQuantity is not null) = (ChargeCategory = 'Usage')
        and (ConsumedUnit is not null) = (ChargeCategory = 'Usage')
        and (ConsumedUnit is null or regexp_full_match(ConsumedUnit, '[A-Z][A-Za-z]*(-[A-Z][a-z]+)?'))
      ) is not true then 'use and purchases have a quantity and a unit, and use has what was used'
      when (
        case x_QuantitySource
          when 'none' then PricingQuantity is null or (PricingUnit = 'Units' and abs(PricingQuantity) = 1)
          when 'connections file' then ChargeCategory = 'Purchase'
          else x_QuantitySource in ('bill', 'usage', 'shared usage')
            and ChargeCategory in ('Usage', 'Purchase')
            and coalesce(ConsumedUnit, PricingUnit) <> 'Units'
        end
      ) is not true then 'a quantity has a source'
      when (
        ChargeCategory not in ('Usage', 'Purchase')
        or ListUnitPrice >= 0
        and ContractedUnitPrice >= 0
        and is_price(ListUnitPrice, PricingQuantity, ListCost)
        and if(
          ContractedUnitPrice = ListUnitPrice and ContractedCost = ListCost,
          true,
          is_price(ContractedUnitPrice, PricingQuantity, ContractedCost)
        )
      ) is not true then 'a price is not negative, and times the quantity it is the cost'
      when (
        ChargeCategory not in ('Usage', 'Purchase')
        or starts_with(SkuId, split_part(SkuPriceId, '/', 1) || '/')
        and SkuMeter <> ''
        and case
          when SkuPriceDetails is null then x_Model is null
          when json_valid(SkuPriceDetails) then SkuPriceDetails ->> 'ModelId' is not distinct from x_Model
        end
      ) is not true then 'use and purchases have a SKU'
      when (
        regexp_full_match(BillingCurrency, '[A-Z]{3}')
        and PricingCurrency = if(x_CostBasis = 'credits', 'Credits', BillingCurrency)
      ) is not true then 'a currency has three capital letters, and credits are priced in Credits'
      when (
        ChargeClass is null
        or (
          ChargeClass = 'Correction'
          and x_InvoiceId is null
          and (x_Connection, BillingCurrency, BillingPeriodStart::date) in (
            select (connection, currency, month) from accounting.invoices
          )
        )
      ) is not true then 'a Correction is of a month that is invoiced, and not on that invoice'
      when (
        (SubAccountId is null) = (SubAccountName is null) and (SubAccountId is null) = (SubAccountType is null)
      ) is not true then 'a sub-account has a name and a type'
    end as rule
  from made
  -- a narrow decimal: to cast a wide one takes 8 microseconds a row
  left join (select currency, minor_unit::decimal(5, 4) as minor_unit from accounting.currencies)
    on currency = BillingCurrency
  where rule is not null
  union all
  select
    x_Connection,
    ChargePeriodStart,
    ChargeDescription,
    case
      when (
        BilledCost is not null
        and regexp_full_match(BillingCurrency, '[A-Z]{3}')
        and ChargePeriodEnd > ChargePeriodStart
        and concat(ChargeCategory, ServiceName) <> ''
      ) is not true then 'a charge of a file has a cost, a currency, a period, a category and a service'
    end as rule
  from passed
  where rule is not null
  union all
  select
    x_Connection,
    ChargePeriodStart,
    ChargeDescription,
    'InvoiceId is filled in every row or in none' as rule
  from exported
  where (InvoiceId is null) <> (select count(InvoiceId) = 0 from exported)
),
twice as (
  select *
  from (
    select
      * exclude (
        BilledCost,
        ConsumedQuantity,
        ContractedCost,
        ContractedUnitPrice,
        EffectiveCost,
        ListCost,
        ListUnitPrice,
        PricingCurrencyContractedUnitPrice,
        PricingCurrencyEffectiveCost,
        PricingCurrencyListUnitPrice,
        PricingQuantity,
        x_NativeAmount,
        x_QuantitySource
      )
    from made
  )
  group by all
  having count(*) > 1
),
exported_sums as (
  select
    x_Connection as connection,
    ChargePeriodStart::date as usage_date,
    x_SourceTable as source_table,
    x_NativeUnit as native_unit,
    BillingCurrency as currency,
    sum(x_NativeAmount) as native_amount,
    sum(BilledCost) as billed,
    sum(EffectiveCost) as effective
  from exported
  group by all
),
stored_sums as (
  select
    connection,
    usage_date,
    source_table,
    native_unit,
    coalesce(currency, 'USD') as currency,
    sum(native_amount) as native_amount,
    sum(if(native_unit = 'credits', 0, amount_usd)) as billed,
    sum(if(is_focus, effective_amount, amount_usd)) as effective
  from costs.daily_costs
  left join accounting.cost_sources using (source_table)
  where usage_date between $first and $last
    and connection > $after
    and connection <= $upto
    and ((cost_basis = 'billed' and currency is not null) or (cost_basis = 'credits' and amount_usd is not null))
  group by all
  union all
  select
    connection,
    valid_from as usage_date,
    'accounting.purchases' as source_table,
    if(currency = 'USD', 'dollars', 'major units') as native_unit,
    currency,
    sum(amount) as native_amount,
    sum(amount) as billed,
    sum(if(kind = 'credits', 0, amount)) as effective
  from accounting.purchases
  where valid_from between $first and $last
    and connection > $after
    and connection <= $upto
    and connection in (select connection from ledger.partition_versions where table_name = 'costs.daily_costs')
  group by all
)
select rule, x_Connection as connection, ChargePeriodStart::date as day, ChargeDescription as description
from broken
union all
select 'no charge is there twice', x_Connection, ChargePeriodStart::date, ChargeDescription
from twice
union all
select 'a SkuPriceId has one SkuId', any_value(x_Connection), null, SkuPriceId
from made
group by SkuPriceId
having min(SkuId) <> max(SkuId)
union all
select
  'the rows of a day add up to what is stored of it',
  connection,
  usage_date,
  concat_ws(' ', source_table, native_unit, currency)
from stored_sums
full join exported_sums using (connection, usage_date, source_table, native_unit, currency)
-- charges that pass are those of now, and their costs may be of an earlier fetch
anti join (
  from costs.days_ahead
  semi join (from accounting.cost_sources where is_focus) using (source_table)
) using (source_table, connection, usage_date)
-- a day that was cleared after its invoice has corrections, which add up to nothing, and no costs
where (
  coalesce(stored_sums.native_amount, 0) = exported_sums.native_amount
  and (
    (currency <> 'USD' and source_table <> 'accounting.purchases')  -- amount_usd is in another currency
    or (
      coalesce(stored_sums.billed, 0) = exported_sums.billed
      and coalesce(stored_sums.effective, 0) = coalesce(exported_sums.effective, 0)
    )
  )
) is not true
