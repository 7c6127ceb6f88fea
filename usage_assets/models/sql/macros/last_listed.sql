-- what each id of lookups is called now, or was when it was last listed; the tables are a parameter because DuckDB looks
-- for the tables of a macro when it is created
create or replace temp macro last_listed(lookups) as table
select * replace (nullif(trim(name), '') as name)
from query_table(lookups, true)  -- columns by name: what a lookup does not have is null
qualify row_number() over (partition by connection, id order by valid_from desc) = 1;
