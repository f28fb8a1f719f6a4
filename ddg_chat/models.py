"""``ddg-chat models``."""

from __future__ import annotations

import argparse

from ddg_protocol import DUCKDUCKGO_2025_04


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare nothing: the command has no arguments."""


def run(args: argparse.Namespace) -> int:
    """Print the models, a line each: the id, then its aliases."""
    for number, model in enumerate(DUCKDUCKGO_2025_04.models):
        notes = [*(["default"] if number == 0 else []), *(f"alias {alias}" for alias in model.aliases)]
        print(model.id + (f"  ({', '.join(notes)})" if notes else ""))
    return 0
