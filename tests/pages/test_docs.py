"""The documents are true: their tables are the code's, their links lead somewhere, their pictures are current."""

from __future__ import annotations

import inspect
import itertools
import json
import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support import public
from support.cases import each_of
from support.documents import DOCUMENTS, blocks, code_words, prose, read, table
from support.paths import ROOT

import ddg_protocol
from ddg_chat._settings import known, name_of
from ddg_chat._talk import HELP
from ddg_chat.main import COMMANDS, EXIT_CODES
from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    CoordinationError,
    DuckChatError,
    Event,
    Identity,
    LocalProtocolError,
    Policy,
    RemoteProtocolError,
    ServiceError,
    ServiceProfile,
    errors,
    events,
)
from ddg_protocol._template import IN_BODY, IN_CHAT
from ddg_protocol.conversation import MAX_TOKEN_BYTES
from ddg_protocol.refusal import service_error
from ddg_protocol.retry import is_retried
from ddg_protocol.revisions import DUCK_AI_2026_10
from ddg_protocol.steps import Step
from ddg_transports.anyio import AsyncChat, AsyncClient
from ddg_transports.blocking import Chat, Client

# errors.md

BRANCHES = (DuckChatError, LocalProtocolError, ServiceError, RemoteProtocolError, CoordinationError)


def subclasses(cls: type[DuckChatError]) -> set[str]:
    return {name for name, obj in vars(errors).items() if inspect.isclass(obj) and obj.__bases__[0] is cls}


def own_attributes(cls: type) -> list[str]:
    section = inspect.cleandoc(cls.__doc__ or "").partition("Attributes:\n")[2]  # Python 3.13 does that itself
    return re.findall(r"^    (\w+): ", section, re.MULTILINE)


@pytest.mark.parametrize(
    ("parent", "heading"),
    [(cls, f"`{cls.__name__}`") for cls in BRANCHES],
)
def test_every_exception_has_its_row_below_its_parent(parent: type[DuckChatError], heading: str) -> None:
    rows = table("docs/errors.md", heading)
    assert [row["exception"].strip("`") for row in rows] == [
        name for name in vars(errors) if name in subclasses(parent)
    ]
    for row in rows:
        cls = getattr(errors, row["exception"].strip("`"))
        attributes = own_attributes(cls) + (["retryable"] if cls is ServiceError else [])
        assert set(code_words(row["attributes"])) == set(attributes), cls
        assert row["when"]
        assert row["what to do"]
        if parent is ServiceError:
            assert row["retryable"] == ("yes" if cls.retryable else "no")


def test_the_tree_of_exceptions_has_no_other_branches() -> None:
    branches = {cls for cls in ddg_protocol.DuckChatError.__subclasses__() if cls.__subclasses__()}
    assert branches | {DuckChatError} == set(BRANCHES)


def test_the_events_of_what_goes_wrong_are_events() -> None:
    names = [name for row in table("docs/errors.md", "What is not an exception") for name in code_words(row["event"])]
    assert names
    assert set(names) <= {event.__name__ for event in Event.__args__}


# settings.md


@pytest.mark.parametrize("cls", [Policy, ServiceProfile, Identity])
def test_every_field_of_the_settings_has_its_row_and_its_default(cls: type[msgspec.Struct]) -> None:
    rows = table("docs/settings.md", f"`{cls.__name__}`")
    assert [row["field"] for row in rows] == [f"`{name}`" for name in cls.__struct_fields__]
    for row in rows:
        assert row["meaning"]
        for shown in code_words(row["default"]):
            default = eval(shown, vars(ddg_protocol))
            actual = getattr(cls(), row["field"].strip("`"))
            assert (default, type(default)) == (actual, type(actual)), row["field"]


@each_of(
    "heading, function",
    [
        ("`Client`", Client),
        ("`Client`", AsyncClient),
        ("`Chat.ask` and `Chat.stream`", Chat.ask),
        ("`Chat.ask` and `Chat.stream`", Chat.stream),
        ("`Chat.ask` and `Chat.stream`", AsyncChat.ask),
        ("`Chat.ask` and `Chat.stream`", AsyncChat.stream),
        ("`Client.chat`", Client.chat),
        ("`Client.chat`", AsyncClient.chat),
    ],
)
def test_every_argument_has_its_row_and_its_default(heading: str, function: Any) -> None:
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    rows = table("docs/settings.md", heading)
    if function is AsyncClient:
        rows = [row for row in rows if not row["meaning"].startswith("`Client` alone")]
    assert [row["argument"] for row in rows] == [f"`{p.name}`" for p in parameters]
    for row, parameter in zip(rows, parameters, strict=True):
        shown = row["default"].strip("`")
        if inspect.isroutine(parameter.default):
            assert shown == parameter.default.__name__
        elif parameter.default is parameter.empty:
            assert shown == ""
        else:
            assert eval(shown, vars(ddg_protocol)) == parameter.default


def test_the_toml_of_the_page_is_a_profile_and_its_table_names_each_placeholder() -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    profile = DUCK_AI_2026_10.updated(tomllib.loads(text.split("```toml\n")[1].split("```")[0]))
    assert set(profile.ids) == {"journey", "message"}
    rows = table("docs/settings.md", "Header lists and bodies")
    assert {name for row in rows for name in code_words(row["in braces"])} == IN_CHAT | IN_BODY | {"ids"}


# security.md


def test_what_is_bounded_has_the_defaults_of_the_policy() -> None:
    rows = table("docs/security.md", "What is bounded")
    settings = {name: row for row in rows for name in code_words(row["setting"]) if "half" not in row["setting"]}
    assert set(settings) == set(Policy.__struct_fields__) - {"strict", "base_delay", "drain_timeout"}
    for name, row in settings.items():
        assert row["default"] == f"`{getattr(Policy(), name)!r}`", name
    others = {row["what"]: row["default"] for row in rows if row not in settings.values()}
    assert others["a token"] == f"`{MAX_TOKEN_BYTES}`"
    assert others["the text of a reply"] == f"`{Policy().max_reply_bytes // 2}`"
    for row in rows:
        assert row["counted"]
        for name in re.findall(r"`([A-Z]\w+)`", row["past it"]):
            assert name in {*errors.__all__, *events.__all__}


# PROTOCOL.md


def test_the_models_of_the_page_are_those_of_the_profile() -> None:
    section = read("docs/PROTOCOL.md").partition("| model, default first |")[2].partition("\n\n")[0]
    rows = [code_words(line) for line in section.splitlines() if "`" in line]
    assert rows == [[model.id, *model.aliases] for model in DUCKDUCKGO_2025_04.models]


def test_the_constants_of_the_page_are_those_of_the_profile() -> None:
    profile = DUCKDUCKGO_2025_04
    rows = {row["what"]: row["value"] for row in table("docs/PROTOCOL.md", "1. Service constants")}
    for what, fact in {
        "origin": f"`{profile.origin}`",
        "landing page": f"`GET {profile.landing_path}`",
        "front-end page": f"`GET {profile.front_end_path}`",
        "status": f"`GET {profile.status_path}`",
        "chat": f"`POST {profile.chat_path}`",
        "cookies that the client always sets": ", ".join(f"`{name}={value}`" for name, value in profile.cookies),
        "minimum interval between requests": f"{profile.interval} s",
    }.items():
        assert rows[what].startswith(fact), what


def test_each_refusal_of_the_page_is_that_exception() -> None:
    rows = table("docs/PROTOCOL.md", "7. Failures, pacing, retries")
    named = [row["exception"].strip("`") for row in rows]
    assert set(named) == subclasses(ServiceError) | {"ServiceError"}
    for row, name in zip(rows, named, strict=True):
        statuses = re.findall(r"\d{3}", row["status, type"].replace("520 to 526", "520, 523, 526")) or ["599"]
        for status, kind in itertools.product(statuses, code_words(row["status, type"]) or ["ERR_OTHER"]):
            error = service_error(int(status), json.dumps({"action": "error", "type": kind}).encode())
            assert type(error).__name__ == name, (status, kind)
            if not row["tried again"].startswith("once"):
                retried = is_retried(Step.CHAT, error, chat_is_repeatable=False)
                assert retried == row["tried again"].startswith("yes"), (status, kind)


# coming-from-ddg.md

#: What g4f 0.5.0.3 had: the class with what it inherits, its method, its conversation, what it raised.
DDG = {
    "Class attributes": """label url api_endpoint status_url working needs_auth supports_stream
        supports_system_message supports_message_history default_model models model_aliases image_models vision_models
        last_model last_request_time max_retries base_delay _chat_xfe""",
    "Methods": """create_async_generator create_completion create_async get_create_function get_async_create_function
        get_parameters params get_dict get_model validate_model get_models sleep get_default_cookies fetch_fe_version
        fetch_vqd_and_hash sha256_base64 parse_server_hashes parse_dom_fingerprint build_x_vqd_hash_1""",
    "Parameters of `create_async_generator`": """model messages proxy timeout cookies conversation
        return_conversation""",
    "What it yielded": "str Conversation FinishReason",
    "Its `Conversation`": "model vqd vqd_hash_1 message_history cookies fe_version get_dict reset",
    "Exceptions": """ModelNotSupportedError RateLimitError ConversationLimitError ResponseStatusError MissingAuthError
        CloudflareError DuckDuckGoSearchException TimeoutError RuntimeError""",
}


@each_of("heading", DDG)
def test_everything_that_ddg_had_has_its_row(heading: str) -> None:
    rows = table("docs/coming-from-ddg.md", heading)
    names = [name for row in rows for name in code_words(row["`DDG`"])]
    assert set(DDG[heading].split()) <= set(names)
    assert len(names) == len(set(names))
    assert all(row["here"] or row["`DDG`"] for row in rows)


# command-line.md


def test_every_command_has_its_row() -> None:
    assert [row["command"].strip("`") for row in table("docs/command-line.md", "The command line")] == list(COMMANDS)


def test_every_exit_code_has_its_row_and_means_what_the_help_says() -> None:
    codes = re.findall(r"^  (\d+) +(.*(?:\n {7}.*)*)", EXIT_CODES, re.MULTILINE)
    rows = [tuple(row.values()) for row in table("docs/command-line.md", "When it goes wrong")]
    assert [code for code, _ in rows] == [code for code, _ in codes]
    for (_, shown), (_, said) in zip(rows, codes, strict=True):
        assert shown.startswith(" ".join(said.split()).partition(";")[0])


def test_a_command_of_a_chat_that_is_named_is_one() -> None:
    named = [word for word in code_words(prose("docs/command-line.md")) if re.fullmatch(r"/[a-z]+", word)]
    assert len(named) > 5
    assert set(named) <= {term.split()[0] for term, _ in HELP}


def test_every_command_of_a_chat_has_its_row() -> None:
    rows = [row["command"].strip("`") for row in table("docs/command-line.md", "A conversation")]
    assert rows == [*(term for term, _ in HELP[:-2]), "/help`, `/quit"]


def test_the_settings_of_the_page_are_some() -> None:
    toml, _ = blocks("docs/command-line.md", "toml")
    assert tomllib.loads(toml).keys() <= {name_of(action) for action in known()}


def test_the_profile_of_the_page_is_one() -> None:
    _, toml = blocks("docs/command-line.md", "toml")
    profile = DUCKDUCKGO_2025_04.updated(tomllib.loads(toml))
    assert profile.validate_model("mini") == "gpt-4o-mini"
    assert profile.identity.user_agent == "my-program/1.0"


# CONTRIBUTING.md


def test_a_place_that_is_named_is_there() -> None:
    words = code_words(prose("CONTRIBUTING.md"))
    places = [word for word in words if re.fullmatch(r"[\w*./]+(/|\.py|\.md)", word)]
    assert len(places) > 10
    for place in places:
        assert list(ROOT.glob(place.rstrip("/"))) or list((ROOT / "ddg_protocol").glob(place.rstrip("/"))), place


# Names


def public_objects() -> dict[str, Any]:
    objects = {name: obj for _, name, obj in public.names() if inspect.isclass(obj)}
    return {name: obj for name, obj in objects.items() if name not in ("Exchange", "Event")}  # there are two of each


@each_of("name", DOCUMENTS)
def test_a_code_word_that_looks_like_a_name_of_the_library_is_one(name: str) -> None:
    objects = public_objects()
    for word in code_words(prose(name)):
        found = re.fullmatch(r"([A-Z]\w+)\.(\w+)(?:\((?:(\w+)=.*)?\)?)?", word)
        obj = objects.get(found[1]) if found else None
        if found is None or obj is None:
            continue
        member = found[2]
        described = re.search(rf"^ +{member}: ", "\n".join(base.__doc__ or "" for base in obj.__mro__), re.MULTILINE)
        assert hasattr(obj, member) or described, f"{name}: {word}"
        if found[3]:
            assert found[3] in inspect.signature(getattr(obj, member)).parameters, f"{name}: {word}"


# Links and pictures


def slugs(name: str) -> set[str]:
    """Give the anchors of a document's headings, as GitHub makes them."""
    text = prose(name)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_of("name", DOCUMENTS)
def test_a_relative_link_leads_somewhere(name: str) -> None:
    text = prose(name)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.exists(), f"{name}: {target}"
        if anchor:
            assert anchor in slugs(file.resolve().relative_to(ROOT).as_posix()), f"{name}: {target}"


PICTURES: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "pictures.py"))["PICTURES"]


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_current(name: str) -> None:
    drawn = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert PICTURES[name]() == drawn, "run docs/pictures.py"


def test_every_picture_is_shown_with_words_for_those_who_cannot_see_it() -> None:
    text = "".join(map(read, DOCUMENTS))
    for picture in sorted(Path(ROOT / "docs").glob("*.svg")):
        assert re.search(rf"!\[[^\]]{{20,}}\]\((?:docs/)?{picture.name}\)", text), picture.name
