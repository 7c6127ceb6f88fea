-- one row per charge that recurs: a line item of an account, and the day of the month on which it is due (31: the last; 0: every day).
-- A line item that the source calls recurring may be several: also_on has each day of the month that had it three months in a row.
-- Known by what the source states (charge_frequency), or by the last three months: one charge each, on the same day, within 5 %.
-- charges.sql reads it
select
  connection,
  source_table,
  account,
  line_item,
  currency,
  is_stated,
  list_transform(
    list_filter(
      stated_days,
      lambda each: list_has_all(stated_days, [(each - interval 1 month)::date, (each - interval 2 month)::date])
    ),
    lambda each: day(each)
  ) as also_on,
  case
    -- a month's price that was changed on two days in a row is none of every day, and changes of this month do not come again
    when is_stated and days[1] - days[2] = 1 and days[1] - days[-1] < 6 then 0
    when is_same_day and (is_stated or is_monthly and greatest(abs(most), abs(least)) <= least(abs(most), abs(least)) * 1.05)
      then latest
    when is_stated then day(coalesce(list_min(list_filter(days, lambda each: each >= date_trunc('month', $last::date))), days[1]))
  end as due_on
from (
  select
    *,
    list_max(list_transform(days, lambda each: day(each))) as latest,
    len(list_filter(days, lambda each: day(each) <> least(latest, day(last_day(each))))) = 0 as is_same_day,
    list_max(amounts) as most,
    list_min(amounts) as least,
    len(days) = 3
      and date_diff('month', days[2], days[1]) = 1
      and date_diff('month', days[3], days[2]) = 1
      and sign(most) = sign(least) as is_monthly
  from (
    select
      connection,
      source_table,
      account,
      line_item,
      currency,
      is_stated,
      max(usage_date, 3) as days,
      arg_max(amount, usage_date, 3) as amounts,
      max(usage_date, 12) filter (where is_stated) as stated_days
    from (
      select
        connection,
        usage_date,
        source_table,
        coalesce(project_id, workspace_id) as account,
        line_item,
        currency,
        coalesce(charge_frequency = 'Recurring', false) as is_stated,
        sum(native_amount) as amount
      from (
        from costs.daily_costs
{newer_columns}
      )
      where cost_basis = 'billed'
        and line_item is not null
        and usage_date between $last::date - 400 and $last::date
      group by all
      having amount <> 0
    )
    group by all
    having is_stated or date_diff('month', days[3], days[1]) = 2  -- of nearly all lines, nothing more is looked at
  )
)
where due_on is not null
