-- reads: cursor.members
select 'user_id' as kind, connection, id, name, id as email, valid_from from cursor.members
