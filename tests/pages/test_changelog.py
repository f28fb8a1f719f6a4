"""CHANGELOG.md has the form of Keep a Changelog, and what breaks is where people look for it."""

from __future__ import annotations

import re

from support.documents import read

KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")


def test_each_version_has_its_date_or_is_not_released() -> None:
    versions = re.findall(r"^## (.*)$", read("CHANGELOG.md"), re.MULTILINE)
    assert versions[0] == "[Unreleased]"
    for version in versions[1:]:
        assert re.fullmatch(r"\d+\.\d+\.\d+ (- \d{4}-\d\d-\d\d|\(unreleased\))", version), version


def test_each_entry_is_one_of_a_kind() -> None:
    newest = read("CHANGELOG.md").partition("## [Unreleased]\n")[2].partition("\n## ")[0]
    before, *sections = re.split(r"^### ", newest, flags=re.MULTILINE)
    assert before.strip() == ""
    kinds = [section.partition("\n")[0] for section in sections]
    assert len(set(kinds)) == len(kinds)
    assert set(kinds) <= set(KINDS)
    for section in sections:
        entries = section.partition("\n")[2].strip().split("\n")
        assert len(entries) > 0
        assert all(line.startswith(("- ", "  ")) for line in entries), section.partition("\n")[0]
