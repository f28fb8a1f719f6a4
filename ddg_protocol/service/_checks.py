"""What a `Service` asks of requests: each check with the evidence that the real service did, or did not, ask it.

[seen], [code] and [claim] and the short names of clients are those of REVISIONS.md. Clients of spring 2025 that held
conversations, by their code: g4f 0.5.0.3 (``Provider/DDG.py``), duckduckgo_search 7.5.5, duck-chat 1.3.3
(``api.py``) and duckduckgo-ai-chat 0.0.8 (``app.py``).

These are not settings, since there is no request without them:

* a question is JSON with ``model`` and ``messages``, which alone are enough ([code] sct), of the roles ``user`` and
  ``assistant`` (PROTOCOL.md section 6; [claim] kthx), and it ends with the user's;
* the model is one of the list: 404 ``ERR_MODEL_UNAVAILABLE`` [seen];
* images and files have their form: 400 ``ERR_BAD_REQUEST`` ([claim] omn 8000);
* the token was issued by this service: 400 ``ERR_INVALID_VQD`` ([code] bp);
* the answer to a challenge is right, if there is one: 418 ``ERR_CHALLENGE`` [seen].
"""

from __future__ import annotations

import msgspec

from ._exchange import Refusal


class Checks(msgspec.Struct, frozen=True, kw_only=True):
    """What a `Service` asks of requests. By default, only what the record shows that the real service asked.

    ``Checks(history=True)`` and ``msgspec.structs.replace(Checks.strict(), history=False)`` set one alone.

    Attributes:
        accept_tokens: a status request must have ``x-vqd-accept: 1``. Without it the real service gives no challenge
            ([claim] kthx); with little else, it gave tokens ([code] duck-chat, duckduckgo_search).
        origin: an ``origin`` or a ``referer`` must be the service's, if it is sent: the address that the request is
            sent to, or the profile's origin ([code] yan request.go, [claim] omn 4037: 400 if they don't agree with the
            host). duck-chat and duckduckgo_search send no ``origin``.
        own_origin: both must be sent where the profile has them, and be the address that the request is sent to, as
            PROTOCOL.md section 3 says of a profile for another address.
        fields: every field of the profile's lists that has a fixed value must be sent (PROTOCOL.md section 2), and so
            must ``user-agent``, the ids, and even an empty ``x-fe-version`` and ``x-vqd-hash-1``. duck-chat and
            duckduckgo_search leave out most fields of the status request, and duck-chat the last two; [claim] kthx:
            headers are cosmetic.
        front_end_version: an ``x-fe-version`` must be empty or the one of the front-end page. A stale one is tolerated
            ([claim] kthx), and duckduckgo-ai-chat sends none.
        fresh_tokens: a token, and the answer to a challenge, is good for one question (PROTOCOL.md section 3).
            duckduckgo-ai-chat holds a whole conversation with one token; [code] d2a keeps an answer for 10 minutes.
        turns: user and assistant must alternate (PROTOCOL.md section 6). duckduckgo-ai-chat never sends the replies.
        history: the replies in a question must be those of this service. The real one keeps no state ([claim] p2d,
            kthx).
    """

    accept_tokens: bool = True
    origin: bool = True
    own_origin: bool = False
    fields: bool = False
    front_end_version: bool = False
    fresh_tokens: bool = False
    turns: bool = False
    history: bool = False

    @classmethod
    def strict(cls) -> Checks:
        """Return all of PROTOCOL.md."""
        return cls(**dict.fromkeys(cls.__struct_fields__, True))


class Objections:
    """Everything that is wrong with a request."""

    def __init__(self) -> None:
        self._found: list[Refusal] = []

    def add(self, refusal: Refusal) -> None:
        """Add what is wrong."""
        self._found.append(refusal)

    def bad(self, reason: str) -> None:
        """Add a reason for 400 ``ERR_BAD_REQUEST``."""
        self.add(bad(reason))

    def __bool__(self) -> bool:
        return bool(self._found)

    def refusal(self) -> Refusal:
        """Return one refusal for all: the first decides the status, and the reason lists each once."""
        first = self._found[0]
        reasons = dict.fromkeys(refusal.reason for refusal in self._found)
        return Refusal(first.status, first.error, "; ".join(reasons), first.headers)


def bad(reason: str) -> Refusal:
    """Return a refusal for a request that is not well-formed."""
    return Refusal(400, "ERR_BAD_REQUEST", reason)
