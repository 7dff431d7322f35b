"""The two ways in which a command ends other than well."""

from __future__ import annotations


class Problem(Exception):
    """The command cannot be carried out as given; exit code 2.

    Shapes: the message is one line that says what was expected, what came and what to do;
    ``traceback`` is text that ends in a newline, and empty unless the user's own code failed.
    """

    def __init__(self, message: str, traceback: str = "") -> None:
        super().__init__(message)
        self.traceback = traceback


class InvocationFailed(Exception):
    """The function was called and did not return an answer; exit code 1.

    Shapes: as ``Problem``.
    """

    def __init__(self, message: str, traceback: str = "") -> None:
        super().__init__(message)
        self.traceback = traceback
