"""What Sphinx is told. Nothing that a page loads is on another host: the theme brings its fonts and scripts."""

from importlib import metadata

from sphinx.application import Sphinx

from website.labels import link_names

project = "usage-assets"
release = metadata.version("usage-assets")
extensions = ["myst_parser", "sphinx.ext.autodoc"]
highlight_language = "none"
myst_heading_anchors = 5
autodoc_member_order = "bysource"
autodoc_typehints = "description"
html_theme = "pydata_sphinx_theme"
html_title = "usage-assets"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}


def setup(app: Sphinx) -> None:
    """Link names that are shown as code."""
    app.connect("doctree-resolved", link_names)
