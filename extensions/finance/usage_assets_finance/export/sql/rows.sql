-- rows of costs.focus of connections of one range, whose charge period begins on days of another. A filter of x_FirstDay reaches
-- the tables, one of ChargePeriodStart is evaluated when everything is computed
select * exclude (x_FirstDay)
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
  x_NativeAmount,
  ChargePeriodEnd,
  SkuPriceId,
  RegionId,
  ResourceId,
  x_OtherColumns
