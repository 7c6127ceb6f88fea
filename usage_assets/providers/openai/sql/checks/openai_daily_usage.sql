-- requests and tokens of port_entities.openai_daily_usage add up to those of OpenAI's usage reports (see
-- macros/openai_model_requests.sql for why web searches are not among them)
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
      num_model_requests as total_requests,
      coalesce(input_tokens, 0) + coalesce(output_tokens, 0) as total_tokens
    from (
      from openai.usage_completions
      union all by name
      from openai.usage_decisions
      union all by name
      from openai.usage_embeddings
      union all by name
      from openai.usage_moderations
      union all by name
      from openai.usage_images
      union all by name
      from openai.usage_audio_speeches
      union all by name
      from openai.usage_audio_transcriptions
    )
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
