"""What other packages may use of the report. They import this module and no other.

Days: ``Period``. Figures of a period, as the page shows them: ``read_figure``, ``read_incidents``,
``read_what_changed``, ``rates_of``, ``is_guardrail``, and the names in them. Comparisons of prices:
``entries_of``, ``compared_as_wanted``. What is computed from series of days, computed again: ``Again`` of what
``stated_in`` reads.
"""

from usage_assets_report.answers import is_guardrail
from usage_assets_report.changes import EVERYTHING, NOT_COMPARED, PARTS
from usage_assets_report.figures import (
    FIRST_STORED,
    WITHOUT_NAME,
    Figure,
    rates_of,
    read_figure,
    read_incidents,
    read_what_changed,
)
from usage_assets_report.identifiers import NAMES_OF_INSIGHTS
from usage_assets_report.insights.again import Again, Recomputation, code
from usage_assets_report.insights.stated import stated_in
from usage_assets_report.period import Period
from usage_assets_report.what_if.command import compared_as_wanted, entries_of

__all__ = [
    "EVERYTHING",
    "FIRST_STORED",
    "NAMES_OF_INSIGHTS",
    "NOT_COMPARED",
    "PARTS",
    "WITHOUT_NAME",
    "Again",
    "Figure",
    "Period",
    "Recomputation",
    "code",
    "compared_as_wanted",
    "entries_of",
    "is_guardrail",
    "rates_of",
    "read_figure",
    "read_incidents",
    "read_what_changed",
    "stated_in",
]
