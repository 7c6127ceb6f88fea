-- reads: anthropic.organization
select connection, 'id' as known_by, id as organization
from anthropic.organization
where valid_to is null
