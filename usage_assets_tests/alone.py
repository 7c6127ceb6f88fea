"""The core as if it were alone, whatever is installed: ``USAGE_PLUGINS=core python -m pytest usage_assets_tests``."""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

from usage_assets.config.settings import whole_file
from usage_assets.core import features
from usage_assets.core.installed import EXTENSIONS, PLUGINS, Package, package_of
from usage_assets.models.model import sql_files
from usage_assets.providers import LOADED

CACHED = (features._found, whole_file, sql_files)
"""What a process finds once."""


class Refusing(MetaPathFinder):
    """Finds no module of an extension that ``USAGE_PLUGINS`` leaves out, also where a test imports one by name."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raise ModuleNotFoundError for such a module."""
        package = fullname.partition(".")[0].removesuffix("_tests").replace("_", "-")
        if package in map(package_of, EXTENSIONS) and not Package(package, "").is_wanted:
            raise ModuleNotFoundError(f"{fullname} is left out: {PLUGINS}={os.environ[PLUGINS]}", name=fullname)
        return None


def is_there(name: str) -> bool:
    """Whether a feature or an extension is installed and not left out."""
    providers = EXTENSIONS[name].providers if name in EXTENSIONS else ()
    return name in features.features() or (bool(providers) and LOADED.missing.keys().isdisjoint(providers))


def needs(*names: str) -> pytest.MarkDecorator:
    """Skip a test of several features where one of them is left out."""
    missing = sorted(name for name in names if not is_there(name))
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")


def core_alone() -> AbstractContextManager[None]:
    """Leave all extensions out in this process; modules that are imported stay."""
    return alone_with()


@contextmanager
def alone_with(*extensions: str) -> Iterator[None]:
    """Leave all others out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(PLUGINS, ",".join(("core", *map(package_of, extensions))))
        for each in CACHED:
            each.cache_clear()
        yield
    for each in CACHED:
        each.cache_clear()
