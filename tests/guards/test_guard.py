from __future__ import annotations

import pytest

from snellen.errors import DataError, RunError
from snellen.guards.guard import Verdict, judge, read_verdicts, summary, unjudged, write_verdicts
from snellen.runs.run import Run

PASSED = Verdict("pixel-order", True, "fine")
FAILED = Verdict("overfit-gap", False, "9 points", "--set epochs=1", "note")
UNKNOWN = unjudged("blind-start", "no images")


def test_counts_name_the_failures():
    assert (
        summary([PASSED, PASSED, FAILED, UNKNOWN]) == "2 guards passed, 1 failed (overfit-gap), 1 could not be judged"
    )
    assert summary([PASSED]) == "1 guard passed"


def test_what_is_written_is_read(tmp_path):
    write_verdicts(Run(tmp_path), [PASSED, FAILED, UNKNOWN], processor_seconds=0.25)
    assert read_verdicts(Run(tmp_path)) == (PASSED, FAILED, UNKNOWN)


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{}",
        '{"verdicts": 3}',
        '{"verdicts": [{"name": "pixel-order"}]}',
        '{"verdicts": [{"name": "unheard-of", "passed": true, "evidence": "x"}]}',
        '{"verdicts": [{"name": "pixel-order", "passed": "yes", "evidence": "x"}]}',
        '{"verdicts": [{"name": "pixel-order", "passed": true, "evidence": 4}]}',
        '{"verdicts": [{"name": [], "passed": true, "evidence": "x"}]}',
        '{"verdicts": [{"name": "pixel-order", "passed": true, "evidence": "x", "severity": "fatal"}]}',
    ],
)
def test_a_file_that_holds_no_verdicts_is_refused_in_one_sentence(tmp_path, content):
    (tmp_path / "guards.json").write_text(content)
    with pytest.raises(RunError):
        read_verdicts(Run(tmp_path))


def test_a_guard_that_breaks_is_a_verdict_and_the_others_are_still_asked():
    def broken() -> Verdict:
        raise ZeroDivisionError("oh")

    def refused() -> Verdict:
        raise DataError("There is nothing.")

    first, second, third = judge({"blind-start": broken, "overfit-gap": refused, "pixel-order": lambda: PASSED})
    assert first.passed is None
    assert "ZeroDivisionError: oh" in first.evidence
    assert second == unjudged("overfit-gap", "There is nothing.")
    assert third is PASSED


def test_a_failure_without_a_remedy_cannot_be_made():
    with pytest.raises(AssertionError, match="way out"):
        Verdict("pixel-order", False, "wrong")
