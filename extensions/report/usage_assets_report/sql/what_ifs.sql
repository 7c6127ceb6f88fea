-- what each model was billed, and what the list price of the same tokens is on another one
from costs.what_if($first, $last)
