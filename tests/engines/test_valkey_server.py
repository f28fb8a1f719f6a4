"""The engine over real servers of Valkey and Redis: restarts, failovers, clusters, rights, memory."""

from __future__ import annotations

import functools
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.backoff
import redis.cluster
import redis.retry
import valkey
import valkey.cluster
from support.engines import AtTime
from support.lossy import LossyRelay
from support.servers import free_port
from support.stores import Store, cluster, replica_of, store

from ddg_protocol.coordination import (
    Busy,
    Call,
    Claim,
    Claimed,
    Commit,
    Committed,
    Done,
    Held,
    Hold,
    Lost,
    Mark,
    Marked,
    Release,
    Released,
    Reserve,
    Result,
    Slot,
)
from ddg_protocol.errors import EngineUnavailable
from ddg_transports.engines.valkey import ValkeyEngine

pytestmark = pytest.mark.deep("it needs servers")

NO_RETRIES = redis.retry.Retry(redis.backoff.NoBackoff(), 0)


def reserve(engine: ValkeyEngine, nonce: str = "n", **changes: Any) -> Slot:
    fields = {"nonce": nonce, "interval": 1.5, "window": 0.05, "max_wait": 600.0, **changes}
    slot = engine.call(Reserve(**fields))
    assert isinstance(slot, Slot), slot
    return slot


def claim(engine: ValkeyEngine, key: str = "k", holder: str = "h", **changes: Any) -> Claimed:
    claimed = engine.call(Claim(**{"key": key, "holder": holder, "lease": 30.0, **changes}))
    assert isinstance(claimed, Claimed), claimed
    return claimed


def commit_of(claimed: Claimed, document: bytes, key: str = "k", turn: str = "") -> Commit:
    fence, revision = claimed.fence, claimed.revision
    return Commit(
        key=key, fence=fence, revision=revision, document=document, turn=turn, reply=b"reply" if turn else b""
    )


def converse(engine: ValkeyEngine, key: str = "k") -> None:
    """Do one of each call, as a turn does, and one that fails."""
    reserve(engine)
    assert engine.call(Hold(seconds=0.0)) == Held()
    claimed = claim(engine, key, "first")
    assert isinstance(engine.call(Claim(key=key, holder="other", lease=30.0)), Busy)
    assert engine.call(Mark(key=key, fence=claimed.fence, lease=30.0)) == Marked()
    assert engine.call(commit_of(claimed, b"document", key, "1")) == Committed(revision=1)
    again = engine.call(Claim(key=key, holder="again", lease=30.0, turn="1"))
    assert again == Done(reply=b"reply", revision=1, document=b"document")
    claimed = claim(engine, key, "second")
    assert engine.call(Release(key=key, fence=claimed.fence, revision=1)) == Released()


@pytest.mark.parametrize(
    "make",
    [
        lambda server: server.url,
        lambda server: server.url.replace("valkey:", "redis:"),
        lambda server: valkey.Valkey(port=server.port, socket_timeout=30),
        lambda server: valkey.Valkey(port=server.port, socket_timeout=30, protocol=3),
        lambda server: redis.Redis(port=server.port, socket_timeout=30, retry=NO_RETRIES),
        lambda server: redis.Redis(port=server.port, socket_timeout=30, retry=NO_RETRIES, protocol=3),
    ],
    ids=["valkey URL", "redis URL", "valkey", "valkey RESP3", "redis", "redis RESP3"],
)
def test_each_client_does_each_call(server: Store, make: Callable[[Store], Any]) -> None:
    server.client().script_flush()
    given = make(server)
    with ValkeyEngine(given) as engine:
        converse(engine)
    if not isinstance(given, str):
        given.close()


def test_a_conversation_and_a_pace_are_one_key_each(server: Store) -> None:
    converse(ValkeyEngine(server.client(), scope="office", ttl=100.0), "a}{b")
    client = server.client()
    assert set(client.keys()) == {b"ddg:1:{office}:pace", b"ddg:1:{c:a}{b}"}
    assert 86_400 < client.ttl(b"ddg:1:{office}:pace") <= 90_000
    assert 0 < client.ttl(b"ddg:1:{c:a}{b}") <= 100
    numbers = [value for name, value in client.hgetall(b"ddg:1:{c:a}{b}").items() if name in (b"fence", b"until")]
    assert all(len(number) == 16 and number.isdigit() for number in numbers)


def test_two_scopes_have_a_pace_each(server: Store) -> None:
    first, second = (ValkeyEngine(server.client(), scope=scope) for scope in ("a", "b"))
    assert [reserve(engine, nonce).position for engine, nonce in ((first, "1"), (second, "2"), (first, "3"))] == [
        0,
        0,
        1,
    ]


def test_a_conversation_that_nobody_uses_is_forgotten(server: Store) -> None:
    engine = ValkeyEngine(server.client(), ttl=0.05)
    assert engine.call(commit_of(claim(engine), b"document")) == Committed(revision=1)
    server.wait_for(lambda client: not client.exists(b"ddg:1:{c:k}"))
    assert claim(engine, holder="other").document == b""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("times", b""), ("times", b"0 0 0 0"), ("times", b"1e3 0 0 0 0"), ("times", b"0 0 0 0 -1"), ("given", b"1 2 3"),
        ("given", b"1 2 x n"), ("fetch", b"secret"), ("p1", b"1 2 3 n"), ("p1", b"secret"),
    ],
)  # fmt: skip
def test_a_pace_of_another_form_is_refused_and_stays(server: Store, field: str, value: bytes) -> None:
    engine, client = ValkeyEngine(server.client()), server.client()
    reserve(engine, "1")
    client.hset(b"ddg:1:{default}:pace", field, value)
    before = client.hgetall(b"ddg:1:{default}:pace")
    with pytest.raises(EngineUnavailable, match="UNREADABLE") as caught:
        reserve(engine, "2")
    assert "secret" not in str(caught.value)
    assert client.hgetall(b"ddg:1:{default}:pace") == before


@pytest.mark.parametrize("field", ["time", "offset", "fence", "until", "revision"])
def test_a_conversation_of_another_form_is_refused_and_stays(server: Store, field: str) -> None:
    engine, client = ValkeyEngine(server.client()), server.client()
    claimed = claim(engine)
    client.hset(b"ddg:1:{c:k}", field, b"secret")
    before = client.hgetall(b"ddg:1:{c:k}")
    for call in (Claim(key="k", holder="o", lease=1.0), Mark(key="k", fence=1, lease=1.0), commit_of(claimed, b"d")):
        with pytest.raises(EngineUnavailable, match="UNREADABLE"):
            engine.call(call)
    assert client.hgetall(b"ddg:1:{c:k}") == before


def test_a_key_of_another_program_is_refused_and_stays(server: Store) -> None:
    server.client().set(b"ddg:1:{c:k}", b"theirs")
    with pytest.raises(EngineUnavailable, match="WRONGTYPE"):
        claim(ValkeyEngine(server.client()))
    assert server.client().get(b"ddg:1:{c:k}") == b"theirs"


# What servers go through


def test_after_a_script_flush_nothing_is_different(server: Store) -> None:
    engine = ValkeyEngine(server.client())
    first = reserve(engine, "1")
    server.client().script_flush()
    assert reserve(engine, "1").ticket == first.ticket


def test_after_a_flush_tickets_are_void_and_the_first_slot_waits_out_the_others(server: Store) -> None:
    engine = ValkeyEngine(server.client())
    old = reserve(engine, "1", ticket="")
    claimed = claim(engine)
    server.client().flushall()
    new = reserve(engine, "2", ticket=old.ticket, epoch=old.epoch)
    assert new.epoch != old.epoch
    assert new.delay >= 2.5  # the interval, and the longest window that a slot may have had
    assert not new.final
    assert claim(engine, holder="other").fence > claimed.fence


def test_a_server_that_was_killed_has_another_life(program: str, tmp_path: Path) -> None:
    always = ("--appendonly", "yes", "--appendfsync", "always")
    with store(program, tmp_path, *always) as server:
        engine = ValkeyEngine(server.client(socket_timeout=5.0))
        old = reserve(engine, "1")
        claimed = claim(engine)
        assert engine.call(commit_of(claimed, b"document")) == Committed(revision=1)
        server.stop(signal.SIGKILL)
        with pytest.raises(EngineUnavailable, match="it can't be reached"):
            reserve(engine, "2")
        server.start()
        new = reserve(engine, "2", ticket=old.ticket, epoch=old.epoch)
        assert new.epoch != old.epoch
        assert new.delay >= 2.4
        assert claim(engine, holder="other").document == b"document"


def test_a_server_that_stands_still_is_unavailable_in_time(program: str, tmp_path: Path) -> None:
    with store(program, tmp_path) as server:
        engine = ValkeyEngine(server.client(socket_timeout=0.1))
        first = reserve(engine, "1")
        server.signal(signal.SIGSTOP)
        with pytest.raises(EngineUnavailable, match="it didn't answer in time"):
            reserve(engine, "1")
        server.signal(signal.SIGCONT)
        engine = ValkeyEngine(server.client())
        assert reserve(engine, "1").ticket == first.ticket


def test_a_server_without_memory_refuses_and_keeps_what_it_has(program: str, tmp_path: Path) -> None:
    with store(program, tmp_path) as server:
        engine, client = ValkeyEngine(server.client()), server.client()
        claimed = claim(engine)
        before = client.hgetall(b"ddg:1:{c:k}")
        client.config_set("maxmemory", 1)
        for call in (commit_of(claimed, b"document"), Mark(key="k", fence=claimed.fence, lease=30.0)):
            with pytest.raises(EngineUnavailable, match="its memory is full"):
                engine.call(call)
        with pytest.raises(EngineUnavailable, match="its memory is full"):
            reserve(engine)
        assert client.hgetall(b"ddg:1:{c:k}") == before
        client.config_set("maxmemory", 0)
        assert engine.call(commit_of(claimed, b"document")) == Committed(revision=1)


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_server_that_may_drop_conversations_is_refused_before_a_turn_begins(
    program: str, policy: str, tmp_path: Path
) -> None:
    with store(program, tmp_path, "--maxmemory-policy", policy) as server:
        engine = ValkeyEngine(server.client())
        with pytest.raises(EngineUnavailable, match=f"set maxmemory-policy to noeviction, which is {policy} now"):
            claim(engine)
        assert not server.client().keys()
        reserve(engine)  # a pace that is dropped begins anew, and waits for that


def test_a_replica_that_is_read_only_is_refused(program: str, tmp_path: Path) -> None:
    with store(program, tmp_path / "a") as primary, replica_of(primary, tmp_path / "b") as replica:
        engine = ValkeyEngine(replica.client())
        for call in (Hold(seconds=1.0), Claim(key="k", holder="h", lease=1.0)):
            with pytest.raises(EngineUnavailable, match="it is a replica"):
                engine.call(call)


RIGHTS = "~ddg:1:* +evalsha +eval +time +hgetall +hmget +hget +hset +hdel +hexists +hkeys +hstrlen +pexpire"


def test_few_rights_suffice_and_fewer_are_refused(server: Store) -> None:
    client = server.client()
    for rights, is_enough in (
        (RIGHTS, True),
        (f"{RIGHTS} +info", True),
        (RIGHTS.replace("+hset ", ""), False),
        (RIGHTS.replace("ddg:1:*", "other:*"), False),
        (RIGHTS.replace("+time ", ""), False),
        ("~ddg:1:*", False),
    ):
        client.flushall()
        client.execute_command("ACL SETUSER", "app", "reset", "on", ">secret", *rights.split())
        with ValkeyEngine(f"valkey://app:secret@127.0.0.1:{server.port}") as engine:
            if is_enough:
                converse(engine)
                continue
            with pytest.raises(EngineUnavailable, match="the user may not run scripts, or what they run"):
                reserve(engine)
            assert not client.keys()
    client.execute_command("ACL DELUSER", "app")
    with (
        ValkeyEngine(f"valkey://app:secret@127.0.0.1:{server.port}") as engine,
        pytest.raises(EngineUnavailable, match="it refuses the user name or the password"),
    ):
        reserve(engine)


def test_without_the_right_to_ask_for_the_servers_run_a_lost_hash_is_still_another_life(server: Store) -> None:
    client = server.client()
    client.execute_command("ACL SETUSER", "app", "reset", "on", ">secret", *RIGHTS.split())
    with ValkeyEngine(f"valkey://app:secret@127.0.0.1:{server.port}") as engine:
        first, second = reserve(engine, "1"), reserve(engine, "2")
        assert first.epoch == second.epoch
        assert first.epoch.startswith(":")
        client.flushall()
        assert reserve(engine, "3").epoch != first.epoch


# Replicas


def catch_up(primary: Store) -> None:
    """Wait until a replica has all that the primary has."""
    client = primary.client(single_connection_client=True)
    client.set("other", "value")  # WAIT counts the writes of its own connection
    assert client.wait(1, 5000) == 1


@pytest.mark.parametrize("replicas", [0, 1])
def test_a_failover_to_a_stale_replica_loses_a_stored_turn_unless_it_was_waited_for(
    program: str, replicas: int, tmp_path: Path
) -> None:
    with store(program, tmp_path / "a") as primary, replica_of(primary, tmp_path / "b") as replica:
        engine = ValkeyEngine(primary.client(), replicas=replicas)
        claimed = claim(engine)
        old = reserve(engine)
        catch_up(primary)
        assert engine.call(commit_of(claimed, b"first", turn="1")) == Committed(revision=1)
        claimed = claim(engine, holder="2")
        catch_up(primary)
        replica.client().execute_command("REPLICAOF", "127.0.0.1", free_port())  # where nobody is
        stored = commit_of(claimed, b"second", turn="2")
        if replicas:
            with pytest.raises(EngineUnavailable, match="0 of 1 replicas have the turn so far"):
                engine.call(stored)
        else:
            assert engine.call(stored) == Committed(revision=2)  # acknowledged, and lost
        primary.stop(signal.SIGKILL)
        replica.client().execute_command("REPLICAOF", "NO", "ONE")
        engine = ValkeyEngine(replica.client())
        new = reserve(engine, "2", ticket=old.ticket, epoch=old.epoch)
        assert new.epoch != old.epoch
        assert new.delay >= 2.4
        if replicas:  # the turn isn't over: it is stored now
            assert engine.call(stored) == Committed(revision=2)
        assert claim(engine, holder="3", take_over=True).document == (b"second" if replicas else b"first")


def test_a_commit_that_no_replica_had_counts_when_it_is_repeated_and_one_has(program: str, tmp_path: Path) -> None:
    with store(program, tmp_path / "a") as primary, replica_of(primary, tmp_path / "b") as replica:
        engine = ValkeyEngine(primary.client(), replicas=1)
        stored = commit_of(claim(engine), b"document")
        replica.signal(signal.SIGSTOP)
        for _ in range(2):  # also on another connection than the one that has written it
            with pytest.raises(EngineUnavailable, match="0 of 1 replicas have the turn so far"):
                engine.call(stored)
            engine = ValkeyEngine(primary.client(), replicas=1)
        replica.signal(signal.SIGCONT)
        assert engine.call(stored) == Committed(revision=1)


# A cluster


CLUSTERS: dict[str, Callable[..., Any]] = {
    "valkey": functools.partial(valkey.cluster.ValkeyCluster, socket_timeout=30),
    "redis": functools.partial(redis.cluster.RedisCluster, socket_timeout=30, retry=NO_RETRIES),
}


def test_a_cluster_does_each_call_and_follows_its_slots(program: str, tmp_path: Path) -> None:
    with cluster(program, tmp_path) as nodes:
        for library, client_of in CLUSTERS.items():
            client = client_of(host="127.0.0.1", port=nodes[0].port)
            with ValkeyEngine(client, scope=library) as engine:
                for number in range(12):
                    converse(engine, f"{library} {number}}}é")
            client.close()
        held = [len(node.client().keys()) for node in nodes]
        assert sum(held) == 26
        assert all(held)
        elsewhere = next(node for node in nodes if not node.client().keys("ddg:1:{valkey}*"))
        with pytest.raises(EngineUnavailable):  # of a client that knows of no cluster
            reserve(ValkeyEngine(elsewhere.client(), scope="valkey"))


def test_a_conversation_whose_slot_moves_goes_on(program: str, tmp_path: Path) -> None:
    with cluster(program, tmp_path) as nodes:
        client = CLUSTERS["valkey"](host="127.0.0.1", port=nodes[0].port)
        engine = ValkeyEngine(client)
        stored = commit_of(claim(engine), b"document")
        key = b"ddg:1:{c:k}"
        slot = nodes[0].client().execute_command("CLUSTER KEYSLOT", key)
        ids = [node.client().execute_command("CLUSTER MYID").decode() for node in nodes]
        (source,) = [number for number, node in enumerate(nodes) if node.client().keys(key)]
        target = (source + 1) % 3
        nodes[target].client().execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[source])
        nodes[source].client().execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[target])
        nodes[source].client().execute_command("MIGRATE", "127.0.0.1", nodes[target].port, key, 0, 5000)
        assert engine.call(stored) == Committed(revision=1)  # asked of the one, answered by the other
        for node in nodes:
            node.client().execute_command("CLUSTER SETSLOT", slot, "NODE", ids[target])
        assert claim(engine, holder="other").document == b"document"
        client.close()


def test_a_cluster_of_which_a_part_is_down_refuses_its_conversations_alone(program: str, tmp_path: Path) -> None:
    with cluster(program, tmp_path) as nodes:
        for node in nodes:
            node.client().config_set("cluster-require-full-coverage", "no")
        client = CLUSTERS["valkey"](host="127.0.0.1", port=nodes[0].port, require_full_coverage=False)
        engine = ValkeyEngine(client)
        keys = [str(number) for number in range(12)]
        for key in keys:
            claim(engine, key)
        lost = {name.decode()[9:-1] for name in nodes[2].client().keys("*")}
        nodes[2].stop(signal.SIGKILL)
        until = time.monotonic() + 30
        found: dict[str, bool] = {}
        while time.monotonic() < until:
            for key in keys:
                try:
                    found[key] = isinstance(engine.call(Claim(key=key, holder="h", lease=30.0)), Claimed)
                except EngineUnavailable:
                    found[key] = False
            if {key for key, is_there in found.items() if not is_there} == lost:
                break
        assert lost
        assert {key for key, is_there in found.items() if not is_there} == lost
        client.close()


# Answers that are lost, and clocks


class Repeated:
    """An engine that loses the answer to each call, or to none, and makes the call again."""

    def __init__(self, engine: ValkeyEngine, relay: LossyRelay, *, loses: bool) -> None:
        self._engine, self._relay, self._loses = engine, relay, loses

    def call(self, call: Call) -> Result:
        if self._loses:
            self._relay.lose()
            with pytest.raises(EngineUnavailable, match="it can't be reached, or closed the connection"):
                self._engine.call(call)
        return self._engine.call(call)


@pytest.mark.parametrize("loses", [False, True])
def test_a_call_whose_answer_was_lost_is_the_same_when_it_is_made_again(server: Store, loses: bool) -> None:
    relay = LossyRelay(server.port)
    with ValkeyEngine(f"valkey://127.0.0.1:{relay.port}", ttl=3600.0) as inner:
        engine = Repeated(inner, relay, loses=loses)
        client = server.client()
        first = engine.call(Reserve(nonce="1", interval=1.5, window=0.05, need=2, max_wait=60.0))
        assert isinstance(first, Slot)
        assert (first.ticket, first.position) == ("1", 0)
        second = engine.call(Reserve(nonce="2", interval=1.5, window=0.05, max_wait=60.0))
        assert isinstance(second, Slot)
        assert (second.ticket, second.position) == ("2", 1)
        assert engine.call(Hold(seconds=1.0)) == Held()
        claimed = engine.call(Claim(key="k", holder="h", lease=30.0))
        assert isinstance(claimed, Claimed)
        assert (claimed.revision, claimed.document, claimed.sent) == (0, b"", False)
        assert engine.call(Mark(key="k", fence=claimed.fence, lease=30.0)) == Marked()
        assert engine.call(commit_of(claimed, b"document", turn="1")) == Committed(revision=1)
        claimed = engine.call(Claim(key="k", holder="2", lease=30.0))
        assert isinstance(claimed, Claimed)
        assert (claimed.revision, claimed.document, claimed.sent) == (1, b"document", False)
        released = Release(key="k", fence=claimed.fence, revision=1, document=b"without a token")
        assert engine.call(released) == Released()
        assert client.hget(b"ddg:1:{c:k}", "revision") == b"2"
        assert client.hlen(b"ddg:1:{c:k}") == 14  # eleven for the conversation, three for the turn that has a key
        assert client.hget(b"ddg:1:{default}:pace", "times").endswith(b" 2")
    relay.close()
    assert relay.lost == (8 if loses else 0)


@pytest.mark.parametrize("jump", [-20.0, 20.0])
def test_the_servers_clock_that_jumps_neither_stalls_nor_opens_the_pace(server: Store, jump: float) -> None:
    time = [1_764_331_122_000_000]
    engine = ValkeyEngine(AtTime(server.client(), lambda: time[0]))
    for nonce in ("1", "2", "3"):
        reserve(engine, nonce)
    time[0] += 2_500_000
    assert reserve(engine, "1", ticket="1").final
    claimed = claim(engine)
    time[0] += round(jump * 1_000_000)
    slot = reserve(engine, "2")
    assert slot.delay <= 1.55
    if jump < 0:
        assert slot.delay >= 1.5  # time stood still once
        assert isinstance(engine.call(Claim(key="k", holder="other", lease=1.0)), Busy)
        time[0] += 30_000_000
        assert isinstance(engine.call(Claim(key="k", holder="other", lease=1.0)), Claimed)
    assert engine.call(Mark(key="k", fence=claimed.fence, lease=1.0)) == (Marked() if jump > 0 else Lost())
