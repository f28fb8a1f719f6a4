"""What the later revisions have in common."""

from ..identity import Identity

IDENTITY = Identity(user_agent="ddg-protocol", sec_ch_ua="", accept_language="")
"""It says what it is. Another one, to which a solver's answer may be bound, is the embedder's to set."""
