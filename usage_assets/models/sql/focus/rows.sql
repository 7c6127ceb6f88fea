-- rows of costs.focus of connections of one range, whose charge period begins on days of another. InvoiceId is filled everywhere
-- or nowhere, as FOCUS's own validator refuses the column where it is filled in some rows; x_InvoiceId always has what is known
select * replace (if(bool_and(x_InvoiceId is not null) over (), x_InvoiceId, null) as InvoiceId)
from costs.focus
where ChargePeriodStart between ($first::timestamp at time zone 'UTC') and ($last::timestamp at time zone 'UTC')
  and x_Connection > $after
  and x_Connection <= $upto
order by
  x_Connection,
  ChargePeriodStart,
  x_SourceTable,
  ChargeDescription,
  SubAccountId,
  x_UserId,
  x_ApiKeyId,
  x_NativeAmount
