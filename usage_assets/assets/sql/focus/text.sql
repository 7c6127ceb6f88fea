-- the rows to export (exported) as a CSV file has them: all digits, and a point in every number, because FOCUS's own
-- validator takes a column of whole numbers for integers; times with T and Z
select
  * replace (
    digits(BilledCost) as BilledCost,
    moment(BillingPeriodEnd) as BillingPeriodEnd,
    moment(BillingPeriodStart) as BillingPeriodStart,
    moment(ChargePeriodEnd) as ChargePeriodEnd,
    moment(ChargePeriodStart) as ChargePeriodStart,
    digits(ContractedCost) as ContractedCost,
    digits(EffectiveCost) as EffectiveCost,
    digits(ListCost) as ListCost,
    digits(PricingCurrencyEffectiveCost) as PricingCurrencyEffectiveCost,
    digits(PricingQuantity) as PricingQuantity,
    digits(x_NativeAmount) as x_NativeAmount,
    digits(x_UsdPerCredit) as x_UsdPerCredit
  )
from exported
