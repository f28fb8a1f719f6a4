"""The identity that the later revisions send."""

from ..identity import Identity

IDENTITY = Identity(user_agent="ddg-protocol", sec_ch_ua="", accept_language="")
"""It names this library. An embedder whose solver's answers are bound to another identity sets that one."""
