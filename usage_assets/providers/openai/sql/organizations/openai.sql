-- without a setting, OpenAI takes the organization of the key: one of its provider for all keys of a company
select connection, 'stated' as known_by, 'default' as organization
from accounting.connections
where provider in ('openai', 'openai_legacy') and organization is null
