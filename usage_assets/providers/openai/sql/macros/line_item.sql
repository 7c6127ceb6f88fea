-- the model and the kind of usage in an OpenAI line item such as "gpt-5, cached input"; one without a comma, such as "web
-- search tool calls", is a kind of usage by itself. It is no stable grammar: anything else stays whole, and is counted
-- (costs.daily_costs, line_items_unparsed)
create or replace temp macro line_item_model(line_item) as
  if(regexp_full_match(line_item, '[^,\s]+, [^,]*[^,\s]'), split_part(line_item, ', ', 1), null);

create or replace temp macro line_item_usage_type(line_item) as
  case
    when line_item_model(line_item) is not null then split_part(line_item, ', ', 2)
    when regexp_full_match(line_item, '[^,]*[^,\s][^,]*') then line_item
  end;
