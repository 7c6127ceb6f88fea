-- what the tags of gateways' requests used of a model by the gateways' own estimates, and, in rows without a tag, all that was used of it.
-- Tags of one request overlap
create or replace view costs.gateway_tags as
select connection, provider, usage_date, named_provider, gateway_model, use, tag, amount_usd, requests
from (
{tags}
);

comment on view costs.gateway_tags is
  'One row per gateway connection, day, use (model and API key) and tag, and one without a tag for all of the use: estimated dollars'
