"""Errors that a user can fix, and how they are shown: in one line, without a traceback."""


class UserError(Exception):
    """Something that a person can put right: what is wrong, where, and what to do, in one line."""


def one_line(text: str) -> str:
    return " ".join(text.split())
