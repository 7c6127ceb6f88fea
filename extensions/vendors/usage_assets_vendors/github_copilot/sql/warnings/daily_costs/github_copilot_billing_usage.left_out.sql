-- every product of the bill is known: another one may be AI, and it is in no cost
-- says: {product} is billed {amount} and is in no cost: this release does not know whether it is AI
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
