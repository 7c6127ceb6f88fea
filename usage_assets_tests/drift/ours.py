"""What our declarations read of an API."""

from collections.abc import Iterable
from datetime import date

import msgspec

from usage_assets.core.days import Window
from usage_assets.providers import PROVIDERS
from usage_assets.providers.endpoint import Endpoint
from usage_assets.providers.lookup import Lookup
from usage_assets.providers.records import OURS
from usage_assets_tests.drift.surface import Asked, normalized

DAY = Window(date(2026, 11, 1), date(2026, 11, 1))
OF_PAGES = frozenset(("group_by", "limit", "page", "after", "before", "order", "page_size"))
"""What is sent where it is needed: groupings are compared by their values, and pages are followed."""
OF_LOOKUPS = frozenset(("id", "connection", "valid_from", "valid_to"))


def surface(*providers: str) -> dict[str, Asked]:
    """The endpoints and lookups of providers that answer one API."""
    found: dict[str, Asked] = {}
    for name in providers:
        for endpoint in PROVIDERS[name].endpoints:
            found.setdefault(normalized(endpoint.path), Asked()).add(of_endpoint(endpoint))
        for lookup in PROVIDERS[name].lookups:
            for path in filter(None, (lookup.path, lookup.own_path)):
                found.setdefault(normalized(path), Asked()).add(_of_lookup(lookup))
    return found


def of_endpoint(endpoint: Endpoint) -> Asked:
    """What an endpoint's rows and requests have."""
    row = endpoint.row
    fields = {name for name in row.__struct_encode_fields__ if name not in OURS} - row.parts.keys()
    for part, model in row.parts.items():
        fields |= {f"{part}.{name}" for name in model.__struct_encode_fields__}
    sent = (*endpoint.window_params(DAY), *endpoint.params, *(name for query in endpoint.queries for name in query))
    filters = {name.removesuffix("[]") for name in endpoint.filters}
    return Asked(fields=fields, group_by=set(endpoint.group_by), parameters={*sent, *filters, *OF_PAGES})


def _of_lookup(lookup: Lookup) -> Asked:
    names: Iterable[str] = lookup.row.__struct_encode_fields__
    parameters = {*lookup.params, *OF_PAGES, *filter(None, (lookup.cursor,))}
    return Asked(fields={*names, *lookup.left_out} - OF_LOOKUPS | {"id"}, parameters=parameters)


def spelled(model: type[msgspec.Struct]) -> set[str]:
    """What a model calls its fields in answers."""
    return {name for name in model.__struct_encode_fields__ if name not in OURS}
