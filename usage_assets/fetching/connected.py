"""What a connection's settings mean for its provider: which endpoints to fetch, with which requests, how far back."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from usage_assets.config.settings import Connection, Settings, SettingsError
from usage_assets.core.days import utc_today
from usage_assets.fetching.archive.replay import Replay
from usage_assets.fetching.archive.store import Archive, ArchivePage
from usage_assets.fetching.client import Client
from usage_assets.fetching.scope import Scope
from usage_assets.fetching.transport import HttpOptions
from usage_assets.providers import PROVIDERS
from usage_assets.providers.endpoint import Endpoint, Provider
from usage_assets.providers.lookup import Lookup


def endpoints_of(provider: Provider, connection: Connection) -> Sequence[Endpoint]:
    """Return the endpoints that are fetched. Raises SettingsError for a setting that the provider has no use for."""
    known = [endpoint.name for endpoint in provider.endpoints]
    known += [lookup.name for lookup in provider.lookups]
    if unknown := next((name for name in connection.endpoints if name not in known), None):
        raise connection.refusal("endpoints", unknown, reason=f"{provider.name} has only {', '.join(known)}")
    fetched = [
        endpoint for endpoint in provider.endpoints if connection.endpoints.get(endpoint.name, endpoint.default_on)
    ]
    taken = frozenset[str]().union(*(endpoint.filter_names for endpoint in fetched))
    if untaken := next((name for name in connection.filters if name not in taken), None):
        reason = f"the endpoints that are on take {', '.join(sorted(taken)) or 'no filters'}"
        raise connection.refusal("filters", untaken, reason=reason)
    _refuse_misplaced_ids(provider, connection)
    return fetched


def filters_of(endpoint: Endpoint, connection: Connection) -> Mapping[str, Sequence[str]]:
    return {name: values for name, values in connection.filters.items() if name in endpoint.filter_names}


def lookups_of(connection: Connection) -> Sequence[Lookup]:
    """Return the lookups that are fetched; they are switched as endpoints are."""
    lookups = PROVIDERS[connection.provider].lookups
    return [lookup for lookup in lookups if connection.endpoints.get(lookup.name, lookup.default_on)]


def _refuse_misplaced_ids(provider: Provider, connection: Connection) -> None:
    if misplaced := next((name for name in connection.ids if name not in provider.ids), None):
        raise connection.refusal(misplaced, reason=f"{provider.name} is not asked for one")
    needed = provider.needed_ids(connection.ids)
    if unused := next((name for name in provider.path_parameters if name in {*connection.ids} - {*needed}), None):
        raise connection.refusal(unused, reason=f"state it or {' and '.join(needed)}, not both")
    missing = next((name for name in needed if name not in connection.ids), None)
    if missing and connection.place:
        whose = missing.removesuffix("_id")
        instead = " and ".join(name for name in provider.path_parameters if name not in needed)
        or_else = f" (or state its {instead})" if instead else ""
        raise connection.refusal(missing, reason=f"missing; {provider.name} is asked for one {whose}'s usage{or_else}")


def provider_client(
    connection: Connection, settings: Settings, *, keep: ArchivePage | None = None, **http: Any
) -> Client:
    """Return a client that asks as the connection says; ``http`` replaces options of HttpOptions.

    Raises SettingsError where the connection has no key.
    """
    provider = PROVIDERS[connection.provider]
    if connection.requests_per_second:
        http["requests_per_second"] = connection.requests_per_second
    elif provider.requests_per_minute:
        http["requests_per_second"] = provider.requests_per_minute / 60
    return Client(
        provider,
        scope_of(connection, settings),
        base_url=connection.base_url,
        key=connection.required_key(),
        http=HttpOptions(**http),
        keep=keep,
    )


def scope_of(connection: Connection, settings: Settings) -> Scope:
    named = PROVIDERS[connection.provider].scope_headers.items()
    return Scope(
        connection=connection.name,
        ids=connection.ids,
        headers={header: connection.ids[name] for name, header in named if name in connection.ids},
        filters=connection.filters,
        people=settings.people(connection.people),
    )


def archive_of(settings: Settings) -> Archive | None:
    """Return the archive; None where it is off."""
    if settings.archive_path is None:
        return None
    limits = {"max_megabytes": settings.usage_archive_max_mb, "max_days": settings.usage_archive_max_days}
    return Archive(settings.archive_path, **limits)


def replay_of(connection: Connection, settings: Settings, archive: Archive | None) -> Replay:
    """Return the connection's archived answers. Raises SettingsError where there is no archive."""
    if archive is None:
        raise SettingsError("USAGE_ARCHIVE=off: there is no archive to derive days from")
    return Replay(archive, scope_of(connection, settings))


def earliest_day(
    connection: Connection, provider: Provider, endpoint: Endpoint | None = None, *, from_archive: bool = False
) -> date:
    """Return the first day that can be fetched: the connection's own, or that of the provider, of the endpoint that is
    given, or of their look-backs.

    Only the connection's own binds the archive.
    """
    days = [connection.first_day]
    for served in (provider, endpoint) if not from_archive else ():
        if served and served.first_day:
            days.append(served.first_day)
        if served and served.lookback_days is not None:
            days.append(utc_today() - timedelta(days=served.lookback_days))
    return max(days)


def settling_days(connection: Connection, provider: Provider) -> int:
    """Return for how many days after its end a day of the connection may still be changed by its provider."""
    return provider.settling_days if connection.settling_days is None else connection.settling_days


def cross_check_connection(
    endpoint: Endpoint, connection: Connection, connections: Sequence[Connection]
) -> Connection | None:
    """Return the connection whose rows ``endpoint.cross_check`` cover the same usage: itself, or the only one of the
    other provider and the same organization, where nobody else of its own provider is of that, too.

    Two connections that name no organization are of the same one. One without a key covers nothing.
    """
    if endpoint.cross_check is None:
        return None
    other, _, name = endpoint.cross_check.table.partition(".")
    alike = [
        each
        for each in connections
        if each.ids.get("organization") == connection.ids.get("organization") and each.has_access
    ]
    mine = [each for each in alike if each.provider == connection.provider]
    theirs = [each for each in alike if each.provider == other]
    if other == connection.provider:
        mine = theirs = [connection]
    fetched = {each.name for each in endpoints_of(PROVIDERS[other], theirs[0])} if theirs else ()
    return theirs[0] if len(mine) == len(theirs) == 1 and name in fetched else None
