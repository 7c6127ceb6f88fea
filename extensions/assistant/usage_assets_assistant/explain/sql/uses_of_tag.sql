-- the gateway's estimates by which the bills of one row of costs.by_tag are split: of its tag, and of all use of the model
select uses.*
from costs.gateway_tags as uses
join models.names_in_costs as names
  on names.provider = uses.provider
  and names.model = uses.gateway_model
semi join costs.tag_shares as shares
  on shares.gateway = uses.connection
  and shares.usage_date = uses.usage_date
  and shares.model_family = names.family
  and shares.connection = $connection
  and shares.model = $model
  and shares.tag_family = $tag_family
  and shares.tag is not distinct from $tag
  and shares.tag_allocation = $tag_allocation
where uses.usage_date = $usage_date
  and (uses.named_provider is null or uses.named_provider = $provider)
  and (uses.tag is null or uses.tag = $tag or ($tag is null and starts_with(uses.tag, $tag_family)))
