"""The pace of one client, and what else its sessions share (PROTOCOL.md sections 3 and 7), in virtual time."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest
from support.cases import each_of
from support.crowd import Crowd, Member, Outcome
from support.hand import PAGE, Hand

from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    ChatTimeoutError,
    ClientState,
    Conversation,
    Cookie,
    Policy,
    RateLimitError,
    Retrying,
    SendRequest,
    Session,
    TurnFinished,
    TurnStarted,
    Wait,
)
from ddg_protocol.cookies import CookieJar
from ddg_protocol.events import Queued
from ddg_protocol.pace import FETCH_SECONDS, PATIENCE, Landing, Pacer, Place, Ticket
from ddg_protocol.steps import Step

INTERVAL = DUCKDUCKGO_2025_04.interval
UNPACED = DUCKDUCKGO_2025_04.at("http://127.0.0.1:1")


def steps_of(crowd: Crowd) -> Counter[str]:
    return Counter(start.step for start in crowd.starts)


def assert_paced(crowd: Crowd) -> None:
    assert all(after.now - before.now > INTERVAL - 1e-9 for before, after in pairwise(crowd.starts))


def queued(member: Member) -> list[tuple[float, int, float]]:
    return [(now, event.position, event.until) for now, event in member.events if isinstance(event, Queued)]


# The pacer by itself


def place(number: int, *, requests: int = 1, pages: tuple[Step, ...] = (), ready: float = 0.0) -> Place:
    return Place(Ticket(0.0, number), ready, 0.0, requests, pages)


def test_the_first_request_starts_at_once_and_so_does_one_after_a_pause() -> None:
    pacer = Pacer()
    slot = pacer.reserve(place(1), now=100.0, interval=1.5, gap=1.5)
    assert (slot.until, slot.least, slot.start, slot.position) == (100.0, 100.0, 100.0, 0)
    pacer.begin(Ticket(0.0, 1), Step.CHAT, now=100.0, until=160.0)
    assert pacer.reserve(place(2), now=100.5, interval=1.5, gap=1.5).until == 101.5
    assert pacer.reserve(place(2), now=160.0, interval=1.5, gap=1.5).until == 160.0
    assert pacer.reserve(place(2, ready=165.0), now=160.0, interval=1.5, gap=1.5).until == 165.0, "it backs off"


def test_a_retry_keeps_further_away() -> None:
    pacer = Pacer()
    pacer.begin(Ticket(0.0, 1), Step.CHAT, now=10.0, until=70.0)
    assert pacer.reserve(place(2), now=10.0, interval=1.5, gap=3.0).until == 13.0


def test_without_an_interval_every_request_starts_at_once() -> None:
    pacer = Pacer()
    slots = [pacer.reserve(place(number), now=5.0, interval=0.0, gap=0.0) for number in (1, 2, 3)]
    assert {(slot.until, slot.position) for slot in slots} == {(5.0, 0)}
    assert pacer.queue.places == ()


def test_a_turn_says_how_many_are_ahead_and_when_its_start_is_likely() -> None:
    pacer = Pacer()
    pacer.reserve(place(1, requests=2, pages=(Step.FRONT_END, Step.LANDING)), now=0.0, interval=1.5, gap=1.5)
    pacer.begin(Ticket(0.0, 1), Step.FRONT_END, now=0.0, until=60.0)
    second = pacer.reserve(place(2), now=0.0, interval=1.5, gap=1.5)
    third = pacer.reserve(place(3), now=0.0, interval=1.5, gap=1.5)
    assert (second.position, third.position) == (1, 2)
    assert (second.until, second.least, second.start) == (1.5, 1.5, 1.5 + 3 * 1.5)  # landing page, status and chat
    assert (third.until, third.least, third.start) == (1.5, 3.0, 1.5 + 4 * 1.5)


def test_a_queue_that_moves_fast_is_not_looked_at_all_the_time() -> None:
    pacer = Pacer()
    pacer.begin(Ticket(0.0, 999), Step.CHAT, now=0.0, until=60.0)
    slots = [pacer.reserve(place(number), now=0.0, interval=0.01, gap=0.01) for number in range(1, 101)]
    assert [round(slot.until, 6) for slot in slots[:3]] == [0.01, 0.02, 0.03]
    assert slots[-1].until == 0.5


def test_an_older_turn_that_is_late_has_one_more_interval() -> None:
    pacer = Pacer()
    pacer.begin(Ticket(0.0, 999), Step.CHAT, now=0.0, until=60.0)
    for number in (1, 2):
        pacer.reserve(place(number), now=0.0, interval=1.5, gap=1.5)
    assert pacer.reserve(place(2), now=1.5, interval=1.5, gap=1.5).until == 2.0
    assert pacer.reserve(place(2), now=2.0, interval=1.5, gap=1.5).until == 2.5
    assert pacer.reserve(place(2), now=2.5, interval=1.5, gap=1.5).until == 3.0
    assert pacer.reserve(place(2), now=3.0, interval=1.5, gap=1.5).until == 3.0
    assert pacer.reserve(place(1), now=3.0, interval=1.5, gap=1.5).position == 0, "it is the oldest again"


def test_a_turn_never_begins_before_an_older_one_that_may_begin_now() -> None:
    pacer = Pacer()
    pacer.begin(Ticket(0.0, 999), Step.CHAT, now=0.0, until=60.0)
    assert pacer.reserve(place(1), now=2.0, interval=1.5, gap=1.5).until == 2.0
    assert [pacer.reserve(place(2), now=now, interval=1.5, gap=1.5).until for now in (2.9, 3.0, 3.1)] == [3.0, 3.5, 3.6]


@pytest.mark.parametrize("interval", [0.0, INTERVAL])
def test_a_turn_that_waits_for_a_page_asks_less_often_the_longer_the_fetch_takes(interval: float) -> None:
    pacer, now, looks = Pacer(), 0.0, []
    pacer.begin(Ticket(0.0, 1), Step.FRONT_END, now=now, until=60.0)
    while now < FETCH_SECONDS:
        slot = pacer.reserve(place(2, pages=(Step.FRONT_END,)), now=now, interval=interval, gap=interval)
        assert slot.position == (0 if interval else 1)
        looks.append(now := slot.until)
    assert looks[0] == (interval or 0.05)
    assert looks[-1] == FETCH_SECONDS
    slot = pacer.reserve(place(2, pages=(Step.FRONT_END,)), now=now, interval=interval, gap=interval)
    assert (slot.until, slot.position) == (now, 0)
    assert len(looks) <= 9


def test_the_patience_for_a_fetch_begins_anew_after_the_last_one_that_did_not_end() -> None:
    for then, since in ((PATIENCE - 0.1, 0.0), (PATIENCE, PATIENCE)):
        pacer = Pacer()
        for number, now in ((1, 0.0), (2, then)):
            pacer.begin(Ticket(0.0, number), Step.LANDING, now=now, until=60.0)
        assert [fetch.since for fetch in pacer.queue.fetches] == [since]


def test_a_turn_that_begins_is_younger_than_one_that_came_from_another_client() -> None:
    pacer = Pacer()
    assert pacer.enter_again(Ticket(0.0, 5)) == Ticket(0.0, 5)
    assert pacer.enter(1.0) == Ticket(1.0, 6)


def test_clients_begin_with_nothing_in_common() -> None:
    one, other = ClientState(), ClientState()
    one.pacer.begin(one.pacer.enter(1.0), Step.LANDING, now=1.0, until=61.0)
    one.fe_version = "serp_1-2"
    assert other.pacer.last_start is None
    assert other.pacer.queue.tickets == 0
    assert other.fe_version == ""


# Depth first


@pytest.mark.parametrize("last_first", [False, True])
def test_of_ten_chats_at_once_the_first_has_its_answer_after_four_requests_and_nobody_waits_longer(
    last_first: bool,
) -> None:
    """Before turns were queued: 31 requests, first answers after 31.75 ... 45.25 s, 38.5 s on average."""
    crowd = Crowd(last_first=last_first)
    for _ in range(10):
        crowd.ask()
    crowd.run()
    answers = [member.first_answer for member in crowd.members]
    assert answers[0] == 3 * INTERVAL + 0.25
    assert answers[0] < 5 * INTERVAL
    assert answers == sorted(answers)
    assert sum(answers) / 10 == 18.25 < 0.6 * 38.5
    assert max(answers) == 31.75 < 45.25
    assert_paced(crowd)
    assert steps_of(crowd) == {"page": 1, "landing": 1, "status": 10, "chat": 10}


@pytest.mark.parametrize("seconds", [0.01, 1.0, 2.0, 5.0])
def test_a_start_is_not_kept_for_an_older_turn_whose_response_is_still_to_come(seconds: float) -> None:
    crowd = Crowd(lambda member, step: Outcome(after=seconds))
    for _ in range(10):
        crowd.ask()
    crowd.run()
    begun = list(dict.fromkeys(start.member.number for start in crowd.starts))
    assert begun == list(range(10))
    assert_paced(crowd)
    before = {0.01: 45.01, 1.0: 46.0, 2.0: 48.5, 5.0: 54.5}[seconds]
    assert max(member.first_answer for member in crowd.members) < before


def test_the_next_turn_of_a_conversation_is_the_youngest() -> None:
    crowd = Crowd()
    first = crowd.ask(warm=True)
    others = [crowd.ask(warm=True) for _ in range(3)]
    crowd.run(until=0.5)
    assert first.ended is not None
    crowd.ask_again(first)
    crowd.run()
    assert [start.member.number for start in crowd.starts] == [0, 1, 2, 3, 0]
    assert others[-1].first_answer < first.waits[-1].until


def test_after_a_hold_the_oldest_turn_begins_first() -> None:
    crowd = Crowd(lambda member, step: Outcome("hold" if crowd.now == 0 else "ok"), last_first=True)
    for _ in range(4):
        crowd.ask(warm=True)
    crowd.run()
    assert [start.now for start in crowd.starts] == [0.0, 20.25, 22.5, 24.0, 25.5, 27.0]
    assert [start.member.number for start in crowd.starts] == [0, 0, 0, 1, 2, 3]
    assert {wait.reason for wait in crowd.members[3].waits} == {"pacing", "backoff"}
    assert [position for _, position, _ in queued(crowd.members[3])][:2] == [2, 3]


def test_a_turn_that_backs_off_holds_nobody_off() -> None:
    crowd = Crowd(lambda member, step: Outcome("error" if crowd.now == 0 else "ok"))
    for _ in range(3):
        crowd.ask(warm=True)
    crowd.run()
    # The first one's backoff takes 4 s, and its chat request has another 2.25 s to keep.
    assert [start.member.number for start in crowd.starts] == [0, 1, 2, 0, 0]


# Who ends or stops


@pytest.mark.parametrize("end", [Crowd.cancel, Crowd.close])
def test_a_turn_that_ends_gives_its_place_back_at_once(end: Callable[[Crowd, Member], None]) -> None:
    crowd = Crowd()
    members = [crowd.ask(warm=True) for _ in range(9)]
    crowd.run(until=1.0)
    for member in members[1:8]:
        end(crowd, member)
    assert crowd.shared.pacer.queue.places[0].ticket.number == 9
    crowd.run()
    assert [(start.now, start.member.number) for start in crowd.starts] == [(0.0, 0), (1.5, 8)]


def test_a_turn_that_fails_gives_its_place_back_at_once() -> None:
    crowd = Crowd(lambda member, step: Outcome("hangs" if member.number == 0 else "ok"))
    brief = Policy(turn_timeout=1.0)
    failed = crowd.ask(warm=True, policy=brief)
    member = crowd.ask(policy=brief)  # it can't be done in its time
    assert isinstance(member.error, ChatTimeoutError)
    last = crowd.ask(warm=True)
    assert crowd.shared.pacer.queue.places == (Place(Ticket(0.0, 3), 0.0, 1.5, 1, ()),)
    crowd.run()
    assert isinstance(failed.error, ChatTimeoutError)
    assert last.first_answer == 1.75


def test_a_session_that_is_not_pulled_any_more_costs_the_others_one_interval() -> None:
    crowd = Crowd()
    members = [crowd.ask(warm=True) for _ in range(4)]
    crowd.abandon(members[1])
    crowd.abandon(members[2])
    crowd.run()
    assert [(start.now, start.member.number) for start in crowd.starts] == [(0.0, 0), (3.0, 3)]
    for member in members[1:3]:
        crowd.resume(member)
    crowd.run()
    assert [start.member.number for start in crowd.starts] == [0, 3, 1, 2]
    assert_paced(crowd)


def test_a_turn_that_would_wait_too_long_for_older_ones_ends_at_once() -> None:
    crowd = Crowd()
    for _ in range(4):
        crowd.ask()
    late = crowd.ask(policy=Policy(turn_timeout=9.0))
    assert late.error is None, "the first one's response is still to come; nobody else waits for a start, but a page"
    crowd.run(until=2.0)
    too_late = crowd.ask(policy=Policy(turn_timeout=4.0))
    assert isinstance(too_late.error, ChatTimeoutError)
    assert "may begin in" in str(too_late.error)
    crowd.run()
    assert isinstance(late.error, ChatTimeoutError)
    assert [member.error for member in crowd.members[:4]] == [None] * 4


# The pages


@pytest.mark.parametrize("profile", [DUCKDUCKGO_2025_04, UNPACED])
def test_many_sessions_that_start_together_fetch_each_page_once(profile: object) -> None:
    """Before turns waited for the one that fetches, 50 without an interval fetched each page 50 times."""
    crowd = Crowd()
    for _ in range(50):
        crowd.ask(profile=profile)
    crowd.run()
    assert steps_of(crowd) == {"page": 1, "landing": 1, "status": 50, "chat": 50}
    assert all(member.error is None for member in crowd.members)
    assert len({str(member.session.conversation.cookies) for member in crowd.members}) == 1
    waits = [len(member.waits) for member in crowd.members]
    if profile is UNPACED:
        assert max(member.ended or 0.0 for member in crowd.members) < 1.6  # the two pages take 0.5 s
        assert max(waits) <= 8


@each_of("page", ["page", "landing"])
@each_of("what", ["error", "cut"])
@each_of("profile", [DUCKDUCKGO_2025_04, UNPACED])
def test_when_a_fetch_fails_the_next_one_fetches(page: str, what: str, profile: object) -> None:
    crowd = Crowd(lambda member, step: Outcome(what if step == page and member.number < 2 else "ok"))  # type: ignore[arg-type]
    for _ in range(4):
        crowd.ask(profile=profile)
    crowd.run()
    assert all(member.error is None for member in crowd.members)
    fetchers = [start.member.number for start in crowd.starts if start.step == page]
    assert fetchers[:3] == [0, 1, 2] if profile is DUCKDUCKGO_2025_04 else len(fetchers) == 3
    assert len(fetchers) == 3


@pytest.mark.parametrize("end", [Crowd.cancel, Crowd.close])
@pytest.mark.parametrize("page", ["page", "landing"])
def test_when_the_one_that_fetches_is_cancelled_the_next_one_fetches(
    end: Callable[[Crowd, Member], None], page: str
) -> None:
    crowd = Crowd(lambda member, step: Outcome(after=5.0))
    members = [crowd.ask() for _ in range(3)]
    while members[0].fetching != page:
        crowd.run(until=crowd.now + 0.25)
    end(crowd, members[0])
    assert crowd.shared.pacer.queue.fetches == ()
    crowd.run()
    assert [start.member.number for start in crowd.starts if start.step == page] == [0, 1]
    assert all(member.error is None for member in members[1:])


def test_when_the_one_that_fetches_is_abandoned_the_next_one_fetches_after_ten_seconds() -> None:
    crowd = Crowd()
    members = [crowd.ask() for _ in range(3)]
    crowd.abandon(members[0])
    crowd.run()
    fetches = [(start.now, start.member.number) for start in crowd.starts if start.step == "page"]
    assert fetches == [(0.0, 0), (FETCH_SECONDS, 1)]
    assert members[2].ended is not None
    crowd.resume(members[0])
    crowd.run()
    assert [start.step for start in crowd.starts if start.member is members[0]] == ["page", "status", "chat"]


def test_where_no_fetch_ends_turns_fetch_for_themselves_in_the_end() -> None:
    crowd = Crowd(lambda member, step: Outcome("hangs" if step == "page" else "ok"))
    for _ in range(10):
        crowd.ask()
    crowd.run()
    fetches = [start.now for start in crowd.starts if start.step == "page"]
    assert fetches == [0.0, FETCH_SECONDS, *(PATIENCE + 1.5 * n for n in range(8))]
    # Before turns waited for each other, the last answer came after 93.75 s.
    assert max(member.first_answer for member in crowd.members) < 93.75


def test_a_fetch_that_was_abandoned_long_ago_is_forgotten() -> None:
    crowd = Crowd()
    crowd.abandon(crowd.ask())
    crowd.run(until=20.0)
    later = [crowd.ask() for _ in range(3)]
    crowd.run()
    assert [start.member for start in crowd.starts if start.step == "page"] == [crowd.members[0], later[0]]


def test_a_turn_that_needs_no_page_does_not_wait_for_one() -> None:
    crowd = Crowd(lambda member, step: Outcome(after=8.0 if step == "page" else 0.25))
    crowd.ask()
    crowd.ask()
    warm = crowd.ask(warm=True)
    crowd.run()
    assert warm.first_answer == 1.75


def test_a_chat_with_cookies_of_its_own_neither_takes_nor_gives_any() -> None:
    crowd = Crowd()
    own = crowd.ask(cookies={"mine": "1"})
    crowd.run()
    assert crowd.shared.landing is None
    crowd.ask()
    crowd.run()
    again = crowd.ask(cookies=[Cookie(name="mine", value="2", domain="duckduckgo.com")])
    crowd.run()
    assert steps_of(crowd) == {"page": 1, "landing": 1, "status": 3, "chat": 3}
    for member in (own, again):
        assert {cookie.name for cookie in member.session.conversation.cookies} == {"dcs", "dcm", "mine"}


def landed(crowd: Crowd, **settings: object) -> str:
    """Return the landing page's cookie of a new chat, which was set at the time that it says."""
    member = crowd.ask(**settings)  # type: ignore[arg-type]
    crowd.run()
    return next(cookie.value for cookie in member.session.conversation.cookies if cookie.name == "visit")


def test_after_a_refusal_of_its_cookies_the_client_visits_the_landing_page_again() -> None:
    limited: set[int] = set()

    def respond(member: Member, step: str) -> Outcome:
        return Outcome("limited" if step == "chat" and member.number in limited else "ok")

    crowd = Crowd(respond)
    first = landed(crowd)
    assert landed(crowd) == first
    limited.add(2)
    refused = crowd.ask(policy=Policy(max_retries=0))
    crowd.run()
    assert isinstance(refused.error, RateLimitError)
    later = landed(crowd)
    assert later != first
    assert landed(crowd) == later


def test_a_refusal_of_cookies_that_were_replaced_meanwhile_drops_nothing() -> None:
    crowd = Crowd(lambda member, step: Outcome("limited", after=6.0) if crowd.now in (6.0, 7.5) else Outcome())
    crowd.ask()
    crowd.run(until=6.0)
    early, late = crowd.ask(), crowd.ask()  # the status request of each is refused after 6 s
    crowd.run()
    # After that of the first, it visits the landing page again. The other one was sent before, and takes its cookies.
    visits = [(start.now, start.member) for start in crowd.starts if start.step == "landing"]
    assert visits == [(1.5, crowd.members[0]), (14.0, early)]
    assert early.session.conversation.cookies == late.session.conversation.cookies


def test_a_refusal_of_a_chat_with_cookies_of_its_own_drops_nothing() -> None:
    crowd = Crowd(lambda member, step: Outcome("limited" if member.number == 1 and step == "chat" else "ok"))
    first = landed(crowd)
    crowd.ask(cookies={"mine": "1"}, policy=Policy(max_retries=0))
    assert landed(crowd) == first


def test_cookies_that_have_ended_are_fetched_again() -> None:
    shared = ClientState()
    visits = []
    for now in (0.0, 50.0, 200.0):
        hand = Hand(Session(shared=shared))
        hand.now = now
        hand.session.ask("Hi", now=now)
        while not (request := hand.pull()).url.endswith("/status"):  # type: ignore[attr-defined]
            if request.url.endswith("/aichat"):  # type: ignore[attr-defined]
                visits.append(now)
            hand.answer(headers=[("set-cookie", "visit=1; max-age=100")], body=PAGE)
        hand.session.close()
    assert visits == [0.0, 200.0]


VISIT = Cookie(name="visit", value="1", domain="duckduckgo.com", expires=130.0)


def test_cookies_end_by_the_clock_of_the_service_which_a_new_jar_takes_over() -> None:
    shared = ClientState()
    shared.has_landed(CookieJar([VISIT], offset=30.0), now=0.0)
    new, own = CookieJar(), CookieJar(offset=-5.0)
    assert shared.land(new, now=99.9)
    assert shared.land(own, now=99.9)
    assert (new.cookies, new.offset, own.cookies, own.offset) == ((VISIT,), 30.0, (VISIT,), -5.0)
    assert not shared.land(new, now=100.0)
    shared.has_landed(CookieJar([VISIT]), now=100.0)  # no response has shown the service's clock
    assert shared.land(new, now=129.9)


def test_a_refusal_drops_the_cookies_that_were_there_when_its_request_began() -> None:
    shared = ClientState()
    shared.has_landed(CookieJar([VISIT]), now=10.0)
    shared.drop_landing(begun=9.9)
    assert shared.landing is not None
    shared.drop_landing(begun=10.0)
    assert shared.landing is None


# What the caller is told


def test_a_turn_that_queues_says_so_once_for_each_place_that_it_has() -> None:
    crowd = Crowd()
    for _ in range(5):
        crowd.ask()
    crowd.run()
    assert queued(crowd.members[0]) == []
    last = crowd.members[4]
    assert [position for _, position, _ in queued(last)] == [4, 3, 2, 1]
    begun = next(start.now for start in crowd.starts if start.member is last)
    assert [until for _, _, until in queued(last)] == [begun] * 4
    kinds = [type(event) for _, event in last.events]
    assert kinds == [TurnStarted, *[Queued] * 4, *kinds[5:]]
    assert kinds[-1] is TurnFinished


def test_a_lone_turn_and_one_that_only_keeps_the_interval_are_not_told_of_a_queue() -> None:
    crowd = Crowd()
    crowd.ask()
    crowd.run()
    after = crowd.ask(warm=True)
    assert [wait.until - crowd.starts[-1].now for wait in after.waits] == [1.5]
    crowd.run()
    assert all(queued(member) == [] for member in crowd.members)


def test_a_start_that_is_put_off_is_told_anew() -> None:
    crowd = Crowd(lambda member, step: Outcome("hold" if member.number == 0 and step == "status" else "ok"))
    crowd.ask(policy=Policy(max_retries=0))
    crowd.ask()
    last = crowd.ask()
    crowd.run()
    told = queued(last)
    assert [position for _, position, _ in told] == [2, 1]
    assert told[1][2] > told[0][2] + 10

    hold = Crowd(lambda member, step: Outcome(after=1.0))
    hold.ask()
    second = hold.ask()
    hold.run(until=0.5)
    hold.shared.pacer.hold(30.0)
    hold.run()
    assert [position for _, position, _ in queued(second)] == [1, 1]
    assert queued(second)[1][2] >= 30.0


def test_a_turn_that_is_cancelled_and_asked_again_is_told_again() -> None:
    crowd = Crowd()
    crowd.ask()
    second = crowd.ask()
    crowd.cancel(second)
    crowd.ask_again(second)
    assert [position for _, position, _ in queued(second)] == [1, 1]


# Snapshots


def test_a_session_that_is_restored_in_its_client_keeps_its_place() -> None:
    crowd = Crowd()
    members = [crowd.ask() for _ in range(3)]
    crowd.run(until=0.5)
    for member in members:
        stored = json.loads(json.dumps(member.session.snapshot(now=crowd.now)))
        member.session = Session.restore(stored, now=crowd.now, shared=crowd.shared)
        crowd.pull(member)
    assert len(crowd.shared.pacer.queue.places) == 3
    crowd.run()
    assert [member.first_answer for member in members] == [4.75, 7.75, 10.75]
    assert steps_of(crowd) == {"page": 1, "landing": 1, "status": 3, "chat": 3}


def test_a_page_is_fetched_anew_by_the_session_that_is_restored_while_it_fetches() -> None:
    for profile in (DUCKDUCKGO_2025_04, UNPACED):
        crowd = Crowd()
        first = crowd.ask(profile=profile)
        stored = first.session.snapshot(now=crowd.now)
        first.session = Session.restore(stored, now=crowd.now, profile=profile, shared=crowd.shared)
        second = crowd.ask(profile=profile)
        crowd.pull(first)
        crowd.run()
        assert first.first_answer < second.first_answer < 9.5
        assert [start.member for start in crowd.starts if start.step == "page"] == [first, first]


def test_a_session_that_is_restored_elsewhere_keeps_its_age_and_brings_the_cookies_along() -> None:
    crowd = Crowd()
    crowd.ask()
    member = crowd.ask()
    crowd.run(until=4.0)
    stored = json.loads(json.dumps(member.session.snapshot(now=4.0)))
    assert stored["landing"]["visited"] == 1.75
    assert stored["phase"]["turn"]["told"] == {"position": 1, "until": 6.0}

    there = Crowd(start=1000.0)
    there.ask(warm=True)
    young = there.ask()
    old = Member(Session.restore(stored, now=1000.0, shared=there.shared), 2)
    there.pull(old)
    there.run()
    assert there.shared.fe_version
    assert steps_of(there) == {"chat": 3, "status": 2}
    assert old.first_answer < young.first_answer
    again = Session.restore(stored, now=5.0)
    assert again.snapshot(now=5.0)["phase"]["turn"]["ticket"] == {"began": 1.0, "number": 2}


def test_a_client_learns_from_a_snapshot_only_what_is_news() -> None:
    shared, first, second = ClientState(), Landing((VISIT,), 0.0, 1.0), Landing((), 0.0, 2.0)
    known = [
        ("", None, None, None),
        ("a-1", 10.0, 20.0, first),
        ("b-2", 9.0, 19.0, second),
        ("", None, None, None),
        ("", 11.0, 21.0, None),
    ]
    seen = []
    for fe_version, last_start, held_until, landing in known:
        shared.learn(fe_version=fe_version, last_start=last_start, held_until=held_until, landing=landing)
        seen.append((shared.fe_version, shared.pacer.last_start, shared.pacer.held_until, shared.landing))
    old = ("a-1", 10.0, 20.0, first)
    assert seen == [("", None, -math.inf, None), old, old, old, ("a-1", 11.0, 21.0, first)]


def test_a_turn_that_is_restored_in_a_new_client_is_older_than_those_that_begin_later() -> None:
    session, shared = Session(), ClientState()
    session.ask("Hi", now=0.0)
    assert isinstance(session.next_action(now=0.0), TurnStarted)
    first, second = Session.restore(session.snapshot(now=0.0), now=0.0, shared=shared), Session(shared=shared)
    second.ask("Hi", now=0.0)
    assert isinstance(second.next_action(now=0.0), TurnStarted)
    assert isinstance(first.next_action(now=0.0), SendRequest)
    assert second.next_action(now=0.0) == Queued(1, 6.0)


def test_a_retry_in_a_conversation_that_goes_on_takes_the_cookies_of_the_client() -> None:
    shared = ClientState()
    first = Hand(Session(shared=shared))
    first.to_chat()
    later = Hand(
        Session(conversation=Conversation(vqd="4-9", cookies=first.session.conversation.cookies), shared=shared)
    )
    later.now = first.now
    later.session.ask("Hi", now=later.now)
    later.request_for("/chat")
    later.answer(429)
    assert isinstance(later.session.next_action(now=later.now), Retrying)
    later.request_for("/aichat")


def test_a_wait_of_one_that_queues_is_no_longer_than_half_a_second_or_the_next_start() -> None:
    crowd = Crowd()
    members = [crowd.ask() for _ in range(6)]
    first = [wait.until for member in members[1:] for wait in member.waits]
    assert first == [1.5] * 5
    assert all(isinstance(wait, Wait) for member in members for wait in member.waits)
