-- title: Images by size and source
-- reads: openai.usage_images
select
  coalesce(source, 'not stated') as source,
  coalesce(size, 'not stated') as size,
  sum(images)::bigint as images,
  sum(num_model_requests)::bigint as requests
from openai.usage_images
where usage_date between $first and $last
group by all
order by images desc, source, size
