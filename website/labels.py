"""Names of tables and commands that a page shows as code lead to their section of the reference.

So the pages need no links to pages that only the site has, and can be read in the repository, too.
"""

from collections.abc import Iterator

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.nodes import make_refnode

from website.headings import PREFIX


def link_names(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Let names that are shown as code lead to their headings, except in headings and links."""
    labels = app.env.domains.standard_domain.anonlabels
    for literal in [*doctree.findall(nodes.literal)]:
        if isinstance(literal.parent, (nodes.reference, nodes.title)):
            continue
        label = next((label for label in _labels(literal.astext().lower()) if label in labels), None)
        if label:
            literal.replace_self(make_refnode(app.builder, page, *labels[label], literal.deepcopy()))


def _labels(text: str) -> Iterator[str]:
    """What may be the label of a text: a name, or the longest name with which the line of a command begins."""
    words = text.split(" ")
    shortest = 1 if words[0] == "usage-assets" else len(words)
    return (PREFIX + " ".join(words[:count]) for count in range(len(words), shortest - 1, -1))
