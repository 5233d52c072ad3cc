"""Without a browser the page's tests are skipped with the reason, and on CI they fail."""

from __future__ import annotations

import pytest
from tests.report.chromium import chromium_path, without_browser


def test_without_a_browser_tests_are_skipped_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install chromium"):
        without_browser("chromium is not installed: apt-get install chromium")


def test_on_ci_they_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="not installed"):
        without_browser("chromium is not installed")


def test_an_empty_path_holds_no_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert chromium_path() is None
