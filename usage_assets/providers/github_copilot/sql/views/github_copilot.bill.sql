-- what GitHub bills of all products, and what each row is: seats of Copilot and use of GitHub Models are costs. Metered use (AI credits,
-- premium requests) is billed per model in the other two reports. Products are called as in
-- https://docs.github.com/billing/reference/product-and-sku-names
-- reads: github_copilot.billing_usage
create or replace view github_copilot.bill as
select
  *,
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
  end as charge
from github_copilot.billing_usage;

comment on view github_copilot.bill is
  'One row per row of github_copilot.billing_usage, and its charge: seats and models are costs; metered, no AI and unknown are not'
