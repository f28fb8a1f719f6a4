"""The verdict on an observation, and the checks of which scenarios choose."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from ddg_protocol.service import Endpoint

from ._values import Check, Mistake, Observation, Scenario, Turn, Verdict

INTERVAL = 1.5
"""Seconds between the starts of two requests of one client (PROTOCOL.md section 1)."""
_SLACK = 0.25  # seconds, for a busy machine
_SECRETS = ("cookie", "x-vqd-4", "x-vqd-hash-1")
_RIGHT = Verdict("right")
#: A program may print a replacement character for these: a terminal would take them for line ends.
_REPLACED = dict.fromkeys(map(ord, "\u2028\u2029\u0085"), "\ufffd")
_ERROR = re.compile(r"[\w.]*(Error|Exception|Limit|Stream)\b.*: ")


def wrong(mistake: Mistake, why: str) -> Verdict:
    """Return the verdict that something is wrong."""
    return Verdict("wrong", why, mistake)


def judged(scenario: Scenario, seen: Observation) -> Verdict:
    """Return the verdict: the first thing that is wrong, else the first that is tolerable."""
    found = list(_found(scenario, seen))
    bad = [verdict for verdict in found if verdict.kind == "wrong"]
    return next(iter([*bad, *found]), _RIGHT)


def _found(scenario: Scenario, seen: Observation) -> Iterator[Verdict]:
    """Yield what isn't right, the worst first."""
    for check in (no_secret_to_a_stranger, no_question_twice, *scenario.checks):
        verdict = check(seen)
        if verdict is not None:
            yield verdict
    if seen.code is None:
        yield wrong("hang", f"it was stopped after {seen.seconds:.0f} s")
    elif seen.code != 0 and not seen.said.strip():
        ended = f"signal {-seen.code}" if seen.code < 0 else f"exit code {seen.code}"
        yield wrong("crash without a word", f"it ended with {ended}, and standard error is empty")
    elif seen.unmet and seen.code != 0:
        yield _stopped_before(seen)
    else:
        yield from _text(scenario, seen)
        if seen.unmet:
            yield Verdict("not asked", "it doesn't make the request that this is about")


def _stopped_before(seen: Observation) -> Verdict:
    """Return the verdict on a client that failed before the scenario could happen."""
    refused = [request for request in seen.requests if request.reason]
    if refused:
        return wrong("request refused", f"{refused[-1].status} {refused[-1].error}: {refused[-1].reason}")
    if not seen.requests:
        return wrong("false alarm", f"it sent no request, and said: {_first_line(seen.said)}")
    return wrong("false alarm", f"it failed before anything had gone wrong, and said: {_first_line(seen.said)}")


def _text(scenario: Scenario, seen: Observation) -> Iterator[Verdict]:
    """Yield what is wrong with what was printed and with the exit code."""
    failed = seen.code != 0
    owed = {turn.owed for turn in scenario.turns}
    unprinted, rest = _unprinted(scenario.turns, seen.printed, failed=failed)
    if failed and _ended_with_a_failed_turn(scenario, seen):
        yield Verdict("not asked", "it ends with the turn that fails, and doesn't ask the next question")
        return
    if failed and owed == {"whole"}:
        said = f"it failed with: {_first_line(seen.said)}"
        refused = [request for request in seen.requests if request.reason]
        if scenario.if_failed:
            yield Verdict("tolerable", scenario.if_failed)
        elif unprinted is None and not rest.strip():
            yield wrong("false alarm", f"it printed the whole reply, but {said}")
        elif refused:
            yield wrong("request refused", f"{refused[-1].status} {refused[-1].error}: {refused[-1].reason}")
        else:
            yield wrong("text lost", said)
    elif unprinted is not None:
        yield _differs(unprinted, rest)
    elif rest.strip():
        again = any(turn.text and turn.text[:20] in rest for turn in scenario.turns)
        yield wrong("text doubled" if again else "text changed", f"after the reply it printed {_shown(rest.strip())}")
    elif not failed and "failure" in owed:
        if scenario.if_whole:
            yield Verdict("tolerable", scenario.if_whole)
        else:
            yield wrong("cut reply passed off as whole", "its exit code is 0")


def _ended_with_a_failed_turn(scenario: Scenario, seen: Observation) -> bool:
    asked = {request.question for request in seen.questions}
    has_failed = False
    for turn in scenario.turns:
        if has_failed and turn.owed == "whole" and turn.question not in asked:
            return True
        has_failed = has_failed or turn.owed != "whole"
    return False


def _unprinted(turns: Sequence[Turn], printed: str, *, failed: bool) -> tuple[Turn | None, str]:
    """Find the first turn whose reply isn't there.

    Returns:
        The turn, or None if all are there, and the rest of what was printed.
    """
    rest = printed.replace("\r\n", "\n")
    for turn in turns:
        stripped = rest.lstrip("\n")
        if stripped.translate(_REPLACED).startswith(turn.text.translate(_REPLACED)):
            rest = stripped[len(turn.text) :]
        elif turn.owed != "whole" and failed:
            rest = stripped[_common(stripped, turn.text) :]
        elif turn.owed == "failure" and not stripped.strip():
            rest = ""  # it may pass an empty reply off as one; the exit code says so
        elif turn.owed == "failure" and turn.text.startswith(stripped.rstrip("\n")):
            rest = ""
        else:
            return turn, stripped
    return None, rest


def _differs(turn: Turn, printed: str) -> Verdict:
    """Return the verdict on a reply that isn't what was sent."""
    text, printed = turn.text, printed.rstrip("\n")
    at = _common(text, printed)
    if not printed.strip():
        return wrong("text lost", "it printed nothing")
    where = f"after {_shown(text[max(0, at - 20) : at])} it printed {_shown(printed[at:])}, not {_shown(text[at:])}"
    if _is_within(printed, text):
        return wrong("text lost", where)
    if _is_within(text, printed):
        return wrong("text doubled", where)
    return wrong("text changed", where)


def _common(first: str, second: str) -> int:
    """Return how many characters two texts have in common at their beginning."""
    both = enumerate(zip(first, second, strict=False))
    return next((at for at, (a, b) in both if a != b), min(len(first), len(second)))


def _is_within(part: str, whole: str) -> bool:
    """Return whether a text is another one with characters left out."""
    characters = iter(whole)
    return all(character in characters for character in part)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:39]}…")


def _first_line(said: str) -> str:
    """Return the line of standard error that says the most: the one that names an error, else the first."""
    lines = [line.strip() for line in said.splitlines() if line.strip()] or [""]
    line = next((line for line in lines if _ERROR.match(line)), lines[0])
    return line if len(line) <= 200 else f"{line[:199]}…"


# What is owed in every scenario


def no_secret_to_a_stranger(seen: Observation) -> Verdict | None:
    """Check that no token, cookie or question went to another host."""
    for request in seen.strange:
        sent = [name for name in _SECRETS if request.header(name)]
        sent += ["the question"] if request.body else []
        if sent:
            return wrong("secret to a stranger", f"{', '.join(sent)} went to another host")
    if seen.strange:
        return Verdict("tolerable", "it asked another host, but sent it no token, cookie or question")
    return None


def no_question_twice(seen: Observation) -> Verdict | None:
    """Check that each question was processed once, and stands in the history once."""
    processed = Counter(request.question for request in seen.questions if request.status == 200)
    if any(number > 1 for number in processed.values()):
        return wrong("question doubled", "the service got the same question again after it had begun to reply")
    for request in seen.questions:
        asked = Counter(text for role, text in request.messages if role == "user")
        if any(number > 1 for number in asked.values()):
            return wrong("question doubled", "a question is in the history twice")
    return None


# What some scenarios owe


def at_most(number: int, endpoint: Endpoint = "chat", *, tolerable: int = 0) -> Check:
    """Check that an endpoint got no more requests than that; up to another number, it is tolerable."""

    def check(seen: Observation) -> Verdict | None:
        sent = sum(request.endpoint == endpoint for request in seen.requests)
        if sent <= number:
            return None
        why = f"{sent} {endpoint} requests, where {number} are enough"
        return Verdict("tolerable", why) if sent <= tolerable else wrong("limit ignored", why)

    return check


def waits(seconds: float) -> Check:
    """Check that no request came sooner than that after a refusal that said when to come back."""

    def check(seen: Observation) -> Verdict | None:
        for before, after in pairwise(seen.requests):
            passed = after.at - before.at
            if before.spoiled and passed < seconds - _SLACK:
                return wrong("limit ignored", f"the next request came after {passed:.1f} s, not {seconds:g} s")
        return None

    return check


def pauses(seen: Observation) -> Verdict | None:
    """Check that a refused question isn't repeated at once."""
    for before, after in pairwise(seen.requests):
        if before.spoiled and after.at - before.at < 1.0:
            return wrong("limit ignored", f"it tried again after {after.at - before.at:.1f} s")
    return None


def keeps_the_interval(seen: Observation) -> Verdict | None:
    """Check the pause between two requests. Each response of the scenario takes 0.2 s."""
    gaps = [after.at - before.at for before, after in pairwise(seen.requests)]
    shortest = min(gaps, default=INTERVAL)
    if shortest < 0.15:
        return wrong("limit ignored", "it sent a request while another one was without a response")
    average = sum(gaps) / len(gaps) if gaps else INTERVAL  # the time of a single one may be seen too late
    if average < INTERVAL - _SLACK:
        return Verdict("tolerable", f"requests began {average:.1f} s apart; the service's pace is {INTERVAL:g} s")
    return None


def sends_history(*replies: str | None) -> Check:
    """Check the messages of the last question: those of the turns that succeeded, in order.

    Args:
        *replies: of each earlier turn, the reply, or None if it failed and must not be there.
    """

    def check(seen: Observation) -> Verdict | None:
        last = seen.questions[-1].messages if seen.questions else ()
        asked = [text for role, text in last if role == "user"]
        kept = [text.strip() for role, text in last if role == "assistant"]
        wanted = [reply.strip() for reply in replies if reply is not None]
        if len(asked) > len(wanted) + 1:
            return wrong("wrong history", "a question without a reply is in the history")
        if asked and kept != wanted and len(asked) == len(wanted) + 1:
            return wrong("wrong history", "the replies in the history are not those that came")
        if len(seen.questions) > 1 and len(asked) < len(wanted) + 1:
            return wrong("wrong history", "the last question came without the history")
        return None

    return check


def leaves_early(endpoint: Endpoint, limit: str) -> Check:
    """Check that a client hangs up on what is too long, before it has all of it."""

    def check(seen: Observation) -> Verdict | None:
        spoiled = [request for request in seen.requests if request.endpoint == endpoint and request.spoiled]
        took_all = [request for request in spoiled if request.ended in ("complete", "broken")]
        return wrong("no bound", f"it took all {limit} of it") if took_all else None

    return check


def never_sends(name: str, value: str) -> Check:
    """Check that no request has a field with such a value in it."""

    def check(seen: Observation) -> Verdict | None:
        sent = any(value in (request.header(name) or "") for request in seen.requests)
        return wrong("foreign value sent", f"a request has {value!r} in its {name}") if sent else None

    return check


def no_guess(seen: Observation) -> Verdict | None:
    """Check that no answer to a challenge was made up."""
    guessed = any(request.header("x-vqd-hash-1") for request in seen.questions)
    return Verdict("tolerable", "it sent an answer to a challenge that can't be read") if guessed else None
