-- the rows of the files of parts (parts). InvoiceId is filled everywhere or nowhere, as FOCUS's own validator refuses the column
-- where it is filled in some rows; x_InvoiceId always has what is known. No window: DuckDB 1.5.5 fails now and then on one without a
-- partition (duckdb/duckdb#25713)
select * replace (if((select bool_and(x_InvoiceId is not null) from parts), x_InvoiceId, null) as InvoiceId)
from parts
