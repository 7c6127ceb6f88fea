-- who owned what on each day, as a digest
select days.connection, usage_date, 'owners' as input, coalesce(digest, 'nobody') as value
from days
asof left join ledger.owner_periods on usage_date >= valid_from
