-- what an OpenAI line item says: "gpt-5, cached input", "priority | gpt-5, output", "gpt-image-1 text, input" and "web search tool
-- calls | gpt-4o" have a model and a kind of usage; one without a comma, such as "web search tool calls", is a kind of usage by itself.
-- "whisper" is a model, too: usage calls it whisper-1.
-- It is no stable grammar: anything else stays whole, and is counted (costs.daily_costs, line_items_unparsed)
create or replace temp macro line_item_parts(line_item) as
  case
    when regexp_full_match(line_item, '(?:[a-z]+ \| )?[^,\s|]+(?: (?:text|audio|image))?, [^,]*[^,\s](?:, long context)?')
      then regexp_extract(
        line_item,
        '^(?:([a-z]+) \| )?([^,\s|]+)(?: (text|audio|image))?, (.+)$',
        ['service_tier', 'model', 'modality', 'usage_type']
      )
    when regexp_full_match(line_item, '[^,|]*[^,|\s] \| [^,\s|]+')
      then struct_pack(
        service_tier := '',
        model := split_part(line_item, ' | ', 2),
        modality := '',
        usage_type := split_part(line_item, ' | ', 1)
      )
    when regexp_full_match(line_item, '[^,|]*[^,|\s][^,|]*')
      then struct_pack(
        service_tier := '',
        model := if(line_item = 'whisper', 'whisper-1', null),
        modality := '',
        usage_type := line_item
      )
  end;
