(
    -- a connection may have read a part of these days from a report that does not tell these apart, but states list prices
    select connection
    from costs.daily_costs
    where cost_type = 'tokens' and usage_date between $before_first and $last
    group by connection
    having count(list_amount) between 1 and count(*) - 1
  )
