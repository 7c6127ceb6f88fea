-- what GitHub bills of all products, and what each row is: seats of Copilot and use of GitHub Models are costs. Metered use (AI credits,
-- premium requests) is billed per model in the other two reports
-- reads: github_copilot.billing_usage
-- columns: github_copilot.billing_usage
-- column charge: What the row is: seats or models (costs), metered (in the other reports), no AI, or unknown
create or replace view github_copilot.bill as
select
  *,
{charge}
  as charge
from github_copilot.billing_usage;

comment on view github_copilot.bill is
  'One row per row of github_copilot.billing_usage, and its charge: seats and models are costs; metered, no AI and unknown are not'
