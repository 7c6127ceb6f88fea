-- members of the team; a member who was removed has no seat
-- reads: cursor.members
select connection, 'cursor' as provider, id, false as states_activity, valid_from, valid_to
from cursor.members
where is_removed is distinct from true
