-- one row per reason, connection and unit of what has a cost in the range and cannot be a row of FOCUS
select reason, connection, native_unit, sum(row_count)::bigint as row_count, sum(native_amount) as native_amount
from costs.focus_left_out
where usage_date between $first and $last
group by all
order by all
