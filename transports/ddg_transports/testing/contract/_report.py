"""The results of the checks, and the report that they make."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """The result of a check.

    Attributes:
        name: the check's name; over TLS with `` (tls)`` at its end.
        owed: what the transport owes, a sentence.
        problem: what it did instead; empty if it passed.
        seconds: how long the check took.
    """

    name: str
    owed: str
    problem: str
    seconds: float

    def __str__(self) -> str:
        if not self.problem:
            return f"kept    {self.name:<32} {self.seconds:6.2f} s"
        return f"BROKEN  {self.name:<32} {self.seconds:6.2f} s\n        owed: {self.owed}\n        but:  {self.problem}"


@dataclass(frozen=True)
class Report:
    """The results of all checks.

    Attributes:
        results: one for each check, in the order in which they ran.
    """

    results: tuple[Result, ...]

    @property
    def broken(self) -> tuple[Result, ...]:
        """The results of the failed checks."""
        return tuple(result for result in self.results if result.problem)

    @property
    def kept(self) -> bool:
        """Whether the transport passed all checks."""
        return not self.broken

    def __str__(self) -> str:
        total = len(self.results)
        return "\n".join([*map(str, self.results), f"{total - len(self.broken)} of {total} kept"])
