"""Somebody at a terminal with ``ddg-chat``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from support.terminal import Terminal

_TIMEOUT = 60.0  # for what never ends, on the slowest of machines
#: An empty prompt, and what is below it: model, turns, name.
_AT_THE_PROMPT = re.compile(r"(?s)(?P<above>.*\n>)\n+(?P<below> ?\S+ ·\s\d+\sturns?\b[^\n]*(\n[^\n]+)*)")


class Person(Terminal):
    """Somebody at a terminal with ``ddg-chat``, whose conversations are kept in a folder of the test's."""

    def __init__(self, folder: Path, *arguments: str, env: dict[str, str] | None = None, **size: int) -> None:
        places = {"XDG_DATA_HOME": str(folder), "HOME": str(folder)}
        super().__init__(
            *(sys.executable, "-m", "ddg_chat", *arguments), env={**places, **(env or {})}, timeout=_TIMEOUT, **size
        )

    @property
    def text(self) -> str:
        """The text, without the line below the prompt."""
        text = super().text
        at_the_prompt = _AT_THE_PROMPT.fullmatch(text)
        return at_the_prompt["above"] if at_the_prompt else text

    @property
    def below(self) -> str:
        """The line below the prompt."""
        at_the_prompt = _AT_THE_PROMPT.fullmatch(super().text)
        return " ".join(at_the_prompt["below"].split()) if at_the_prompt else ""

    def prompted(self) -> str:
        """Wait until the program waits for the person."""
        return self.wait_for(lambda text: text.endswith("\n>"))

    def enter(self, line: str) -> str:
        """Write a line at the prompt, and wait for the next; gives what was said to it."""
        before = len(self.prompted()) - 1
        self.write(f"{line}\r")
        echo = f"> {line}\n"
        text = self.wait_for(lambda text: echo in text[before - 1 :] and text.endswith("\n>"))
        return text[text.index(echo, before - 1) + len(echo) : -2].strip("\n")
