from __future__ import annotations

import pytest

from snellen import parts
from snellen.errors import DataError, RunError
from snellen.guards.guard import GuardResult, ask_guards, own_guards, read_guards, summary, unjudged, write_guards
from snellen.runs.run import Run
from snellen.show.terminal import show_guard_results
from snellen.show.text import new_console

PASSED = GuardResult("pixel-order", True, "fine")
FAILED = GuardResult("overfit-gap", False, "9 points", "--set epochs=1", "note")
UNKNOWN = unjudged("initial-loss", "no images")


def test_counts_name_the_failures():
    assert (
        summary([PASSED, PASSED, FAILED, UNKNOWN]) == "2 guards passed, 1 failed (overfit-gap), 1 could not be judged"
    )
    assert summary([PASSED]) == "1 guard passed"


def test_what_is_written_is_read(tmp_path):
    write_guards(Run(tmp_path), [PASSED, FAILED, UNKNOWN], processor_seconds=0.25)
    assert read_guards(Run(tmp_path)) == (PASSED, FAILED, UNKNOWN)


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{}",
        '{"results": 3}',
        '{"results": [{"name": "pixel-order"}]}',
        '{"results": [{"name": "un heard of", "passed": true, "evidence": "x"}]}',
        '{"results": [{"name": "pixel-order", "passed": "yes", "evidence": "x"}]}',
        '{"results": [{"name": "pixel-order", "passed": true, "evidence": 4}]}',
        '{"results": [{"name": [], "passed": true, "evidence": "x"}]}',
        '{"results": [{"name": "pixel-order", "passed": true, "evidence": "x", "severity": "fatal"}]}',
    ],
)
def test_a_file_that_holds_no_verdicts_is_refused_in_one_sentence(tmp_path, content):
    (tmp_path / "guards.json").write_text(content)
    with pytest.raises(RunError):
        read_guards(Run(tmp_path))


def test_a_guard_that_breaks_is_a_verdict_and_the_others_are_still_asked():
    def broken() -> GuardResult:
        raise ZeroDivisionError("oh")

    def refused() -> GuardResult:
        raise DataError("There is nothing.")

    first, second, third = ask_guards({"initial-loss": broken, "overfit-gap": refused, "pixel-order": lambda: PASSED})
    assert first.passed is None
    assert "ZeroDivisionError: oh" in first.evidence
    assert second == unjudged("overfit-gap", "There is nothing.")
    assert third is PASSED


def test_a_failure_without_a_remedy_cannot_be_made():
    with pytest.raises(AssertionError, match="way out"):
        GuardResult("pixel-order", False, "wrong")


@pytest.mark.usefixtures("own_parts_forgotten")
def test_a_guard_of_ones_own_may_say_how_bad_it_is_and_one_that_is_broken_is_shown_with_its_error(tmp_path, capsys):
    (tmp_path / "lab.py").write_text(
        """import snellen

@snellen.register("guard", "grave")
def grave(parts, run):
    return False, "3 of 4", "Mend it.", "error"

@snellen.register("guard", "plain")
def plain(parts, run):
    return False, "3 of 4", "Mend it."

@snellen.register("guard", "slips")
def slips(parts, run):
    return parts.imges

@snellen.register("guard", "silent")
def silent(parts, run):
    pass

@snellen.register("guard", "loud")
def loud(parts, run):
    return False, "3 of 4", "Mend it.", "fatal"
"""
    )
    parts.allow(tmp_path / "lab.py")
    found = {result.name: result for result in ask_guards(own_guards(None, None))}
    assert (found["grave"].severity, found["plain"].severity) == ("error", "warning")
    assert found["grave"].passed is found["plain"].passed is False
    assert found["slips"].evidence.startswith("The guard slips fails: AttributeError: 'NoneType' object has no")
    assert "line 13" in found["slips"].evidence
    assert "silent returns nothing (is a return missing?)" in found["silent"].evidence
    assert "(error, warning, note); loud returns (False" in found["loud"].evidence
    show_guard_results(new_console(), [*found.values(), UNKNOWN], passed=False)
    shown = capsys.readouterr().out
    assert "? slips  The guard slips fails: AttributeError" in shown
    assert UNKNOWN.evidence not in shown
