-- one row per charge that is taken, as its file states it: what a file does not state is null. Columns that the export does not
-- have are in x_OtherColumns
-- reads: focus.charges
select
  billed_cost as BilledCost,
  billing_account_id as BillingAccountId,
  billing_currency as BillingCurrency,
  billing_period_start as BillingPeriodStart,
  charge_category as ChargeCategory,
  charge_class as ChargeClass,
  charge_description as ChargeDescription,
  charge_period_end as ChargePeriodEnd,
  charge_period_start as ChargePeriodStart,
  consumed_quantity as ConsumedQuantity,
  consumed_unit as ConsumedUnit,
  contracted_cost as ContractedCost,
  effective_cost as EffectiveCost,
  invoice_id as InvoiceId,
  invoice_issuer_name as InvoiceIssuerName,
  list_cost as ListCost,
  pricing_quantity as PricingQuantity,
  pricing_unit as PricingUnit,
  region_id as RegionId,
  resource_id as ResourceId,
  service_category as ServiceCategory,
  service_name as ServiceName,
  service_provider_name as ServiceProviderName,
  sku_id as SkuId,
  sku_meter as SkuMeter,
  sku_price_id as SkuPriceId,
  sub_account_id as SubAccountId,
  sub_account_name as SubAccountName,
  usage_date as x_FirstDay,
  other.* replace (
    coalesce(other.ProviderName, service_provider_name) as ProviderName,
    connection as x_Connection,
    'billed' as x_CostBasis,
    invoice_id as x_InvoiceId,
    model as x_Model,
    billed_cost as x_NativeAmount,
    if(billing_currency = 'USD', 'dollars', 'major units') as x_NativeUnit,
    nullif(json_merge_patch(other_columns, without_them)::varchar, '{}') as x_OtherColumns,
    if(consumed_quantity is null and pricing_quantity is null, 'none', 'bill') as x_QuantitySource,
    'focus.charges' as x_SourceTable,
    usage_type as x_UsageType
  )
from (
  select
    *,
    stated[1] as other,
    to_json(stated[2]) as without_them
  from (
    select
      *,
      -- the columns of the export that a file may state besides its own, and the same without values: a patch that removes them
      from_json(
        '[' || other_columns || ', {}]',
        '[{
          "BillingAccountName": "VARCHAR",
          "BillingPeriodEnd": "TIMESTAMP WITH TIME ZONE",
          "ChargeFrequency": "VARCHAR",
          "CommitmentDiscountCategory": "VARCHAR",
          "CommitmentDiscountId": "VARCHAR",
          "CommitmentDiscountName": "VARCHAR",
          "CommitmentDiscountQuantity": "DECIMAL(38,24)",
          "CommitmentDiscountStatus": "VARCHAR",
          "CommitmentDiscountType": "VARCHAR",
          "CommitmentDiscountUnit": "VARCHAR",
          "ContractedUnitPrice": "DECIMAL(38,24)",
          "HostProviderName": "VARCHAR",
          "ListUnitPrice": "DECIMAL(38,24)",
          "PricingCurrency": "VARCHAR",
          "PricingCurrencyContractedUnitPrice": "DECIMAL(38,24)",
          "PricingCurrencyEffectiveCost": "DECIMAL(38,24)",
          "PricingCurrencyListUnitPrice": "DECIMAL(38,24)",
          "ProviderName": "VARCHAR",
          "PublisherName": "VARCHAR",
          "RegionName": "VARCHAR",
          "ResourceName": "VARCHAR",
          "ResourceType": "VARCHAR",
          "ServiceSubcategory": "VARCHAR",
          "SkuPriceDetails": "VARCHAR",
          "SubAccountType": "VARCHAR",
          "Tags": "VARCHAR",
          "x_Allocation": "VARCHAR",
          "x_AllocationBasis": "VARCHAR",
          "x_ApiKeyId": "VARCHAR",
          "x_Connection": "VARCHAR",
          "x_ContextWindow": "VARCHAR",
          "x_CostBasis": "VARCHAR",
          "x_InferenceGeo": "VARCHAR",
          "x_InvoiceId": "VARCHAR",
          "x_Model": "VARCHAR",
          "x_NativeAmount": "VARCHAR",
          "x_NativeUnit": "VARCHAR",
          "x_OtherColumns": "VARCHAR",
          "x_QuantitySource": "VARCHAR",
          "x_ServiceTier": "VARCHAR",
          "x_SourceTable": "VARCHAR",
          "x_TagShares": "VARCHAR",
          "x_UsageType": "VARCHAR",
          "x_UsdPerCredit": "DECIMAL(38,24)",
          "x_UsdPerCreditSource": "VARCHAR",
          "x_UserId": "VARCHAR"
        }]'
      ) as stated
    from focus.charges
    where left_out_rows is null
  )
)
