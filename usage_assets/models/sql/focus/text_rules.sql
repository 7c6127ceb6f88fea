-- one row per row that is not written as FOCUS has it, of the rows to export as text (exported_text)
select
  'times and numbers are written as FOCUS has them' as rule,
  x_Connection as connection,
  ChargePeriodStart as day,
  ChargeDescription as description
from exported_text
where not regexp_full_match(
    concat_ws(' ', BillingPeriodEnd, BillingPeriodStart, ChargePeriodEnd, ChargePeriodStart),
    '(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ?){2,4}'
  )
  or not regexp_full_match(
    concat_ws(
      ' ',
      BilledCost,
      CommitmentDiscountQuantity,
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
      x_NativeAmount
    ),
    '(-?\d+\.\d+ ?)+'
  )
