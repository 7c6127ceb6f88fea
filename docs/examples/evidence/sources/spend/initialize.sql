-- days are UTC; DuckDB 1.5 can wait forever for a union that is larger than its buffer (duckdb/duckdb issue 22215)
set TimeZone = 'UTC'; set streaming_buffer_size = '1TB';
