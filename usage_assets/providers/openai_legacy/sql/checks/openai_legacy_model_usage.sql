-- requests and tokens of port_entities.openai_model_usage add up to openai_legacy.usage
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
      requests,
      context_tokens + generated_tokens as tokens
    from openai_legacy.usage
  )
  on columns(* exclude (connection, usage_date))
  into name total value expected
  union all by name
  unpivot (
    select
      connection,
      usage_date,
      requests,
      tokens
    from port_entities.openai_model_usage
  )
  on columns(* exclude (connection, usage_date))
  into name total value found
)
group by connection, usage_date, total
having coalesce(sum(expected), 0) <> coalesce(sum(found), 0)
