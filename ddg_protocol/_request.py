"""What each request says: its address, its header fields, and its body (PROTOCOL.md sections 2 and 6).

The profile has the header lists and the body, with placeholders; here are the values that take their places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ._setup import Setup
from ._template import fill_body, fill_headers
from ._turn import Credentials, Turn
from .content import ACCEPTED
from .conversation import Conversation, Message, Tokens
from .headers import Headers
from .intents import SendRequest
from .profile import ServiceProfile
from .steps import Step

_NOTHING: Mapping[str, str] = {}
_FIRST = {"model": "{model}", "messages": "{messages}"}


def url_of(profile: ServiceProfile, step: Step) -> str:
    """Return the address of a request."""
    paths = {
        Step.FRONT_END: profile.front_end_path,
        Step.LANDING: profile.landing_path,
        Step.STATUS: profile.status_path,
        Step.CHAT: profile.chat_path,
        Step.MODELS: profile.models_path or "",
    }
    return profile.url(paths[step])


def write_request(
    setup: Setup, conversation: Conversation, turn: Turn, step: Step, url: str, *, id: int, now: float
) -> SendRequest:
    """Write a request. The chat request spends its token.

    Args:
        setup: the session's.
        conversation: the one that the turn continues.
        turn: has the cookies, the tokens, and the question.
        step: which request.
        url: its address; after a redirect, not that of `url_of`.
        id: of the intent.
        now: the caller's clock, in seconds.

    Returns:
        The intent.
    """
    method, body = "GET", b""
    headers: Headers
    ids = setup.make_ids(turn.ids)
    values = {"cookie": turn.jar.header_for(url, now=now), **ids}
    match step:
        case Step.FRONT_END | Step.LANDING:
            headers = page_headers(setup.profile, values)
        case Step.STATUS:
            headers = status_headers(setup.profile, values)
        case Step.MODELS:
            headers = models_headers(setup.profile, values)
        case _:
            credentials = turn.credentials or Credentials(Tokens())
            method, options = "POST", turn.options
            body = chat_body(
                setup.profile,
                turn.model,
                turn.messages,
                text_alone=turn.is_text_alone,
                effort=options.effort,
                tools=options.tools,
                ids=ids,
                more={**options.extra, **credentials.body},
            )
            version, vqd, answer = setup.fe_version(conversation), credentials.tokens.vqd, credentials.answer or ""
            headers = chat_headers(setup.profile, version, vqd, answer, values, credentials.headers)
            turn.chat_sent = credentials.spent = True
    timeout = min(setup.policy.connect_timeout, turn.until - now)
    return SendRequest(id=id, method=method, url=url, headers=headers, body=body, timeout=timeout)


# The header fields


def page_headers(profile: ServiceProfile, values: Mapping[str, str] = _NOTHING) -> Headers:
    """Return the header fields of the requests for the two pages.

    Args:
        profile: the facts about the service.
        values: the cookies and the ids, by the names of the placeholders.
    """
    return _headers(profile, profile.page_headers, {"accept_encoding": ACCEPTED, **values})


def status_headers(profile: ServiceProfile, values: Mapping[str, str] = _NOTHING) -> Headers:
    """Return the header fields of the status request; see `page_headers`."""
    return _headers(profile, profile.status_headers, {"accept_encoding": ACCEPTED, **values})


def models_headers(profile: ServiceProfile, values: Mapping[str, str] = _NOTHING) -> Headers:
    """Return the header fields of the request for the list of models, which asks for no token; see `page_headers`."""
    of_status = tuple(field for field in profile.status_headers if field[0] != "x-vqd-accept")
    return _headers(profile, profile.models_headers or of_status, {"accept_encoding": ACCEPTED, **values})


def chat_headers(
    profile: ServiceProfile,
    fe_version: str,
    vqd: str,
    answer: str,
    values: Mapping[str, str] = _NOTHING,
    more: Headers = (),
) -> Headers:
    """Return the header fields of the chat request.

    Args:
        profile: the facts about the service.
        fe_version: the front-end version; empty if it is not known.
        vqd: the token; empty in a revision without.
        answer: the answer to the newest challenge; empty if there is none.
        values: the cookies and the ids, by the names of the placeholders.
        more: the fields that the answer brings.

    Returns:
        The fields. The only coding that ``{accept_encoding}`` names is ``identity``: each event must come through at
        once.
    """
    computed = {"accept_encoding": "identity", "fe_version": fe_version, "vqd_4": vqd, "answer": answer, **values}
    return _headers(profile, profile.chat_headers, computed, more)


def _headers(profile: ServiceProfile, headers: Headers, values: Mapping[str, str], more: Headers = ()) -> Headers:
    """Fill a header list of the profile.

    Args:
        profile: the facts about the service.
        headers: the list.
        values: those that only this request has, by the names of the placeholders.
        more: the fields that a solver's answer brings.

    Returns:
        The fields. The cookie comes last if the list doesn't place it.
    """
    identity = profile.identity
    same = {
        "user_agent": identity.user_agent,
        "accept_language": identity.accept_language,
        "sec_ch_ua": identity.sec_ch_ua,
        "origin": profile.origin,
        "referer": profile.origin + "/",
    }
    filled = fill_headers(headers, same | dict(values), more)
    cookie = values.get("cookie", "")
    placed = not cookie or any(name == "cookie" for name, _ in headers)
    return filled if placed else (*filled, ("cookie", cookie))


# The body


def chat_body(
    profile: ServiceProfile,
    model: str,
    messages: Sequence[Message],
    *,
    text_alone: bool = False,
    effort: str | None = None,
    tools: Sequence[str] = (),
    ids: Mapping[str, str] = _NOTHING,
    more: Mapping[str, Any] = _NOTHING,
) -> bytes:
    """Return the chat request's body.

    Args:
        profile: has further members of the body, and the form of the messages.
        model: the id of the model.
        messages: the history and the new message.
        text_alone: whether all of them are known to be text alone. Looking at each costs 6 % of a long turn.
        effort: how hard the model reasons; None means its own default.
        tools: the tools that the turn asks for.
        ids: the ids, by the names of the placeholders.
        more: the members that the turn or a solver's answer brings.

    Returns:
        JSON, in UTF-8.
    """
    body = {name: value for name, value in _FIRST.items() if name not in profile.extra_body} | profile.extra_body
    values: dict[str, Any] = {
        "model": model,
        "messages": _messages(profile, messages, text_alone),
        "effort": effort or profile.model(model).default_effort,
        "uses_tools": bool(tools),
        "null": None,
        **ids,
    }
    tool_choice = {name: True for name in tools if name not in profile.tool_choice}
    tool_choice |= {name: name in tools or value for name, value in profile.tool_choice.items()}
    if tool_choice:
        values["tool_choice"] = tool_choice
    return msgspec.json.encode(fill_body(body, values, more))


def _messages(profile: ServiceProfile, messages: Sequence[Message], text_alone: bool) -> Sequence[msgspec.Struct]:
    """Return the messages in a form that msgspec writes for the service: those of text alone as they are."""
    if text_alone and profile.bare_text and profile.history_parts == "text":
        return messages
    from ._message_forms import form_of  # which most conversations never need

    return [form_of(profile, message) for message in messages]
