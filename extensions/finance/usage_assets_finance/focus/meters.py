"""What a charge says in its own words: the model, the kind of usage and the number of tokens.

FOCUS has no columns for them before 1.5. Kinds of tokens are called as Anthropic calls its own. Sources: AWS's usage
types of Bedrock (``USE1-Claude4.5Sonnet-cache-read-input-token-count``) and of the AWS Marketplace
(``USE1-MP:USE1_CacheWrite1hInputTokenCount-Units``, ``USE1-MP:USE1_cache_write_tokens_1h_standard-Units``: the model is
in the name of the service), Azure's meters (``gpt 4o 0806 Inp glbl Tokens``, ``GPT 5 Mini cchd Inpt Glbl 1M Tokens``,
``5.5 ShortCo cd inp Gl 1M Tokens``: the model's first word is in the subcategory) and those of its Marketplace
(``Claude Sonnet 4.6 - msft-sonnet-4-6-flat-100 - paygo-inference-input-tokens``: a plan is in the middle; or the kind
alone), Google's SKUs (``Gemini 2.5 Flash Text Input - Predictions``, ``Generate content input token count gemini 2.5
flash text``). A name of another form stays as it is.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache

import msgspec

from usage_assets.provider import money

CACHE_WRITE = "cache_creation.ephemeral_5m_input_tokens"
CACHE_WRITE_1H = "cache_creation.ephemeral_1h_input_tokens"
CACHE_READ = "cache_read_input_tokens"
INPUT = "uncached_input_tokens"
OUTPUT = "output_tokens"
KINDS = (
    (re.compile(r"cache[- ]?(write|creation).*(?<!\d)1(h|-hour)", re.I), CACHE_WRITE_1H),
    (re.compile(r"cache[- ]?(write|creation)(?!.*(?<!\d)30m)|\bcd[- ]wr\b", re.I), CACHE_WRITE),
    (
        re.compile(r"cache[- ]?(read|hit)|\b(cached|c?cchd)\b|\b(cach|cd)[- ](inpt?|in|txt|img)\b|caching", re.I),
        CACHE_READ,
    ),
    (re.compile(r"(?:(?<![a-z])|(?<=batch))(output(?=token)|(output|outpt?|opt|out)(?![a-z]))", re.I), OUTPUT),
    (re.compile(r"(?:(?<![a-z])|(?<=batch))(input(?=token)|(input|inpt?|in)(?![a-z]))|\bembedding\b", re.I), INPUT),
)
"""The first that is found in the name of a token meter says which tokens it counts."""
STATED = {"input": INPUT, "output": OUTPUT, "cacheread": CACHE_READ, "cachewrite": CACHE_WRITE}
"""Kinds as the examples of the FOCUS specification spell them in TokenType. Other spellings stay as they are."""
METERS = ("SkuMeter", "x_UsageType", "x_SkuMeterName", "x_SkuDescription")
"""Columns that may name what is metered, the best first."""
_REGION = r"(?:(?:USE|USW|UGW|UGE|CAN|CAW|SAE|MXC|EUC|EUN|EUW|EUS|EU|APN|APS|APE|MEC|MES|ILC|AFS)\d*-)?"
_BEDROCK = re.compile(
    rf"{_REGION}(.+?)(?:-mantle)?(?:-text|-speech)?(?:-reserved-\d+-month)?-"
    r"(?:cache-(?:read|write)-(?:1h-)?(?:input-)?|(?:input|output)-(?:(?:audio|image|video)-)?)token.*"
)
_PLAN = re.compile(r"(?:(.+?) - .+ - )?paygo-.+tokens", re.I)
_EMBEDDING = re.compile(r"(text[ -]embedding[ -](?:ada|\d)[ -](?:002|small|large)).*tokens?", re.I)
_AZURE = re.compile(
    r"(.+?)(?:[ -](?:img|txt))?[ -](?:cached|c?cchd|cach|cd|inpt?|input|in|outpt?|opt|output|out)\b"
    r".*tokens?(?: - preview)?",
    re.I,
)
_GOOGLE = re.compile(
    r"(?:generate content .*)?"
    r"(gemini [\d.]+ (?:flash lite|flash|pro|ultra|nano|live translate|live)(?: tts| cyber)?).*",
    re.I,
)
_GEMINI_2 = re.compile(r"gemini [2-9]", re.I)
_GOOGLE_IMAGE = re.compile(
    r"(?:generate content .* for )?(gemini [\d.]+ (?:flash lite|flash|pro))(?: native)?( image)"
    r"(?: generation| (?:text|image) (?:input|output).*)?",
    re.I,
)
"""An image is of the model where its name ends, or where another kind of content follows; otherwise it is that kind."""
_RESOLD = re.compile(r"(.+) \(Amazon Bedrock Edition\)")
_MAKERS = (("azure openai gpt", "gpt"), ("azure grok", "grok"), ("azure deepseek", "deepseek"), ("azure kimi", "kimi"))
"""How subcategories of Azure begin, and the word that their meters leave out before the number of the model."""
_NUMBER = re.compile(r"[krv]?\d")
_WITHOUT_POINT = re.compile(r"(?<=^gpt-)(\d)(\d)-?(?=[a-z])")
"""Meters of Azure's flexible tier spell gpt-5.6-sol ``56sol`` and gpt-5.4-mini ``54 mini``."""
_SPELLED = (
    (re.compile(r"^(?:gpt-)?(?:img|image)-(?=\d)"), "gpt-image-"),  # Azure: gpt img 1.5, Image 2
    (re.compile(r"^gemini-3\.0-"), "gemini-3-"),  # Google calls the model gemini-3-pro, and its SKU Gemini 3.0 Pro
)
"""How meters spell a model, and its name."""
_CLAUDE = re.compile(r"Claude(\d+)(?:\.(\d+))?(Opus|Sonnet|Haiku)")
_VENDOR = re.compile(r"^(?!deepseek\.v)[a-z0-9]+\.(?=[a-z])")
"""Stands before the name of a model; ``deepseek.v3.2`` is the name."""
_UNIT = re.compile(r"(?:(\d+) ?([km]|thousand|million)?|([km]|thousand|million))? ?tokens?", re.I)
_SCALE = re.compile(r"1?[km]", re.I)
"""A unit of Azure that says how many, and not of what: its meter does."""
_BLOCK = re.compile(r"10{3,8}(?:\.0*)?")
"""A thousand and more. A block of one does not say how many tokens a unit has that another seller defined."""
_MILLIONS = re.compile(r"\bmillion [^|]*\btokens\b", re.I)
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
    words = words_of(meter)
    forms = (_PLAN, _BEDROCK, _EMBEDDING, _AZURE, _GOOGLE_IMAGE, _GOOGLE)
    found = next((found for form in forms if (found := form.fullmatch(words))), None)
    if found is None or found[1] is None:
        return None
    if found.re is _BEDROCK:
        name = _VENDOR.sub("", found[1], count=1)
    else:
        name = "".join(found.groups()).lower().replace(" ", "-")
        for form, spelled in _SPELLED:
            name = form.sub(spelled, name)
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
    words = words_of(meter)
    if not (says_tokens(words) or _GOOGLE.fullmatch(words)) or "storage" in words.lower():
        return meter
    return next((kind for form, kind in KINDS if form.search(words)), meter)


def words_of(meter: str) -> str:
    return meter.replace("_", " ").strip()


def says_tokens(meter: str) -> bool:
    return "token" in meter.lower() and not re.search(r"storage|per[- ]minute", meter, re.I)


def counts_tokens(meter: str) -> bool:
    """Whether a count of a SKU of Google is a token, also where exports call it a request: prices of a million are
    those of a million tokens. Gemini 1 counted characters."""
    words = words_of(meter)
    return "token count" in words.lower() or (_GEMINI_2.match(words) is not None and kind_of(meter) != meter)


@lru_cache(4096)
def tokens_per(unit: str, meter: str = "") -> int | None:
    """Return how many tokens a unit of a meter has; None for a unit of something else.

    >>> tokens_per("1K tokens"), tokens_per("Tokens"), tokens_per("1M Tokens"), tokens_per("Hours")
    (1000, 1, 1000000, None)
    >>> tokens_per("1K", "gpt 4o 0806 Inp glbl Tokens"), tokens_per("1K", "Images"), tokens_per("1", "Inp Tokens")
    (1000, None, None)
    >>> tokens_per("count", "Generate content input token count gemini 3 flash"), tokens_per("count", "Images")
    (1, None)
    >>> tokens_per("requests", "Gemini 2.5 Flash GA Text Input - Predictions"), tokens_per("requests", "Grounding")
    (1, None)
    """
    unit = unit.strip()
    if unit.lower() in ("count", "requests") and counts_tokens(meter):
        return 1
    if _SCALE.fullmatch(unit) and says_tokens(meter):
        unit += " tokens"
    if not (found := _UNIT.fullmatch(unit)):
        return None
    number, prefix, alone = found.groups()
    return int(number or 1) * _TIMES.get((prefix or alone or "").lower(), 1)


def tokens_in_units(row: Mapping[str, object], meter: str, stated: str) -> Decimal | None:
    """Return how many tokens one of ``Units`` has. Azure's are what the meter counts, and priced in blocks (its unit
    ``1K`` is a block of 1,000 ``Units``: PricingUnits.csv of Microsoft's FinOps toolkit). Those of the AWS Marketplace
    are millions, if the description says so: ``Million Input Tokens``."""
    block = row.get("x_PricingBlockSize")
    if isinstance(block, str) and _BLOCK.fullmatch(block) and says_tokens(meter):
        return Decimal(1) if stated == "Consumed" else Decimal(block)
    description = str(row.get("ChargeDescription"))
    return Decimal(1_000_000) if _MILLIONS.search(description) and says_tokens(description) else None


@money.exactly()
def tokens_of(row: Mapping[str, object], meter: str | None) -> Decimal | None:
    """Return the tokens that a charge was for: consumed, or priced where it does not state what was consumed. They may
    have a fraction, because many charges are parts of one.

    None where these are not tokens, and where nothing was used: what is bought, credited or taxed, and the part of a
    commitment that nobody used. A correction that takes use back has a negative number of them.
    """
    status = row.get("CommitmentDiscountStatus") or row.get("ChargeSubcategory")  # the latter in 1.0-preview
    if row.get("ChargeCategory") != "Usage" or str(status).lower().startswith("unused"):
        return None
    stated = "Pricing" if row.get("ConsumedQuantity") is None else "Consumed"
    number, unit = row.get(f"{stated}Quantity"), row.get(f"{stated}Unit")
    if not isinstance(number, str) or not isinstance(unit, str):
        return None
    if unit.strip().lower() == "units":
        per: Decimal | int | None = tokens_in_units(row, meter or "", stated)
    else:
        per = tokens_per(unit, meter or "")
    return None if per is None else Decimal(number) * per


def object_in(row: Mapping[str, object], name: str) -> Mapping[str, object]:
    """Return the JSON object in a column; an empty one where there is none."""
    text = row.get(name)
    try:
        found = msgspec.json.decode(text) if isinstance(text, str) else {}
    except msgspec.DecodeError:
        found = {}
    return found if isinstance(found, dict) else {}


def model_of(row: Mapping[str, object], meter: str | None) -> str | None:
    """Return the model that a charge names: its meter, with Azure's subcategory, or service of AWS's Marketplace."""
    if meter and (name := model_in(meter)):
        sold_as = str(row.get("x_SkuMeterSubcategory") or "").lower()
        word = next((word for start, word in _MAKERS if sold_as.startswith(start)), None)
        return _WITHOUT_POINT.sub(r"\1.\2-", f"{word}-{name}") if word and _NUMBER.match(name) else name
    resold = _RESOLD.fullmatch(str(row.get("ServiceName") or ""))
    return resold[1] if resold else None


def described(row: Mapping[str, object]) -> dict[str, object]:
    """Return model, kind of usage and tokens of a charge, as far as it states them."""
    details = object_in(row, "SkuPriceDetails")  # FOCUS 1.5 defines keys of the model
    meter = next((text for name in METERS if isinstance(text := row.get(name), str)), None)
    if meter is None and _GOOGLE.fullmatch(said := words_of(str(row.get("ChargeDescription")))):
        meter = said  # exports of Google Cloud have no other name of a SKU
    kind = row.get("x_TokenType") or details.get("x_TokenType")
    if kind is None and isinstance(token_type := details.get("TokenType"), str):
        kind = STATED.get(token_type.lower(), token_type)
    if kind is None and "x_SourceTable" in row:  # our own export
        kind = row.get("x_UsageType")
    elif kind is None:
        kind = kind_of(meter) if meter else None
    stated = row.get("x_Model") or details.get("ModelId")
    tokens = tokens_of(row, meter)
    whole = None if tokens is None else round(tokens)
    exact = None if tokens == whole else f"{tokens:f}"
    return {"Model": stated or model_of(row, meter), "UsageType": kind, "Tokens": whole, "ExactTokens": exact}
