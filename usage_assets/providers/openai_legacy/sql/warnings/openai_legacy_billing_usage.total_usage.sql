-- the lines of a day add up to the total that OpenAI states for it (within its own arithmetic: it adds up doubles)
-- says: the lines of the day add up to {found}, and the total that OpenAI states is {expected} ({difference} apart)
-- do: Costs count the lines. Compare the day with OpenAI's invoice
select
  connection,
  usage_date,
  'USD cents' as unit,
  coalesce(sum(total_usage_cents), 0) as expected,
  coalesce(sum(cost_cents), 0) as found
from openai_legacy.billing_usage
group by connection, usage_date
having abs(coalesce(sum(total_usage_cents), 0) - coalesce(sum(cost_cents), 0)) > count(*) * 0.0000000001
