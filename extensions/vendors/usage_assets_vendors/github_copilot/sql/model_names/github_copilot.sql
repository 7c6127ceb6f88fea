-- "Auto: Claude Sonnet 4.5" has a discount; Copilot does not say which models its own features use
select
  'github_copilot' as provider,
  []::varchar[] as variant_words,
  ['auto'] as variant_prefixes,
  ['code-review-model', 'coding-agent-model'] as not_models
