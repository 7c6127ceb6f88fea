-- the rows to export (exported) as a CSV file has them
select written(columns(*))
from exported
