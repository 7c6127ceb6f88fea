  case
    when lower(costs.charge_category) in ('tax', 'credit', 'adjustment') or costs.charge_category = 'Purchase' and native_amount < 0
      then 'other'
    when costs.charge_frequency = 'Recurring' or costs.charge_category = 'Purchase' then 'seats'
    else 'usage'
  end
