-- what sources state of their charges, summed as the costs are: quantity, list amount, category. A quantity that is_split is that
-- of a bill which the allocation splits by what is no quantity of it
-- columns: costs.daily_costs
-- column line_item: Line item of the row of costs.daily_costs
-- column list_amount: Amount at list price; null: not stated [native_unit; list; within currency]
-- column quantity: Quantity that is billed; null: not stated [unit]
-- column unit: Unit of the quantity, as the source spells it
-- column user_id: User of the row of costs.daily_costs
-- column currency: Currency, ISO 4217; of credits, null
-- column category: Usage, Purchase or another category of FOCUS; null: Usage
-- column frequency: Frequency of FOCUS, such as Recurring; null: Usage-Based
-- column is_split: true: the quantity is that of a bill which costs.allocated_costs splits, and is split with it
create or replace view costs.quantities as
select *
from (
{quantities}
);

comment on view costs.quantities is
  'What sources state of their charges besides the amount: quantity, unit, list amount, category. Rows are those of costs.daily_costs';
