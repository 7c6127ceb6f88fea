-- tokens of charges. Each charge counts one class of them, so the charges of a model and an account are one row: what has no
-- charge was not used. Charges of an unknown class are a row of their own, without counters. Charges may have parts of a token: the
-- sum of a class is rounded, half to even, and what has several classes adds these
-- reads: focus.charges
select
  connection,
  usage_date,
  'focus' as provider,
  model,
  sub_account_id as project_id,
  if(is_known, coalesce(sum(whole) filter (class <> 'output'), 0), null)::bigint as input_tokens,
  if(is_known, coalesce(sum(whole) filter (class = 'cache read'), 0), null)::bigint as cached_input_tokens,
  if(is_known, coalesce(sum(whole) filter (starts_with(class, 'cache write')), 0), null)::bigint as cache_write_tokens,
  if(is_known, coalesce(sum(whole) filter (class = 'cache write 1h'), 0), null)::bigint as cache_write_1h_tokens,
  if(is_known, coalesce(sum(whole) filter (class = 'output'), 0), null)::bigint as output_tokens
from (
  select
    connection,
    usage_date,
    model,
    sub_account_id,
    case
      when usage_type in ('output_tokens', 'output') then 'output'
      when usage_type in ('uncached_input_tokens', 'input_tokens', 'input') then 'input'
      when usage_type in ('cache_read_input_tokens', 'cached_input_tokens', 'cached input') then 'cache read'
      when usage_type = 'cache_creation.ephemeral_1h_input_tokens' then 'cache write 1h'
      when starts_with(usage_type, 'cache_creation') then 'cache write'
    end as class,
    class is not null as is_known,
    sum(coalesce(exact_tokens, tokens)) as exact,
    round(exact) - if(abs(exact - trunc(exact)) = 0.5 and round(exact) % 2 <> 0, sign(exact), 0) as whole
  from focus.charges
  where tokens is not null
  group by connection, usage_date, model, sub_account_id, class
)
group by connection, usage_date, model, sub_account_id, is_known
