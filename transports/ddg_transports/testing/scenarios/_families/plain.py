"""Nothing goes wrong: the client only has to read what is there."""

from __future__ import annotations

from .._values import Scenario, Turn

PEOPLE = ("Grüße, ", "שלום עולם, ", "می‌خواهم, ", "नमस्ते, ", "日本語、", "👩‍👩‍👧‍👦 and 🏳️‍🌈.")
"""Scripts of people's languages: right to left, with joiners and without, of one code point and of several."""

SCENARIOS = (
    Scenario(
        "one-piece",
        "The reply comes in one piece.",
        "The client prints it, and ends with exit code 0.",
        6,
        (Turn(pieces=("Because of scattering.",)),),
    ),
    Scenario(
        "many-pieces",
        "The reply comes in two hundred pieces, each a word.",
        "The client prints all of them, in order.",
        6,
        (Turn(pieces=(*(f"word{number} " for number in range(200)), "end.")),),
    ),
    Scenario(
        "languages",
        "The reply has German, Hebrew, Persian, Hindi, Japanese and emoji.",
        "The client prints the same characters, in UTF-8.",
        9,
        (Turn(pieces=PEOPLE),),
    ),
    Scenario(
        "white-space",
        "Some pieces are nothing but spaces, tabs or line feeds.",
        "The client prints them too: a list and a program are laid out by them.",
        6,
        (
            Turn(
                pieces=(
                    "Like",
                    " ",
                    "this:",
                    "\n",
                    "\n",
                    "\t",
                    "if x:\n",
                    "    ",
                    "    ",
                    "return",
                    "  y",
                    "\n",
                    "End.",
                )
            ),
        ),
    ),
    Scenario(
        "looks-like-framing",
        "The text of the reply holds `data:`, `[DONE]` and empty lines.",
        "The client prints them: only the JSON around a text frames it.",
        9,
        (
            Turn(
                pieces=(
                    "An event is ",
                    "data: {}\n\n",
                    "and the last one ",
                    "data: [DONE]\n\n",
                    "or ",
                    "[DONE]",
                    ", so.",
                )
            ),
        ),
    ),
    Scenario(
        "long",
        "The reply has 3,000 pieces, 120 KB of text.",
        "The client prints all of it.",
        8,
        (Turn(pieces=(*(f"{number:05} {'x' * 33}\n" for number in range(3000)), "end.")),),
    ),
)
