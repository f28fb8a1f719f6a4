"""The results of the checks, and the report that they make."""

from __future__ import annotations

from dataclasses import dataclass

TLS = " (tls)"  # at the end of a result's name


@dataclass(frozen=True)
class Result:
    """The result of a check.

    Attributes:
        name: the check's name; over TLS with `` (tls)`` at its end.
        owed: what the transport owes, a sentence.
        problem: what it did instead; empty if it passed.
        seconds: how long the check took.
        waiver: the reason why the check is waived; empty if it isn't.
    """

    name: str
    owed: str
    problem: str
    seconds: float
    waiver: str = ""

    def __str__(self) -> str:
        outcome = "kept" if not self.problem else "waived" if self.waiver else "BROKEN"
        lines = [f"{outcome:<7} {self.name:<32} {self.seconds:6.2f} s"]
        if self.problem:
            lines += [f"        owed: {self.owed}", f"        but:  {self.problem}"]
            lines += [f"        waived: {self.waiver}"] if self.waiver else []
        return "\n".join(lines)


@dataclass(frozen=True)
class Report:
    """The results of all checks.

    Attributes:
        results: one for each check, in the order in which they ran.
    """

    results: tuple[Result, ...]

    @property
    def broken(self) -> tuple[Result, ...]:
        """The results of the checks that failed and aren't waived."""
        return tuple(result for result in self.results if result.problem and not result.waiver)

    @property
    def waived(self) -> tuple[Result, ...]:
        """The results of the checks that failed and are waived."""
        return tuple(result for result in self.results if result.problem and result.waiver)

    @property
    def unneeded(self) -> tuple[str, ...]:
        """The names of the checks that are waived though they passed, plain and over TLS."""
        needed = {result.name.removesuffix(TLS) for result in self.waived}
        given = dict.fromkeys(result.name.removesuffix(TLS) for result in self.results if result.waiver)
        return tuple(name for name in given if name not in needed)

    @property
    def kept(self) -> bool:
        """Whether the transport passed all checks but the waived ones."""
        return not self.broken

    @property
    def summary(self) -> str:
        """The number of checks with each outcome, the names of those that failed, and the waivers to remove."""
        total, broken, waived = len(self.results), self.broken, self.waived
        counts = [f"{total - len(broken) - len(waived)} of {total} kept"]
        counts += [f"{len(waived)} waived"] if waived else []
        counts += [f"{len(broken)} BROKEN"] if broken else []
        lines = [f"{', '.join(counts)}, in {sum(result.seconds for result in self.results):.1f} s"]
        lines += [f"waived: {', '.join(result.name for result in waived)}"] if waived else []
        lines += [f"BROKEN: {', '.join(result.name for result in broken)}"] if broken else []
        lines += [f"the waiver of {name} is not needed, the transport keeps it: remove it" for name in self.unneeded]
        return "\n".join(lines)

    def __str__(self) -> str:
        return "\n".join([*map(str, self.results), self.summary])
