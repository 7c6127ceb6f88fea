-- title: Images by size and source
-- explain: --table openai.usage_images {days} --where source={of_source} --where size={of_size} --column images
--   --column num_model_requests
-- reads: openai.usage_images
select
  source as of_source,  -- for explain
  size as of_size,  -- for explain
  coalesce(source, 'not stated') as source,
  coalesce(size, 'not stated') as size,
  sum(images)::bigint as images,
  sum(num_model_requests)::bigint as requests
from openai.usage_images
where usage_date between $first and $last
group by all
order by images desc, source, size
