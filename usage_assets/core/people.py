"""What is kept of the people in the providers' answers (``USAGE_PEOPLE``). No address leaves this module unasked."""

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from usage_assets.core.forgotten import Forgotten

Policy = Literal["ids", "hash", "names"]
T = TypeVar("T")

_ADDRESS = re.compile(r"[\w.+%'-]+(@[\w-]+(?:\.[\w-]+)+)*")
"""An address, or a word that is none, so that no text is searched twice: a long one of 1 MB took hours otherwise."""
_HASHED = re.compile(r"person-[0-9a-f]{24}")
DROPPED = "address-dropped"
"""Replaces an address that was dropped, also if it was the whole text. It belongs to nobody."""
NOBODY = ("", "null")
"""Means nobody where a provider always sends a text. Hashed, it would be a person."""


@dataclass(frozen=True)
class People:
    """The policy for email addresses: ``ids`` keeps ids, ``hash`` hides addresses, ``names`` keeps them.

    What it makes of its own results is the same again: archived answers are read with the policy, too.
    """

    policy: Policy = "ids"
    hash_key: str = field(default="", repr=False)
    forgotten: Forgotten = field(default_factory=Forgotten, repr=False)
    """Who is kept under no policy: answers are rid of them as soon as they are there."""

    def only_id(self, address: str) -> str:
        """An address that is the provider's only id of a person (Claude Code actors): kept, or hashed."""
        return self._hashed(address) if self.policy == "hash" else address

    def sent_unasked(self, address: str | None) -> str | None:
        """An address next to an id: kept under ``names``, hashed under ``hash``, otherwise dropped."""
        if address is None or address == DROPPED or self.policy == "ids":
            return None
        return self.only_id(address)

    def stated(self, address: str) -> str:
        """An address of the connections file, to be compared with stored ones. Under ``ids`` it is a digest, so that it
        says nothing unless the same address is stored as somebody's only id."""
        if self.policy == "ids":
            return hashlib.sha256(address.strip().lower().encode()).hexdigest()
        return self.only_id(address).strip().lower()

    def in_name(self, name: str) -> str:
        """A name that somebody chose (an API key's): an address in it is hashed under ``hash``, otherwise kept."""
        return self._scrubbed(name) if self.policy == "hash" else name

    def person_name(self, name: str) -> str | None:
        """A person's own name: kept under ``names`` only."""
        return name if self.policy == "names" else None

    def scrubbed(self, value: T) -> T:
        """Decoded JSON of unknown meaning (fields that we do not know yet) without readable addresses."""
        return value if self.policy == "names" else self._scrubbed(value)

    def _scrubbed(self, value: Any) -> Any:
        """Before encoding, not after: in encoded text an escape (``\\n``) would be taken for part of an address."""
        if isinstance(value, str):
            return _ADDRESS.sub(self._without_address, value)
        if isinstance(value, dict):
            return {self._scrubbed(name): self._scrubbed(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._scrubbed(inner) for inner in value]
        return value

    def _without_address(self, found: re.Match[str]) -> str:
        is_address = found.group(1) is not None
        return (self.sent_unasked(found.group()) or DROPPED) if is_address else found.group()

    def _hashed(self, address: str) -> str:
        """Keyed, so that nobody can hash a staff list and compare; case-folded, so that one person stays one."""
        if address in NOBODY or _HASHED.fullmatch(address):
            return address
        digest = hmac.digest(self.hash_key.encode(), address.strip().casefold().encode(), hashlib.sha256)
        return f"person-{digest.hex()[:24]}"
