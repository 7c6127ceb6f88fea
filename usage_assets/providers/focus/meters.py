"""What a charge says in its own words: the model, the kind of usage and the number of tokens.

FOCUS has no columns for them before 1.5. Kinds of tokens are called as Anthropic calls its own. Sources: AWS's usage
types of Bedrock (``USE1-Claude4.5Sonnet-cache-read-input-token-count``) and of the AWS Marketplace
(``USE1-MP:USE1_CacheWrite1hInputTokenCount-Units``), Azure's meters (``gpt 4o 0806 Inp glbl Tokens``, ``GPT 5 Mini cchd
Inpt Glbl 1M Tokens``, ``GPT 5.1 cd inp Gl 1M Tokens``), Google's SKUs (``Gemini 2.5 Flash Text Input - Predictions``).
A name of another form stays as it is.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache

import msgspec

CACHE_WRITE = "cache_creation.ephemeral_5m_input_tokens"
CACHE_WRITE_1H = "cache_creation.ephemeral_1h_input_tokens"
CACHE_READ = "cache_read_input_tokens"
INPUT = "uncached_input_tokens"
OUTPUT = "output_tokens"
KINDS = (
    (re.compile(r"cache[- ]?(write|creation).*(?<!\d)1h", re.I), CACHE_WRITE_1H),
    (re.compile(r"cache[- ]?(write|creation)|\bcd[- ]wr\b", re.I), CACHE_WRITE),
    (re.compile(r"cache[- ]?read|\b(cached|cchd)\b|\b(cach|cd)[- ]inpt?\b|caching", re.I), CACHE_READ),
    (re.compile(r"(?<![a-z])(output(?=tokencount)|(output|outpt?|opt|out)(?![a-z]))", re.I), OUTPUT),
    (re.compile(r"(?<![a-z])(input(?=tokencount)|(input|inpt?|in)(?![a-z]))", re.I), INPUT),
)
"""The first that is found in the name of a token meter says which tokens it counts."""
STATED = {"input": INPUT, "output": OUTPUT, "cacheread": CACHE_READ, "cachewrite": CACHE_WRITE}
"""Kinds as the examples of the FOCUS specification spell them in TokenType. Other spellings stay as they are."""
METERS = ("SkuMeter", "x_UsageType", "x_SkuMeterName", "x_SkuDescription")
"""Columns that may name what is metered, the best first."""
_REGION = r"(?:(?:USE|USW|UGW|UGE|CAN|CAW|SAE|MXC|EUC|EUN|EUW|EUS|EU|APN|APS|APE|MEC|MES|ILC|AFS)\d*-)?"
_BEDROCK = re.compile(rf"{_REGION}(.+?)(?:-mantle)?-(?:cache-(?:read|write)-(?:1h-)?)?(?:input|output)-token.*")
_AZURE = re.compile(r"(.+?)[ -](?:cached|cchd|cach|cd|inpt?|input|outpt?|opt|output)\b.*tokens?", re.I)
_GOOGLE = re.compile(r"(gemini [\d.]+ (?:flash lite|flash|pro|ultra|nano)).*", re.I)
_CLAUDE = re.compile(r"Claude(\d+)(?:\.(\d+))?(Opus|Sonnet|Haiku)")
_VENDOR = re.compile(r"[a-z0-9]+\.(?=[a-z])")
_UNIT = re.compile(r"(?:(\d+) ?([km]|thousand|million)?|([km]|thousand|million))? ?tokens?", re.I)
_TIMES = {"k": 1000, "thousand": 1000, "m": 1_000_000, "million": 1_000_000}


@lru_cache(4096)
def model_in(meter: str) -> str | None:
    """Return the model that the name of a meter names.

    >>> model_in("USE1-Claude4.5Sonnet-input-tokens-cross-region-global")
    'claude-sonnet-4-5'
    >>> model_in("USE1-anthropic.claude-opus-4-8-mantle-output-tokens-standard")
    'claude-opus-4-8'
    >>> model_in("gpt 4o 0806 cached Inp glbl Tokens"), model_in("GPT 5.1 cd inp Gl 1M Tokens")
    ('gpt-4o-0806', 'gpt-5.1')
    """
    found = next((found for form in (_BEDROCK, _AZURE, _GOOGLE) if (found := form.fullmatch(meter))), None)
    if found is None:
        return None
    name = _VENDOR.sub("", found[1], count=1) if found.re is _BEDROCK else found[1].lower().replace(" ", "-")
    if claude := _CLAUDE.fullmatch(name):
        major, minor, family = claude.groups()
        return "-".join(filter(None, ("claude", family.lower(), major, minor)))
    return name


@lru_cache(4096)
def kind_of(meter: str) -> str:
    """Return which tokens a meter counts, or its own name where it counts no tokens.

    >>> kind_of("USW2-Claude4.5Sonnet-cache-write-input-token-count")
    'cache_creation.ephemeral_5m_input_tokens'
    >>> kind_of("Gemini 3 Flash Text Input Caching Storage")
    'Gemini 3 Flash Text Input Caching Storage'
    """
    if ("token" not in meter.lower() and not _GOOGLE.fullmatch(meter)) or "storage" in meter.lower():
        return meter
    return next((kind for form, kind in KINDS if form.search(meter)), meter)


@lru_cache(4096)
def tokens_per(unit: str) -> int | None:
    """Return how many tokens a unit has; None for a unit of something else.

    >>> tokens_per("1K tokens"), tokens_per("Tokens"), tokens_per("1M Tokens"), tokens_per("Hours")
    (1000, 1, 1000000, None)
    """
    if not (found := _UNIT.fullmatch(unit.strip())):
        return None
    number, prefix, alone = found.groups()
    return int(number or 1) * _TIMES.get((prefix or alone or "").lower(), 1)


def tokens_of(row: Mapping[str, object]) -> int | None:
    """Return the tokens of a charge: consumed, or else priced; None where neither is in tokens."""
    for quantity, unit in (("ConsumedQuantity", "ConsumedUnit"), ("PricingQuantity", "PricingUnit")):
        number, name = row.get(quantity), row.get(unit)
        if isinstance(number, str) and isinstance(name, str) and (per := tokens_per(name)):
            return round(Decimal(number) * per)
    return None


def details_of(row: Mapping[str, object]) -> Mapping[str, object]:
    """Return SkuPriceDetails, which has FOCUS 1.5's keys of the model where its writer knows them."""
    text = row.get("SkuPriceDetails")
    try:
        found = msgspec.json.decode(text) if isinstance(text, str) else {}
    except msgspec.DecodeError:
        found = {}
    return found if isinstance(found, dict) else {}


def described(row: Mapping[str, object]) -> dict[str, object]:
    """Return model, kind of usage and tokens of a charge, as far as it states them."""
    details = details_of(row)
    meter = next((text for name in METERS if isinstance(text := row.get(name), str)), None)
    kind = row.get("x_TokenType") or details.get("x_TokenType")
    if kind is None and isinstance(token_type := details.get("TokenType"), str):
        kind = STATED.get(token_type.lower(), token_type)
    if kind is None and "x_SourceTable" in row:  # our own export
        kind = row.get("x_UsageType")
    elif kind is None:
        kind = kind_of(meter) if meter else None
    stated = row.get("x_Model") or details.get("ModelId")
    model = stated or (model_in(meter) if meter else None)
    return {"Model": model, "UsageType": kind, "Tokens": tokens_of(row)}
