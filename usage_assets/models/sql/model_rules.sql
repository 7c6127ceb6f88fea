-- what one name of a model means, {name}: no row for none. docs/money.md has the rules by number. Each name is read once, however many
-- rows have it, and a filter of these rows needs the names of no others
-- reads: accounting.models
with
-- of each developer: the first words of its models' names, and their forms; text is the first word of two developers' models
forms as (
  from (
    values
      (
        'Anthropic',
        ['claude'],
        'claude-(2|2\.1|instant-1(\.\d)?|3(-\d)?-(opus|sonnet|haiku)|(opus|sonnet|haiku|fable|mythos)-\d(-\d{1,2})?|mythos-preview)'
      ),
      (
        'OpenAI',
        ['gpt'],
        'gpt-(3\.5-turbo|4|4o|\d\.\d|[5-9])'
        '(-(turbo|mini|nano|pro|codex|max|spark|chat|audio|realtime|transcribe|diarize|tts|search|api|preview|instruct|vision|16k|32k|sol|terra|luna|astra|cyber|law|rosalind))*'
        '|gpt-image-\d(\.\d)?(-(mini|flare|sunburst))?|gpt-(realtime|audio|live)(-\d(\.\d)?)?(-(mini|translate|whisper))?'
        '|gpt-(live-)?transcribe|gpt-oss(-safeguard)?-(20|120)b'
      ),
      ('OpenAI', ['o'], 'o\d(-(mini|pro|preview|deep-research))*'),
      ('OpenAI', ['text'], 'text-embedding-(3-(small|large)|ada-002)|text-moderation(-stable)?|text-davinci-00\d'),
      (
        'OpenAI',
        ['babbage', 'chatgpt', 'codex', 'computer', 'dall', 'davinci', 'omni', 'sora', 'tts', 'whisper'],
        'chatgpt-(4o|image)|codex-mini|computer-use-preview|dall-e-[23]|tts-1(-hd)?|whisper-1|sora-2(-pro)?|omni-moderation|(davinci|babbage)-002'
      ),
      (
        'Google',
        ['gemini'],
        'gemini-((omni|live)-)?\d(\.\d)?'
        '(-(pro|flash|ultra|nano|lite|8b|preview|exp|image|generation|tts|live|native|audio|dialog|thinking|computer|use|cyber|transcribe'
        '|translate|extended|argon|hydrogen))*'
        '|gemini-omni-flash(-preview)?|gemini-robotics-er-\d(\.\d)?(-(streaming|preview))*'
        '|gemini-embedding(-\d)?(-preview)?'
      ),
      ('Google', ['text'], 'text-(multilingual-)?embedding-00\d'),
      (
        'Google',
        ['gemma', 'imagen', 'veo'],
        '(imagen|veo)-\d(\.\d)?(-(fast|ultra|lite|generate|preview))*|gemma-\dn?(-e?\d+b)?(-a\d+b)?(-it)?'
      ),
      (
        'xAI',
        ['grok'],
        'grok-\d(\.\d+)?(-(fast|mini|beta|reasoning|non-reasoning|vision|image|heavy|multi-agent))*|grok-code-fast-\d'
      ),
      (
        'DeepSeek',
        ['deepseek'],
        'deepseek-(chat|reasoner|coder|r1|v\d(\.\d)?)(-(exp|pro|flash|lite|terminus|speciale|base|zero))*'
        '|deepseek-r1-distill-(llama|qwen)-\d+b'
      ),
      ('Meta', ['llama'], 'llama-\d(\.\d)?-(\d+b|scout|maverick)(-(instruct|vision))*|llama-guard-\d(-\d+b)?'),
      (
        'Mistral AI',
        ['codestral', 'devstral', 'magistral', 'ministral', 'mistral', 'mixtral', 'open', 'pixtral', 'voxtral'],
        '(open-)?(codestral|devstral|magistral|ministral|mistral|mixtral|pixtral|voxtral)'
        '(-(large|medium|small|tiny|nemo|saba|embed|ocr|mini|moderation|instruct|mamba|\d+b|\d+x\d+b|\d(\.\d)?))*(-2\d(0\d|1[0-2]))?'
      ),
      (
        'Amazon',
        ['nova', 'titan'],
        'nova(-\d)?-(micro|lite|pro|premier|canvas|reel|sonic|omni)'
        '|titan-(embed-text|embed-image|text-express|text-lite|text-premier|image-generator)(-v\d)?'
      ),
      (
        'Cohere',
        ['command', 'embed', 'rerank'],
        'command(-(r|r-plus|r7b|a|a-plus|light|vision|reasoning))*|(embed|rerank)(-(english|multilingual|light))*-v\d(\.\d)?(-(fast|pro))?'
      ),
      (
        'Alibaba',
        ['qwen', 'qwq'],
        'qwen-?(\d(\.\d)?)?(-(max|plus|turbo|flash|coder|vl|omni|next|instruct|thinking|preview|\d+b|a\d+b|2507))+|qwq-32b'
      ),
      ('Moonshot AI', ['kimi'], 'kimi-k\d(\.\d)?(-(thinking|turbo|instruct|preview|code|pro|highspeed))*'),
      ('Z.ai', ['glm'], 'glm-\d(\.\d)?v?(-(air|airx|flash|flashx|x|turbo|code))*'),
      ('MiniMax', ['minimax'], 'minimax-m\d(\.\d)?(-(lightning|highspeed))?'),
      ('Cursor', ['composer'], 'composer-\d(\.\d)?'),
      ('Perplexity', ['sonar'], 'sonar(-(pro|reasoning|deep-research))*'),
      ('Microsoft', ['mai'], 'mai-code-\d(\.\d)?(-flash)?'),
      ('Microsoft', ['phi'], 'phi-\d(\.\d)?(-(mini|small|medium|moe|multimodal|vision|reasoning|plus|instruct|4k|8k|128k))*')
  ) as forms(developer, first_words, form)
),
heads as (
  select developer, unnest(first_words) as head, form
  from forms
),
-- of each provider that has such words: its variants, at the end and at the start of a name, and what it lists that is no model
lists as (
{model_names}
),
asked as (
  select {name}
),
-- rule 2: what stands before a model is its variant, and what was trained further is fine-tuned: auto: X, ft:X:organization
called as (
  select
    provider,
    model,
    lower(trim(model)) as name,
    coalesce(variant_words, []) as variant_words,
    not_models,
    if(
      list_contains(variant_prefixes, regexp_extract(name, '^(\w+):', 1)),
      regexp_extract(name, '^(\w+):', 1),
      null
    ) as prefix,
    if(prefix is null, name, ltrim(name[len(prefix) + 2 :])) as unprefixed,
    coalesce(
      nullif(regexp_extract(unprefixed, '(?:^|/)ft:([^:]+)', 1), ''),
      nullif(regexp_extract(unprefixed, '([^:/]+):ft-', 1), '')
    ) as base,
    coalesce(base, unprefixed) as called
  from asked
  left join lists using (provider)
  where model is not null
),
-- rule 3: the seller's path, region and vendor stand before a model, its own version and marks after it
sold as (
  select
    *,
    regexp_extract(called, '[^/]*$') as place,
    coalesce(
      nullif(
        regexp_extract(called, '/(us|us-gov|eu|apac|global|global-standard|[a-z]{2}-(?:gov-)?(?:north|south|east|west|central)+-\d)/[^/]*$', 1),
        ''
      ),
      nullif(regexp_extract(place, '^(global|us|us-gov|eu|apac|jp|au|ca|in)\.[a-z0-9]+\.', 1), '')
    ) as region,
    regexp_replace(place, '^(?:global|us|us-gov|eu|apac|jp|au|ca|in)\.', '') as in_region,
    regexp_replace(
      regexp_replace(
        regexp_replace(in_region, '^deepseek\.(r|v\d\.)', 'deepseek-\1'),
        -- Cohere's own number: rerank-v3-5:0 is rerank-v3.5, and embed-v4:0 embed-v4.0
        '^(cohere\.(?:embed|rerank)-v\d)(?:-(\d):\d|:(\d))$',
        '\1.\2\3'
      ),
      '^(?:(?:ai21|amazon|anthropic|cohere|google|meta|minimax|mistral|moonshot|moonshotai|openai|qwen|xai|zai)\.'
      '|(?:amazon|anthropic|cohere|google|meta|openai) |databricks-)',
      ''
    ) as of_vendor,
    regexp_extract(of_vendor, '(?:\[(1m)\]|:(free|beta|thinking|online|nitro|floor|extended|exacto))$') as marked,
    regexp_extract(marked, '\w+') as mark,
    of_vendor[: len(of_vendor) - len(marked)] as unmarked,
    regexp_replace(
      regexp_replace(
        regexp_replace(regexp_replace(unmarked, '^claude-v(\d)$', 'claude-\1'), '^claude-v(\d):(\d)$', 'claude-\1.\2'),
        '^(titan-.*-v\d):\d$',
        '\1'
      ),
      '(?:-v?\d:\d(?::\d+k)?|@default|-maas)$|(?:(^claude-.*|^nova-.*)-v1)$',
      '\1'
    ) as unsold
  from called
),
-- rule 4: one spelling, without blanks. A date or number at the end is the version; latest is none, because it moves
dated as (
  select
    *,
    regexp_replace(
      regexp_replace(regexp_replace(unsold, '[ _()]+', '-', 'g'), '-$', ''),
      '(\d)p(\d)',
      '\1.\2'
    ) as in_one_word,
    -- Claude Opus 4.8 (fast mode) (preview)
    regexp_replace(in_one_word, '^(claude-.*\d.*?)(?:-mode)?(?:-preview)?$', '\1') as spelled,
    coalesce(
      nullif(regexp_extract(spelled, '[-@](20\d\d-?\d\d-?\d\d)$', 1), ''),
      nullif(regexp_extract(spelled, '^(?:gpt|o\d|grok|deepseek|kimi)-?.*-((?:0\d|1[0-2])(?:[0-2]\d|3[01]))$', 1), ''),
      nullif(regexp_extract(spelled, '^command-.*-((?:0\d|1[0-2])-20\d\d)$', 1), ''),
      nullif(regexp_extract(spelled, '^gemini-.*-preview-(\d\d-(?:20)?\d\d)$', 1), ''),
      nullif(regexp_extract(spelled, '^(?:gemini|imagen|veo)-.*-(00\d)$', 1), ''),
      nullif(regexp_extract(spelled, '^text-embedding-ada-002-(v2)$', 1), '')
    ) as version,
    if(
      version is null,
      regexp_replace(spelled, '-latest$', ''),
      spelled[: len(spelled) - len(version) - 1]
    ) as undated
  from sold
),
-- rule 5: words at the end are variants if the provider's list has them; no Claude model has such words in its name
varied as (
  select
    *,
    list_reverse(string_split(undated, '-')) as words,
    -- grok-4-fast and gpt-5.1-codex-max are models
    list_filter(
      variant_words,
      lambda word: (word <> 'fast' or not starts_with(undated, 'grok')) and (word <> 'max' or not contains(undated, '-codex-max'))
    )
      || if(starts_with(undated, 'claude'), ['thinking', 'fast', '1m'], []) as known_words,
    coalesce(list_position(list_transform(words, lambda word: list_contains(known_words, word)), false), 1) - 1 as variant_length,
    array_to_string(list_reverse(words[variant_length + 1 :]), '-') as unvaried
  from dated
),
-- rule 6: the order of words: claude-4.5-sonnet, Claude4.5Sonnet and claude-sonnet-4.5 are claude-sonnet-4-5
ordered as (
  select
    *,
    regexp_replace(
      regexp_replace(unvaried, '^claude-?(\d(?:[.-]\d{1,2})?)-?(opus|sonnet|haiku|fable|mythos)$', 'claude-\2-\1'),
      '^(claude-[a-z]+-\d)[.-](\d{1,2})$',
      '\1-\2'
    ) as number_last,
    regexp_replace(
      regexp_replace(number_last, '^(claude-[a-z]+-\d)-0$', '\1'),
      -- before Claude 4, Anthropic writes the number first
      '^claude-(opus|sonnet|haiku)-([1-3](?:-\d)?)$',
      'claude-\2-\1'
    ) as of_anthropic,
    regexp_replace(
      regexp_replace(of_anthropic, '^nova-?(micro|lite|pro|premier|canvas|reel|sonic)$', 'nova-\1'),
      '^nova-?(\d)(?:\.0)?-?(micro|lite|pro|premier|sonic|omni)$',
      'nova-\1-\2'
    ) as of_amazon,
    regexp_replace(
      regexp_replace(
        regexp_replace(of_amazon, '^(?:meta-)?llama-?v?(\d)[.-](\d)-(\d+b)\b', 'llama-\1.\2-\3'),
        '^(?:meta-)?llama-?v?(\d)-(\d+b|scout|maverick)\b',
        'llama-\1-\2'
      ),
      '^(llama-4-(?:scout|maverick))-17b(?:-\d+e)?(?:-instruct)?$',
      '\1'
    ) as of_meta,
    regexp_replace(
      regexp_replace(regexp_replace(of_meta, '^gpt-?35-', 'gpt-3.5-'), '^grok-(\d)-(\d{1,2})(-|$)', 'grok-\1.\2\3'),
      '^deepseek-chat-v',
      'deepseek-v'
    ) as ordered
  from varied
),
-- what [[model]] states of a name comes before the rules, and of the provider's name before that of every provider's
known as (
  select
    ordered.*,
    models.family as stated_family,
    models.version as stated_version,
    models.variant as stated_variant,
    coalesce(models.family, ordered) as found,
    coalesce(list_contains(not_models, undated), false)
      or undated in ('auto', 'default', 'no-model', 'none', 'other', 'unknown') as is_no_model,
    coalesce(regexp_full_match(found, form) and (not is_no_model or models.family is not null), false) as is_form,
    if(is_form, heads.developer, null) as developer
  from ordered
  left join accounting.models as models
    on models.model = ordered.model
    and coalesce(models.provider, ordered.provider) = ordered.provider
  left join heads
    on head = regexp_extract(coalesce(models.family, ordered), '^[a-z]+')
  qualify row_number() over (partition by ordered.provider, ordered.model order by models.provider nulls last, is_form desc) = 1
)
select
  if(stated_family is null and not is_form, model, found) as family,
  case
    when stated_family is not null then stated_version
    when is_form and length(version) = 8 then coalesce(strftime(try_strptime(version, '%Y%m%d'), '%Y-%m-%d'), version)
    when is_form then version
  end as version,
  case
    when stated_family is not null then stated_variant
    when is_form then nullif(
      array_to_string(
        list_sort(
          list_distinct(
            [prefix, if(base is null, null, 'fine-tuned'), region, nullif(mark, '')]
              || words[: variant_length]
          )
        ),
        ' '
      ),
      ''
    )
  end as variant,
  developer,
  case
    when stated_family is not null then 'stated'
    when not is_form then 'unresolved'
    when ordered <> unvaried then 'rule:6'
    when variant_length > 0 then 'rule:5'
    when undated <> unsold or name <> model then 'rule:4'
    when unsold <> called then 'rule:3'
    when called <> name then 'rule:2'
    else 'rule:1'
  end as source,
  case
    when stated_family is not null or is_form then null
    when is_no_model then 'not a model'
    else 'no known form'
  end as reason
from known
