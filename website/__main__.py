"""``make docs``: copies the pages to .site/source, writes those that are generated, and lets Sphinx build .site/html.

A warning fails, and a link to a page, heading or file that is not there is one. Links to other hosts are not followed.
"""

import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sphinx.cmd.build import build_main

from website.pages import GENERATED, SECTIONS, Section

ROOT = Path(__file__).parents[1]
SITE = ROOT / ".site"
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^):#]+)(#[^)]*)?\)")


def build(site: Path, pages: Iterable[tuple[str, str]]) -> int:
    """Build pages (name and text) into ``site``/html; what is in ``site`` is lost. Returns Sphinx's exit code."""
    shutil.rmtree(site, ignore_errors=True)
    source = site / "source"
    for name, text in pages:
        page = source / f"{name}.md"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(_with_files(text, name, source))
    options = ["--fail-on-warning", "--keep-going", "--quiet", "--conf-dir", str(Path(__file__).parent)]
    return build_main([*options, "--doctree-dir", str(site / "read"), str(source), str(site / "html")])


def all_pages() -> Iterator[tuple[str, str]]:
    """Yield every page, those of the repository and the generated ones: name and text."""
    yield "index", (ROOT / "README.md").read_text() + _tree([_slug(section) for section in SECTIONS], ":hidden:")
    for section in SECTIONS:
        yield _slug(section), f"# {section.title}\n\n{section.about}\n" + _tree(section.pages, ":maxdepth: 1")
        for name in section.pages:
            yield name, GENERATED[name]() if name in GENERATED else (ROOT / f"{name}.md").read_text()


def _slug(section: Section) -> str:
    return section.title.lower().replace(" ", "-")


def _tree(names: Sequence[str], option: str) -> str:
    return f"\n```{{toctree}}\n{option}\n\n" + "".join(f"/{name}\n" for name in names) + "```\n"


def _with_files(text: str, name: str, source: Path) -> str:
    """Bring the files of the repository to which a page links. Folders and pages that the site lacks become text."""
    names = {page for section in SECTIONS for page in section.pages}

    def brought(link: re.Match[str]) -> str:
        target = (ROOT / name).parent / link[3]
        if not target.exists():
            return link[0]  # generated, or a warning
        place = target.resolve().relative_to(ROOT)
        if target.is_dir() or (place.suffix == ".md" and str(place.with_suffix("")) not in names):
            return link[2]
        if place.suffix != ".md":
            (source / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(target, source / place)
        return link[0]

    return LINK.sub(brought, text)


if __name__ == "__main__":
    failed = build(SITE, all_pages())
    print("the site has warnings, see above" if failed else f"the site is {SITE / 'html/index.html'}")
    sys.exit(failed)
