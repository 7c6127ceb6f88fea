-- rows of costs.focus of connections of one range, whose charge period begins on days of another. InvoiceId is filled everywhere
-- or nowhere, as FOCUS's own validator refuses the column where it is filled in some rows; x_InvoiceId always has what is
-- known. A filter of x_FirstDay reaches the tables, one of ChargePeriodStart is evaluated when everything is computed
select * exclude (x_FirstDay) replace (if(bool_and(x_InvoiceId is not null) over (), x_InvoiceId, null) as InvoiceId)
from costs.focus
where x_FirstDay between $first and $last
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
