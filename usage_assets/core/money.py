"""Exact amounts: how a provider's number becomes the decimal that is stored.

No float, no Dagster, no database. Stored decimals become dollars in ``models/sql/valued.sql``, by the same rules.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal, InvalidOperation, localcontext
from functools import partial, reduce
from itertools import groupby, repeat
from operator import attrgetter
from typing import NamedTuple

from iso4217 import Currency

PRECISION = 38
SCALE = 24
"""A 17-digit double of a few micro-dollars has 22 decimal places; its cents in dollars have 24."""
TOLERANCE = Decimal("1e-12")
"""Per row: what sums of the same rows may differ by. A provider adds up doubles, in another order for each question."""

_CONTEXT = Context(prec=PRECISION, rounding=ROUND_HALF_EVEN)
_SUMS = Context(prec=2 * PRECISION)
"""Enough for a sum of stored amounts."""
_STEP = Decimal(1).scaleb(-SCALE)
_NAN = Decimal("NaN")
_CENTS = 2
_CODES = frozenset(str(each.code) for each in Currency)
_SMALLEST = ("cents", "minor units")


class AmountError(ValueError):
    """A number that cannot be stored as an exact amount: not finite, or too large."""


def stored(amount: Decimal) -> Decimal:
    """The amount as ``DECIMAL(38,24)`` holds it: equal, or rounded half-even where it has more than 24 places.

    Raises AmountError for NaN, infinities and amounts of 10**14 or more.

    >>> stored(Decimal("0.13080438340307526"))
    Decimal('0.130804383403075260000000')
    """
    try:
        kept = _CONTEXT.quantize(amount, _STEP)
    except InvalidOperation:  # infinite, a signalling NaN, or more than 38 digits at this scale
        kept = _NAN
    if kept.is_nan():
        raise AmountError(f"{amount} is not an amount that can be stored exactly")
    return kept


def all_stored(amounts: Sequence[Decimal]) -> list[Decimal]:
    """Each amount as ``stored`` returns it, in a third of the time. Raises AmountError, without saying which.

    >>> all_stored([Decimal("0.5"), Decimal("-3")])
    [Decimal('0.500000000000000000000000'), Decimal('-3.000000000000000000000000')]
    """
    try:
        kept = [*map(_CONTEXT.quantize, amounts, repeat(_STEP))]
    except InvalidOperation as error:
        raise AmountError("an amount cannot be stored exactly") from error
    if any(map(Decimal.is_nan, kept)):
        raise AmountError("an amount is not a number")
    return kept


@contextmanager
def exactly() -> Iterator[None]:
    """Add and subtract stored amounts exactly in a block, or in a function that this decorates, also with ``sum``.

    Python rounds to 28 digits, and a stored amount may have 38.

    >>> with exactly():
    ...     Decimal("99999.999999999999999999999999") + Decimal("0.000000000000000000000001")
    Decimal('100000.000000000000000000000000')
    """
    with localcontext(_SUMS):
        yield


def total(amounts: Iterable[Decimal]) -> Decimal:
    """The exact sum of stored amounts.

    >>> total([Decimal("99999.999999999999999999999999"), Decimal("0.000000000000000000000001")])
    Decimal('100000.000000000000000000000000')
    """
    return reduce(_SUMS.add, amounts, Decimal(0))


def plain(amount: Decimal) -> str:
    """The shortest text of the same number, without an exponent.

    >>> plain(Decimal("186.500000000000000000000000"))
    '186.5'
    """
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


class Rate(NamedTuple):
    """An exchange rate that amounts were valued with."""

    currency: str
    rate: Decimal
    """USD per unit of the currency."""
    source: str
    valid_from: date | None
    """None: the connections file does not state it any more."""


def rates_in_words(rates: Iterable[Rate]) -> str | None:
    """Return what people read beside amounts that were valued with these rates; None without any.

    >>> rates_in_words([Rate("EUR", Decimal("1.080"), "treasury", date(2026, 1, 1))])
    'EUR at 1.08 (treasury), from 2026-01-01'
    """
    words = []
    of_source = attrgetter("currency", "source")
    for (currency, source), group in groupby(sorted(rates, key=of_source), key=of_source):
        same = [*group]
        ends = dict.fromkeys(plain(each) for each in (min(rate.rate for rate in same), max(rate.rate for rate in same)))
        first = min((rate.valid_from for rate in same if rate.valid_from), default=None)
        words.append(f"{currency} at {' to '.join(ends)} ({source}){f', from {first}' if first else ''}")
    return "; ".join(words) or None


def digits_of(currency: str) -> int:
    """Decimal places of a currency (ISO 4217): 2 for euros, 0 for yen; 2 for codes without a smallest unit (gold), and
    for what is no code."""
    exponent = Currency(currency).exponent if currency in _CODES else None
    return 2 if exponent is None else exponent


def in_words(amounts: Collection[Decimal], unit: str) -> Mapping[Decimal, str]:
    """Each amount as people read it, with the digits in which the amounts differ.

    ``unit``: a currency, with ``cents`` or ``minor units`` after it for amounts in its smallest unit; ``credits``; or
    what is counted (``tokens``; nothing for a plain number).

    >>> [*in_words([Decimal("1234.5"), Decimal("1234.4996")], "USD").values()]
    ['$1,234.5000', '$1,234.4996']
    >>> [*in_words([Decimal("12.5")], "EUR cents").values()]
    ['0.13 EUR']
    >>> [*in_words([Decimal(1234)], "tokens").values()]
    ['1,234 tokens']
    """
    code, _, part = unit.partition(" ")
    digits = digits_of(code) if code in _CODES else 0
    shown = {each: of_minor(each, digits) if part in _SMALLEST else each for each in amounts}
    places = _CENTS if unit == "credits" else digits
    while places < SCALE + digits and len({*map(partial(_shown, places), shown.values())}) < len({*shown.values()}):
        places += 1
    name = code if code in _CODES else unit
    return {each: with_unit(_shown(places, value), name) for each, value in shown.items()}


def of_minor(amount: Decimal, digits: int) -> Decimal:
    """Convert an amount from a currency's smallest unit: 10**digits of them make one of its major unit."""
    return amount.scaleb(-digits, _SUMS)


def rounded(amount: Decimal, places: int) -> Decimal:
    """Return the amount rounded to this many decimal places, half away from zero, as invoices are."""
    return amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, _SUMS)


def _shown(places: int, amount: Decimal) -> str:
    return f"{rounded(amount, places):,f}"


def with_unit(number: str, unit: str) -> str:
    """Return a number that is written out with its unit: ``-$5.00``, ``5.00 EUR``; alone, if it has none."""
    return f"${number}".replace("$-", "-$") if unit == "USD" else f"{number} {unit}".rstrip()
