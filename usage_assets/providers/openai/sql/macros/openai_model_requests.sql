-- every request to an OpenAI model, whatever it was for, with its tokens (cached ones are inside input; images, speech
-- and transcriptions are not counted in tokens). Web searches are not among them: the model requests that they report
-- are counted in completions already. The schema is a parameter because DuckDB looks for the tables of a macro when it
-- is created, and a warehouse without OpenAI has none. A counter that OpenAI left out is unknown: null.
create or replace temp macro openai_model_requests(provider := 'openai') as table
select
  connection,
  usage_date,
  coalesce(model, 'unknown') as model,
  num_model_requests as requests,
  case
    when coalesce(input_tokens, output_tokens, images, characters, seconds) is not null
      then coalesce(input_tokens, 0) + coalesce(output_tokens, 0)
  end as tokens
from query_table(
  [
    provider || '.usage_completions',
    provider || '.usage_embeddings',
    provider || '.usage_moderations',
    provider || '.usage_images',
    provider || '.usage_audio_speeches',
    provider || '.usage_audio_transcriptions',
    provider || '.usage_decisions'
  ],
  true  -- columns by name: what a report does not have is null
);
