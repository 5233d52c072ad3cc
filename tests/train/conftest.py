"""Fixtures of the train room."""

from __future__ import annotations

from pathlib import Path

import pytest

from snellen.train import fit


@pytest.fixture(autouse=True)
def _empty_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs made inside a test get empty files for their pictures: drawing costs more than such a training."""

    def touch(path: Path, *_: object, **__: object) -> None:
        path.touch()

    monkeypatch.setattr(fit, "curves_png", touch)
    monkeypatch.setattr(fit, "draw_grades", lambda predictions, folder, *, val: touch(folder / "confusion.png"))
