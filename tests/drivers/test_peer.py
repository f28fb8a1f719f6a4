"""The scripted server of the test kit."""

from __future__ import annotations

import socket

from ddg_transports.testing.peer import CLOSE, Peer, Said

TIMEOUT = 20.0


def test_a_peer_keeps_no_thread_of_a_connection_that_has_ended() -> None:
    said: Said = [b"HTTP/1.1 204 No Content\r\n\r\n", CLOSE]
    with Peer(*[said] * 5) as peer:
        for _ in range(5):
            with socket.create_connection(peer._address) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nhost: peer\r\n\r\n")
                while connection.recv(1024):
                    pass
        assert peer.all_closed(TIMEOUT)
        assert (peer.connections, peer._serving) == (5, set())
