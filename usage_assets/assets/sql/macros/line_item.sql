-- the model and the kind of usage in an OpenAI line item such as "gpt-5, cached input". It is no stable grammar: what is
-- anything else stays whole, and is counted (costs.daily_costs, line_items_unparsed)
create or replace temp macro line_item_model(line_item) as
  nullif(regexp_extract(line_item, '^([^,\s]+), ([^,]*[^,\s])$', 1), '');

create or replace temp macro line_item_usage_type(line_item) as
  nullif(regexp_extract(line_item, '^([^,\s]+), ([^,]*[^,\s])$', 2), '');
