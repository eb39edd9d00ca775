"""What ends a command with a sentence instead of a traceback."""

from __future__ import annotations


class CommandError(Exception):
    """
    A command cannot do what it was asked.

    Args:
        sentence: What is wrong and what to do; shown to the user.
        status: Exit status of the command; 2: it was given something it cannot use.
    """

    def __init__(self, sentence: str, status: int = 2) -> None:
        super().__init__(sentence, status)
        self.status = status

    def __str__(self) -> str:
        return str(self.args[0])
