"""What the texts of this project are held to."""

from __future__ import annotations

import re

#: Turns of phrase that a native reader has to decode.
RIDDLES = re.compile(
    r"\bbeside\b|\bone floor\b|\bas (?:[\w`.()]+ ){1,3}has it\b|\bof no more use\b|\bfor none\b|\bfor ever\b"
    r"|\b(?:it|those) who\b|\btakes? note\b|\bsees? to it\b|\bthe want of\b|\bput in the place of\b|\bcomes of it\b"
    r"|\bwhat can be had\b|\bone that is to be in\b",
    re.IGNORECASE,
)
