-- rows of costs.focus whose charge period begins on days of the range. InvoiceId is filled everywhere or nowhere, as
-- FOCUS's own validator refuses the column where it is filled in some rows; x_InvoiceId always has what is known
select * replace (if(bool_and(x_InvoiceId is not null) over (), x_InvoiceId, null) as InvoiceId)
from costs.focus
where ChargePeriodStart between ($first::timestamp at time zone 'UTC') and ($last::timestamp at time zone 'UTC')
order by
  ChargePeriodStart,
  x_Connection,
  x_SourceTable,
  ChargeDescription,
  SubAccountId,
  x_UserId,
  x_ApiKeyId,
  x_NativeAmount
