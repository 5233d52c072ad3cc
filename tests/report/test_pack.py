"""What goes into the page comes out again, and no text ends its own element."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from snellen.report.pack import json_for_html, packed, packed_fractions, packed_map


@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "i4", "f4"])
def test_a_column_comes_back_as_it_was(kind: str, rng: np.random.Generator) -> None:
    values = rng.integers(0, 250, (7, 3)).astype(np.float64)
    column = packed(values, kind)
    back = np.frombuffer(base64.b64decode(column["data"]), dtype=f"<{column['type']}")
    np.testing.assert_array_equal(back.reshape(7, 3), values)


def test_a_number_that_does_not_fit_is_refused_instead_of_wrapped() -> None:
    with pytest.raises(AssertionError, match="beyond u1"):
        packed(np.array([256]), "u1")


def test_fractions_are_kept_to_a_hundred_thousandth(rng: np.random.Generator) -> None:
    values = rng.random(1000)
    back = np.frombuffer(base64.b64decode(packed_fractions(values)["data"]), dtype="<u2") / 65_535
    assert abs(back - values).max() < 1e-5


def test_a_map_reaches_255_and_an_empty_one_stays_dark() -> None:
    values = np.array([[0.0, 0.5], [-1.0, 2.0]])
    levels = np.frombuffer(base64.b64decode(packed_map(values)["data"]), dtype="u1")
    assert levels.tolist() == [0, 64, 0, 255]
    assert packed_map(np.zeros((2, 2)))["top"] == 0


@pytest.mark.parametrize("text", ["</script><script>alert(1)</script>", "<!--", "a & b", "\u2028 \u2029"])
def test_json_in_html_holds_the_text_and_none_of_its_dangerous_characters(text: str) -> None:
    written = json_for_html({text: [text]})
    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written) == {text: [text]}
