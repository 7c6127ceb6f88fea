-- InvoiceId is filled everywhere or nowhere, as FOCUS's own validator refuses the column where it is filled in some rows; x_InvoiceId
-- always has what is known. No window: DuckDB 1.5.5 fails now and then on one without a partition (duckdb/duckdb#25713)
update exported
set InvoiceId = null
where InvoiceId is not null and exists (from exported where x_InvoiceId is null)
