-- the exported parts of a range as one (parts); InvoiceId is filled everywhere or nowhere in all of them
select * replace (if((select bool_and(x_InvoiceId is not null) from parts), x_InvoiceId, null) as InvoiceId)
from parts
