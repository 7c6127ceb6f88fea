-- which model a name means: one row per provider and name as sent. The rules (model_rules.sql) have no state, so a better rule, or a
-- new [[model]] of the connections file, holds for every stored day at once. A name that ends in no known form stays itself. Never look
-- up a price by family: it depends on the seller and the variant. There are two such views, so that costs can be read where usage cannot
-- reads: {reads}costs.daily_costs
-- columns: accounting.models
-- column provider: Provider that sends the name
-- column model: Name of the model as it is sent
-- column developer: Company that made the model; null: not known
-- column source: What says so: stated (a [[model]] of the connections file), rule:1 to rule:6 of docs/money.md, or unresolved
-- column reason: Why the name stays itself: not a model, or no known form; null: it is known
create or replace view {name} as
with
sent as (
  -- grouped and not distinct: of a distinct, DuckDB 1.5 expects as many rows as there are costs, and joins the costs to these names
  select provider, model
  from (
    select provider, model
    from costs.daily_costs
    union all by name
{usage}{sent_models}
  )
  group by all
)
select sent.*, means.*
from sent
join lateral (
{model_rules of sent.provider, sent.model}
) as means
  on true;

comment on view {name} is
  'One row per provider and name of a model as sent{what}: its family, version and variant, and how they are known. Never a price'
