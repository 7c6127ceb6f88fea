"""The emulated providers: each module here that declares EMULATED is one, and is called like it."""

import pkgutil
from importlib import import_module

from usage_assets_sandbox.sandbox import Emulated

EMULATED: dict[str, Emulated] = {
    name: module.EMULATED
    for _, name, _ in pkgutil.iter_modules(__path__)
    if hasattr(module := import_module(f"{__name__}.{name}"), "EMULATED")
}
BOOKS = {name: emulated.books for name, emulated in EMULATED.items()}
