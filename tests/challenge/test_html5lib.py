"""What the package rests on in html5lib beyond its documents."""

from __future__ import annotations

import re
from pathlib import Path

import html5lib

from ddg_protocol import challenge

MODULES = {path.name: path.read_text("utf-8") for path in Path(challenge.__file__).parent.glob("*.py")}


def test_private_names_of_html5lib_stand_in_one_module() -> None:
    users = {name for name, text in MODULES.items() if re.search(r"html5lib\.(?:_|html5parser)|stream\._", text)}
    assert users == {"_html5lib.py"}


def test_the_private_names_were_read_in_the_version_that_is_installed() -> None:
    assert f"html5lib {html5lib.__version__}" in MODULES["_html5lib.py"]
