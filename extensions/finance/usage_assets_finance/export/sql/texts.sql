-- the rows to export (exported), numbers and times as CSV has them, and an error where one is not written as FOCUS has it. To write
-- a decimal out takes a microsecond, and most of a row's numbers are equal to a cost, price or quantity of it: these are
-- written out once. The error is in a column, because a filter would write them out for itself
select
  * replace (
    if(
      regexp_full_match(
        concat_ws(' ', BillingPeriodEnd, BillingPeriodStart, ChargePeriodEnd, ChargePeriodStart),
        '(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ?){2,4}'
      )
      and regexp_full_match(
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
      ),
      BilledCost,
      error(
        concat_ws(
          ', ',
          'costs.focus: a row breaks a rule: times and numbers are written as FOCUS has them: ' || x_Connection,
          ChargePeriodStart,
          ChargeDescription
        )
      )
    ) as BilledCost
  )
from (
  select
    * exclude (billed_text, price_text, quantity_text)
    replace (
      billed_text as BilledCost,
      moment(BillingPeriodEnd) as BillingPeriodEnd,
      moment(BillingPeriodStart) as BillingPeriodStart,
      moment(ChargePeriodEnd) as ChargePeriodEnd,
      moment(ChargePeriodStart) as ChargePeriodStart,
      digits(CommitmentDiscountQuantity) as CommitmentDiscountQuantity,
      digits_or(ConsumedQuantity, PricingQuantity, quantity_text) as ConsumedQuantity,
      digits_or(ContractedCost, BilledCost, billed_text) as ContractedCost,
      digits_or(ContractedUnitPrice, ListUnitPrice, price_text) as ContractedUnitPrice,
      digits_or(EffectiveCost, BilledCost, billed_text) as EffectiveCost,
      digits_or(ListCost, BilledCost, billed_text) as ListCost,
      price_text as ListUnitPrice,
      digits_or(PricingCurrencyContractedUnitPrice, ListUnitPrice, price_text) as PricingCurrencyContractedUnitPrice,
      digits_or(PricingCurrencyEffectiveCost, BilledCost, billed_text) as PricingCurrencyEffectiveCost,
      digits_or(PricingCurrencyListUnitPrice, ListUnitPrice, price_text) as PricingCurrencyListUnitPrice,
      quantity_text as PricingQuantity,
      digits_or(x_NativeAmount, BilledCost, billed_text) as x_NativeAmount,
      digits(x_UsdPerCredit) as x_UsdPerCredit
    )
  from (
    select
      *,
      digits(BilledCost) as billed_text,
      digits(ListUnitPrice) as price_text,
      digits(PricingQuantity) as quantity_text
    from exported
  )
)
