-- requests and tokens of port_entities.openai_daily_usage add up to openai_legacy.usage
select
  connection,
  usage_date,
  total,
  coalesce(sum(expected), 0) as expected,
  coalesce(sum(found), 0) as found
from (
  unpivot (
    select
      connection,
      usage_date,
      requests as total_requests,
      context_tokens + generated_tokens as total_tokens
    from openai_legacy.usage
  )
  on columns(* exclude (connection, usage_date))
  into name total value expected
  union all by name
  unpivot (
    select
      connection,
      usage_date,
      total_requests,
      total_tokens
    from port_entities.openai_daily_usage
  )
  on columns(* exclude (connection, usage_date))
  into name total value found
)
group by connection, usage_date, total
having coalesce(sum(expected), 0) <> coalesce(sum(found), 0)
