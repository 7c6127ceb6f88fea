-- one row: a digest of what [[model]] states
-- reads: accounting.models
-- column digest: Digest of all [[model]] entries; nothing: there are none
create or replace view ledger.stated_models as
select
  coalesce(
    md5(string_agg(to_json([provider, model, family, version, variant])::varchar, ' ' order by provider, model)),
    'nothing'
  ) as digest
from accounting.models
