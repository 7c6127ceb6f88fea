"""OpenAI: the old billing and usage endpoints, which are closed to API keys and which gateways emulate.

Answers have neither pages nor buckets: ``Endpoint.page`` makes a page of each. ``total_usage`` is the total of a whole
range, so each request asks for one day. It is stored beside the lines, and a warning says where the two differ.

One use has one source (``Provider.superseded_by``): where costs of an ``openai`` connection of the same organization
are stored for a day, the old connection keeps its rows, and what both derive is empty. What is stored decides, not
what is configured: a key that is added, fails or is lost moves no other day.
"""
