-- what a row of GitHub's bill is. Products are called as in
-- https://docs.github.com/billing/reference/product-and-sku-names
case
  when lower(product) like '%copilot%' and unit = 'user-months' then 'seats'
  when unit = 'ai-credits' then 'metered'
  when lower(product) like '%copilot%' then if(unit = 'requests', 'metered', 'no unit')
  when lower(product) in ('models', 'github models') or regexp_matches(lower(sku), '^models[ _]inference') then 'models'
  when regexp_matches(
    lower(product),
    '^(github )?(actions|packages|codespaces|git[ _]lfs|shared storage|ghas|advanced security|ghec|enterprise|sandbox)\b'
  ) then 'no AI'
  when unit = 'requests' and regexp_matches(lower(sku), 'premium[ _-]?request') then 'metered'
  else 'unknown'
end
