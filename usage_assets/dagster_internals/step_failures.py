"""Steps that fail with a sentence: what a person reads of one is that sentence."""

from collections.abc import Callable
from typing import Any

import dagster as dg
from dagster._core.execution.plan import objects
from dagster_shared.error import SerializableErrorInfo

_DESCRIBES = "serializable_error_info_from_exc_info"


class Explained(dg.Failure):
    """A failure whose description says all. Dagster would add its class and forty lines of its own stack."""


def show_descriptions_alone(shown: Callable[[str], str]) -> None:
    """Let the event of a step that failed with ``Explained`` have the description alone.

    ``shown``: what may be shown of a message and a line of the stack of any other.
    """
    with_stack = vars(objects)[_DESCRIBES]

    def described(exc_info: Any) -> SerializableErrorInfo:
        error = exc_info[1]
        if isinstance(error, Explained):
            return SerializableErrorInfo(f"{error.description}\n", [], dg.Failure.__name__)
        return _shown(with_stack(exc_info), shown)

    setattr(objects, _DESCRIBES, described)


def _shown(info: SerializableErrorInfo, shown: Callable[[str], str]) -> SerializableErrorInfo:
    return SerializableErrorInfo(
        shown(info.message),
        [shown(line) for line in info.stack],
        info.cls_name,
        info.cause and _shown(info.cause, shown),
        info.context and _shown(info.context, shown),
    )
