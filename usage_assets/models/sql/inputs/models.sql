-- what was stated of models, as a digest
select days.connection, usage_date, 'models' as input, digest as value
from days, ledger.stated_models
