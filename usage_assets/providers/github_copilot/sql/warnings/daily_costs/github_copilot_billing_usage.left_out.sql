-- the bill has no product that is not known: nobody knows whether it is AI, and it is not in costs
-- says: {product} is billed with {amount} and in no cost, because nobody knows whether it is AI
-- do: Select the day's rows of costs.left_out, and report the product, so that the next release knows it
select
  connection,
  usage_date,
  product,
  'USD' as unit,
  sum(amount) as amount
from costs.left_out
where provider = 'github_copilot' and is_unknown
group by connection, usage_date, product
having sum(amount) <> 0
