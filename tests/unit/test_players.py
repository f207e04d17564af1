"""What a name is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import InvalidArgument
from services.common.validation import Violations
from services.player.players import check_name, check_name_prefix


def name_of(raw: str) -> str:
    with Violations() as wrong:
        return check_name(wrong, "name", raw)


@pytest.mark.parametrize(
    "name", ["a", "Anna", "Anna Berg", "x" * 20, "Zoë", "李小龍", "Ὀδυσσεύς", "🦊", "❤️", "O'Neill", "100%_\\", "-1"]
)
def test_a_name_may_have_any_visible_character(name: str) -> None:
    assert name_of(name) == name


def test_a_name_is_normalized() -> None:
    assert name_of("Zoe\u0308") == "Zoë"
    assert name_of("e\u0301" * 20) == "é" * 20


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x" * 21,
        "\u0958" * 11,  # each of which is two characters once normalized
        pytest.param("a" + "\u0300\u0316" * 1_000_000, id="a million accents"),
        " a",
        "a ",
        " ",
        "a\u00a0",
        "\u3000a",
        "a\nb",
        "a\tb",
        "a\0",
        "a\x7f",
        "a\x9f",
        "a\u200bb",  # zero width space
        "a\u202eb",  # turns what follows around
        "a\u2028b",
        "a\ue000",  # private use
        "a\u0378",  # unassigned
        "a\U0010ffff",
    ],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        name_of(name)
    assert {violation.field for violation in refused.value.violations} == {"name"}


@given(st.text(max_size=25))
def test_every_name_taken_is_stored_as_a_name(raw: str) -> None:
    try:
        name = name_of(raw)
    except InvalidArgument:
        return
    assert name_of(name) == name
    assert 1 <= len(name) <= 20


@given(st.text(max_size=25), st.integers(0, 20))
def test_every_beginning_of_a_name_is_a_prefix(raw: str, length: int) -> None:
    try:
        name = name_of(raw)
    except InvalidArgument:
        return
    with Violations() as wrong:
        check_name_prefix(wrong, "name_prefix", name[:length])
