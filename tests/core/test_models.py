"""A model says what it can do."""

from __future__ import annotations

import pytest

from ddg_protocol import DUCKDUCKGO_2025_04, Model
from ddg_protocol.models import AttachmentLimits


@pytest.mark.parametrize(
    ("efforts", "effort"),
    [(("low", "none"), "none"), (("low",), "low"), (("minimal", "low"), "minimal"), ((), "none")],
)
def test_the_default_effort_is_none_unless_the_model_has_others_alone(efforts: tuple[str, ...], effort: str) -> None:
    assert Model("m", efforts=efforts).default_effort == effort


def test_what_a_model_can_do_is_data() -> None:
    profile = DUCKDUCKGO_2025_04.updated(
        {
            "models": [
                {"id": "m", "efforts": ["none", "medium"], "effort_tiers": {"medium": ["pro"]}, "takes_images": True},
                {"id": "n", "file_types": ["application/pdf"], "tools": ["WebSearch"], "tiers": ["plus", "pro"]},
            ],
            "tier": "plus",
            "attachment_limits": {"free": {"images_per_turn": 3}, "plus": {"file_bytes": 5_242_880}},
        }
    )
    assert profile.models == (
        Model("m", efforts=("none", "medium"), effort_tiers={"medium": ("pro",)}, takes_images=True),
        Model("n", file_types=("application/pdf",), tools=("WebSearch",), tiers=("plus", "pro")),
    )
    assert profile.attachment_limits[profile.tier] == AttachmentLimits(file_bytes=5_242_880)


def test_a_limit_is_a_number_that_every_reader_of_json_keeps() -> None:
    for number in (0, 2**53):
        profile = DUCKDUCKGO_2025_04.updated({"attachment_limits": {"free": {"file_bytes": number}}})
        assert profile.attachment_limits["free"] == AttachmentLimits(file_bytes=number)
    for said in ({"file_bytes": -1}, {"file_bytes": 2**53 + 1}, {"bytes": 1}):
        with pytest.raises(ValueError, match="attachment_limits"):
            DUCKDUCKGO_2025_04.updated({"attachment_limits": {"free": said}})


def test_what_is_not_known_of_a_model_is_refused() -> None:
    with pytest.raises(ValueError, match="no key `label`"):
        DUCKDUCKGO_2025_04.updated({"models": [{"id": "m", "label": "M"}]})


def test_the_models_of_april_take_text_alone() -> None:
    assert not any(
        model.takes_images or model.file_types or model.efforts or model.tools for model in DUCKDUCKGO_2025_04.models
    )
