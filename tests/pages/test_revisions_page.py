"""What the pages say of the revisions is what the profiles do, and says how it is known and since when."""

from __future__ import annotations

import json
import re

import pytest
from support.documents import code_words, read, table

from ddg_protocol import ServiceProfile
from ddg_protocol._request import chat_body, chat_headers, models_headers, page_headers, status_headers
from ddg_protocol.conversation import Message
from ddg_protocol.revisions import REVISIONS

PAGE = "docs/PROTOCOL.md"
MARK = re.compile(r"\[(?:seen|code|claim)\](?: of)?(?: since)? \d{4}(?:-\d\d)?(?:-\d\d)?")

each_revision = pytest.mark.parametrize("revision", REVISIONS)


def words_of(heading: str, what: str, revision: str) -> list[str]:
    """Return the code words of a revision in the row about something."""
    (row,) = [row for row in table(PAGE, heading) if row["what"] == what]
    return code_words(row[revision])


@each_revision
def test_the_pages_and_addresses_are_those_of_the_profile(revision: str) -> None:
    profile, heading = REVISIONS[revision], "Pages, addresses and the version"
    assert words_of(heading, "origin", revision) == [profile.origin]
    assert words_of(heading, "front-end page", revision) == [profile.front_end_path]
    assert words_of(heading, "version markers", revision) == list(profile.version_markers)
    assert words_of(heading, "landing page", revision) == [*filter(None, [profile.landing_path])]
    assert words_of(heading, "cookies of the client", revision) == [name for name, _ in profile.cookies]
    assert words_of(heading, "list of models", revision) == [*filter(None, [profile.models_path])]
    assert words_of(heading, "status, chat", "2025-04") == [profile.status_path, profile.chat_path]


def sent_by(profile: ServiceProfile) -> set[tuple[str, str, str]]:
    """Return what each request of a profile sends, as rows of the table: the request, the field, and how."""
    ids = dict.fromkeys(profile.ids, "1")
    sent = {
        "pages": page_headers(profile, ids),
        "status": status_headers(profile, ids),
        "models": models_headers(profile, ids) if profile.models_path else (),
        "chat": chat_headers(profile, "version", "vqd", "answer", ids),
    }
    rows = {(request, name, "x") for request, fields in sent.items() for name, _ in fields}
    return rows | {("chat", name, "solver") for name, value in profile.chat_headers if value == "{solver}"}


@each_revision
def test_the_header_fields_are_those_that_are_sent(revision: str) -> None:
    said = set()
    for row in table(PAGE, "Header fields"):
        request, _, fields = row["request, field"].partition(":")
        said |= {(request, name, row[revision]) for name in code_words(fields) if row[revision]}
    assert said == sent_by(REVISIONS[revision])


@each_revision
def test_the_members_of_the_body_are_those_that_are_sent(revision: str) -> None:
    said = [
        name for row in table(PAGE, "Body of the chat request") if row[revision] for name in code_words(row["member"])
    ]
    profile = REVISIONS[revision]
    sent = json.loads(chat_body(profile, profile.validate_model(), [Message("user", "Hi")], tools=["WebSearch"]))
    assert sorted(said) == sorted(sent)


@each_revision
def test_the_models_are_those_of_the_profile(revision: str) -> None:
    (row,) = [row for row in table(PAGE, "Models") if row["revision"] == revision]
    ids = [model.id for model in REVISIONS[revision].models]
    assert revision == "2025-04" or code_words(row["ids, default first"]) == ids


@each_revision
def test_the_credentials_and_rules_are_those_of_the_profile(revision: str) -> None:
    profile = REVISIONS[revision]
    said = {row["what"]: row[revision] for row in table(PAGE, "Credentials")}
    assert (said["token `x-vqd-4`"] == "required") == profile.vqd_4
    assert (said["form of the challenge"] == "opaque") == (profile.challenge_form == "opaque")
    said = {row["what"]: row[revision] for row in table(PAGE, "Payloads and errors")}
    again = {"unauthorized": "after a 401", "no_events": "after a reply without any event"}
    for name, what in again.items():
        assert said[what].startswith("once more") == (name in profile.repeated_once)
    wait = said["after a 429 without a `Retry-After`"]
    assert wait == (f"{profile.throttle_delay:.0f} s" if profile.throttle_delay else "the backoff")


HEADINGS = [
    "11. What differs by revision",
    "Pages, addresses and the version",
    "Credentials",
    "Header fields",
    "Body of the chat request",
    "Contents",
    "Payloads and errors",
    "Models",
    "Where the record is unsure",
    "Besides the text",
]


@pytest.mark.parametrize("heading", HEADINGS)
def test_each_statement_about_a_later_revision_has_its_mark_and_date(heading: str) -> None:
    for row in table(PAGE, heading):
        later = " ".join(row.get(revision, "") for revision in ("2025-07", "2026-10"))
        says = later.strip() or not set(row) & set(REVISIONS)
        own = row.get("revision") == "2025-04" or "solver's" in later  # a statement about this library
        is_marked = MARK.search(" ".join(row.values()))
        assert is_marked or not says or own, row


def test_each_statement_about_today_s_service_has_its_mark_and_date() -> None:
    rows = table("docs/revisions.md", "What is known, and how")
    assert len(rows) > 5
    for row in rows:
        assert re.search(r"\[(seen|code|claim)\]", row["mark"]), row
        assert re.search(r"\d{4}", row["date"]), row


def test_each_mark_is_one_of_the_three() -> None:
    for name in (PAGE, "docs/revisions.md"):
        found = set(re.findall(r"\[(\w+)\](?![(\[])", read(name))) & {"seen", "code", "claim", "said", "fact"}
        assert found == {"seen", "code", "claim"}
