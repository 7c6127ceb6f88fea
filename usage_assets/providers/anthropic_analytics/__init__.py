"""Anthropic's newer reports: Usage and Cost Analytics, and the Claude Enterprise reports.

The same usage as in ``anthropic``, in more detail: never add the two. ``cost`` bills the days that no ``anthropic``
connection of its organization bills (``Provider.superseded_by``); all other reports and cuts show the same money once
more. An ``anthropic`` connection reads the newer cost report, too (``Endpoint.newer``): each of its days is the rows of
one report, whole. ``Endpoint.cross_check`` compares the two where both are stored.

What differs from other providers, and why:

* A bucket of an Enterprise report has its 100 largest groups and omits the rest, so 100 groups refuse the run.
* ``data_refreshed_at`` belongs to a page. A day that begins after it is late: it would be stored as one without
  usage.
* Actors that Anthropic does not name are rows with a number (``occurrence``). Whether an account was deleted since
  is not stored: it would change every day of a person who leaves.
* A request takes five dimensions, so each cut (``cuts.py``) is a table of its own, whose sums are compared with the
  same days without grouping (``Sums``).
* Engagement is asked day by day, because a range counts people once (``engagement.py``). A refusal that names the
  latest day is a day to wait for (``Provider.too_recent``).
"""
