-- which person each id is. Ids are one person if an entry of the connections file says so, if the same address is stored of them, or if
-- they are the same id of one provider, also in several steps. Entries have the last word: an id that one names is never another
-- person's, and ids that lead to several persons of entries are a person of their own. Nothing is guessed from names, and names are
-- shown only where the policy of all of a person's connections keeps them
-- reads: costs.daily_costs_by_key, costs.allocated_costs_by_key, costs.usage, costs.names, accounting.connections, accounting.people
-- column connection: Connection: one provider organization or ChatGPT workspace
-- column provider: Provider of the connection
-- column kind: address, login, id or service_account: what the id is
-- column id: Id, as costs and usage name it
-- column person_id: Person in all connections: an address in lower case, or provider (of ids that only a connection knows, connection)
--   and id
-- column person_name: Name of the person where the policies of all their connections keep it, otherwise an id
-- column evidence: How it is known: entry (of the connections file), same address, same id, own id, service account; disputed: entries
--   contradict each other
create or replace view costs.people as
with recursive
names as (
  from costs.names
),
used as (
  select connection, provider, user_id as id from costs.daily_costs_by_key
  union
  select connection, provider, user_id from costs.allocated_costs_by_key
  union
  select connection, provider, user_id from costs.usage
  union
  select connection, null, person
  from (
{people}
  )
  union
  select connection, null, id from names where kind = 'user_id'
  union
  select connection, null, service_account_id from names
),
accounts as (
  select connection, id from names where kind = 'user_id' and is_service_account
  union
  select connection, service_account_id from names
),
identities as materialized (
  select
    used.connection,
    coalesce(any_value(connections.provider), max(max(used.provider)) over (partition by used.connection)) as provider,
    used.id,
    case
      when bool_or(accounts.id is not null) then 'service_account'
      when used.id like '%_@_%' or regexp_full_match(used.id, 'person-[0-9a-f]{24}') then 'address'
      when any_value(connections.people_ids) = 'login' then 'login'
      else 'id'
    end as kind,
    coalesce(any_value(connections.people_ids), 'local') = 'local' as is_local,
    any_value(connections.people) as policy,
    any_value(users.name) as name
  from used
  left join accounting.connections as connections on connections.connection = used.connection
  left join accounts on accounts.connection = used.connection and accounts.id = used.id
  left join names as users
    on users.kind = 'user_id'
    and users.connection = used.connection
    and users.id = used.id
  where used.id is not null
  group by used.connection, used.id
),
-- everything that an id is known by: itself, and the addresses that are stored beside it
known as materialized (
  select
    *,
    concat_ws(
      ' ', kind, case when kind = 'address' then null when is_local or kind = 'service_account' then connection else provider end, text
    ) as known_by
  from (
    select connection, provider, id, is_local, policy, kind, if(kind = 'id', id, lower(id)) as text
    from identities
    union
    select connection, provider, id, is_local, policy, 'address', lower(email)
    from (
      select connection, id, email
      from names
      where kind = 'user_id'
      union all by name
{addresses}
    )
    join identities using (connection, id)
    where email is not null and identities.kind <> 'service_account'
  )
),
-- what an entry says of an id itself has precedence over what it says of an address beside it
stated as materialized (
  select known.connection, known.id, entries.person, any_value(entries.name) as name
  from known
  join accounting.people as entries
    on entries.policy = known.policy
    and coalesce(entries.connection, known.connection) = known.connection
    and entries.kind = known.kind
    and entries.id = if(known.policy = 'ids' and known.kind = 'address', sha256(text), text)
  group by known.connection, known.id, entries.person
  qualify row_number() over (
    partition by known.connection, known.id
    order by bool_or(lower(known.id) = lower(text)) desc, entries.person
  ) = 1
),
links as materialized (
  select distinct one.known_by, other.known_by as next
  from known as one
  join known as other using (connection, id)
  where one.known_by <> other.known_by and (connection, id) not in (select (connection, id) from stated)
),
reached as (
  select known_by, next
  from links
  union
  select reached.known_by, links.next
  from reached
  join links on links.known_by = reached.next
),
groups as (
  select known_by, least(known_by, min(next)) as first
  from (select distinct known_by from known)
  left join reached using (known_by)
  group by known_by
),
led as (
  select first, min(person) as person, count(distinct person) as persons
  from groups
  join known using (known_by)
  join stated using (connection, id)
  group by first
),
-- how many ids have what an id is known by
evident as (
  select
    connection,
    id,
    min(first) as first,
    bool_or(times > 1 and kind = 'address') as has_same_address,
    bool_or(times > 1) as has_same_id
  from (select *, count(*) over (partition by known_by) as times from known)
  join groups using (known_by)
  group by connection, id
),
joined as (
  select
    identities.*,
    coalesce(stated.person, if(led.persons = 1, led.person, null), evident.first) as person,
    stated.name as stated_name,
    case
      when kind = 'service_account' then 'service account'
      when stated.person is not null then 'entry'
      when led.persons > 1 then 'disputed'
      when has_same_address then 'same address'
      when has_same_id then 'same id'
      else 'own id'
    end as evidence,
    case
      when kind = 'address' then lower(id)
      else concat_ws(':', if(is_local or kind = 'service_account', identities.connection, provider), if(kind = 'login', lower(id), id))
    end as person_id,
    array_position(['service_account', 'id', 'login', 'address'], kind) as place
  from identities
  join evident using (connection, id)
  left join stated using (connection, id)
  left join led using (first)
)
select
  connection,
  provider,
  kind,
  id,
  first_value(person_id) over first_of_person as person_id,
  coalesce(
    if(
      kind = 'service_account' or bool_and(coalesce(policy = 'names', false)) over of_person,
      coalesce(min(stated_name) over of_person, first_value(name ignore nulls) over first_of_person),
      null
    ),
    first_value(id) over first_of_person
  ) as person_name,
  evidence
from joined
window
  of_person as (partition by person),
  first_of_person as (
    partition by person order by place, person_id, connection rows between unbounded preceding and unbounded following
  );

comment on view costs.people is
  'One row per connection and id of a person or service account: the person that it is, and the evidence'
