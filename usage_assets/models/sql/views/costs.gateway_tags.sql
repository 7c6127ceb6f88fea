-- what the tags of gateways' requests used of a model by the gateways' own estimates, and, in rows without a tag, all that was used of it.
-- Tags of one request overlap
-- column connection: Connection of the gateway
-- column provider: Provider of the connection, a gateway
-- column usage_date: UTC day of the usage
-- column named_provider: Provider that the name of the model begins with; null: none
-- column gateway_model: Model, as the gateway sends it to the provider
-- column use: Model and API key of the gateway
-- column tag: Tag of the requests; null: all use of the model and key
-- column amount_usd: Estimate of the gateway; tags of one request overlap [USD; estimated]
-- column requests: Requests; those with several tags are in several rows [requests]
create or replace view costs.gateway_tags as
select connection, provider, usage_date, named_provider, gateway_model, use, tag, amount_usd, requests
from (
{tags}
);

comment on view costs.gateway_tags is
  'One row per gateway connection, day, use (model and API key) and tag, and one without a tag for all of the use: estimated dollars'
