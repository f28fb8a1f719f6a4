"""The table of targets: what each fuzzes, with what it begins, and its bounds where they aren't the usual ones."""

from __future__ import annotations

from . import hostile, inputs, parsers, screens, sessions, shared
from .target import Target


def _core(*names: str) -> tuple[str, ...]:
    return tuple(f"ddg_protocol.{name}" for name in names)


_MIB = 1024 * 1024

TARGETS = (
    Target(name="event-stream", run=parsers.event_stream, inputs=inputs.event_streams, covers=_core("sse")),
    Target(name="reply", run=parsers.reply, inputs=inputs.replies, covers=_core("reply", "payload", "sse")),
    Target(name="pages", run=parsers.pages, inputs=inputs.pages, covers=_core("handshake")),
    Target(
        name="tokens",
        run=parsers.tokens,
        inputs=inputs.heads,
        covers=_core("handshake", "service._tokens", "service._challenge"),
    ),
    Target(
        name="challenge-script", run=parsers.challenge_script, inputs=inputs.scripts, covers=_core("challenge.script")
    ),
    Target(name="literals", run=parsers.literals, inputs=inputs.literals, covers=_core("challenge.literals")),
    Target(
        name="dom",
        run=parsers.dom,
        inputs=inputs.snippets,
        covers=_core(
            *("challenge.dom", "challenge.rules", "challenge.html", "challenge._html5lib", "challenge.tokenizer"),
            *("challenge.modes", "challenge.adoption", "challenge.doubts", "challenge.tree"),
        ),
        seconds=3.0,  # at most 1,024 characters are parsed, up to eight times: quadratic is bounded there
    ),
    Target(
        name="challenge", run=parsers.challenge, inputs=inputs.challenges, covers=_core("challenge.answer"), seconds=3.0
    ),
    Target(name="cookies", run=parsers.cookies, inputs=inputs.set_cookies, covers=_core("cookies")),
    Target(name="redirects", run=parsers.redirects, inputs=inputs.locations, covers=_core("redirect")),
    Target(name="dates", run=parsers.dates, inputs=inputs.dates, covers=_core("dates", "refusal")),
    Target(name="http", run=parsers.http, inputs=inputs.http, covers=_core("_http")),
    Target(
        name="coding", run=parsers.coding, inputs=inputs.codings, covers=_core("content"), memory=32 * _MIB, seconds=1.0
    ),
    Target(name="refusals", run=parsers.refusals, inputs=inputs.refusals, covers=_core("refusal")),
    Target(name="model-list", run=parsers.model_list, inputs=inputs.model_lists, covers=_core("model_list")),
    Target(name="conversation", run=parsers.conversation, inputs=inputs.conversations, covers=_core("conversation")),
    Target(name="profile", run=parsers.profile, inputs=inputs.profiles, covers=_core("profile", "policy", "urls")),
    Target(
        name="messages",
        run=parsers.messages,
        inputs=inputs.messages,
        covers=_core("chat", "parts", "_part_forms", "profile"),
    ),
    Target(name="shown", run=parsers.shown, inputs=inputs.texts, covers=("ddg_protocol.text", "ddg_chat._text")),
    Target(
        name="redaction",
        run=parsers.redaction,
        inputs=inputs.redacted,
        covers=_core("redaction", "transcript._redaction", "transcript._texts", "transcript._words"),
    ),
    Target(
        name="fault-scripts",
        run=sessions.fault_scripts,
        inputs=inputs.fault_scripts,
        covers=_core("service.script", "service.faults"),
        memory=32 * _MIB,
    ),
    Target(
        name="service",
        run=sessions.service,
        inputs=inputs.requests,
        covers=_core("service._service", "service._framing"),
        memory=32 * _MIB,
    ),
    Target(
        name="snapshot",
        run=sessions.snapshot,
        inputs=inputs.snapshots() | inputs.odd(inputs.snapshots()),
        covers=_core("_snapshot", "_turn", "_phases"),
    ),
    Target(
        name="transcript",
        run=sessions.transcript,
        inputs=inputs.transcripts() | inputs.odd(inputs.transcripts()),
        covers=_core(
            *(
                "transcript._bodies",
                "transcript._earlier",
                "transcript._lines",
                "transcript._playing",
                "transcript._reading",
                "transcript._replay",
                "transcript._serve",
            )
        ),
    ),
    Target(
        name="recording",
        run=sessions.recording,
        inputs=inputs.steps(),
        covers=_core("tap", "transcript._record", "transcript._redaction"),
    ),
    Target(
        name="session",
        run=sessions.session,
        inputs=inputs.steps(),
        covers=_core(
            *(
                "session",
                "_turn",
                "_plan",
                "_setup",
                "_exchange",
                "_reports",
                "_response",
                "_failure",
                "retry",
            ),
            "pace",
        ),
        seconds=4.0,  # a MiB may come of a short input, and be a hundred thousand events or lines
        memory=64 * _MIB,
    ),
    Target(
        name="colours", run=screens.colours, inputs=inputs.codes, covers=("ddg_chat._colours",), memory_per_byte=1024
    ),
    Target(
        name="markdown",
        run=screens.markdown,
        inputs=inputs.markdowns(),
        covers=("ddg_chat._markdown", "ddg_chat._colours"),
        seconds=2.0,  # some of what is laid out takes the square of its length, and no more than 8 KiB are at once
        seconds_per_byte=200e-6,
        memory=32 * _MIB,
        memory_per_byte=2048,
    ),
    Target(
        name="floods",
        run=hostile.floods,
        inputs=inputs.floods(),
        covers=_core("session", "wire", "_http"),
        seconds=1.0,  # a flood is 64 times as long as the input
        memory=64 * _MIB,  # a turn's, whatever the service sends
        memory_per_byte=0,
    ),
    Target(name="secrets", run=hostile.secrets, inputs=inputs.planted, covers=_core("redaction", "wire", "_http")),
    Target(
        name="arguments",
        run=hostile.arguments,
        inputs=inputs.calls(),
        covers=_core("session", "wire", "policy", "cookies", "conversation"),
    ),
    Target(name="wire", run=sessions.wire, inputs=inputs.wire_steps(), covers=_core("wire", "session")),
    Target(
        name="shared-stored",
        run=shared.stored,
        inputs=inputs.shared_stored(),
        covers=_core("coordination._documents", "coordination._rows", "coordination._pace"),
    ),
    Target(
        name="shared-replies",
        run=shared.server_replies,
        inputs=inputs.shared_replies(),
        covers=_core("coordination._valkey", "coordination.calls"),
    ),
    Target(
        name="shared-results",
        run=shared.results,
        inputs=inputs.shared_results(),
        covers=_core("_coordinate", *(f"coordination.{name}" for name in ("_memory", "_turns", "_time", "calls"))),
        seconds=2.0,
    ),
)
