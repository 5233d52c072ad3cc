from __future__ import annotations

import csv
import json
import shutil

import pytest

from mixed_pictures import write_folder
from snellen.cli.main import main
from snellen.data.eyechart import make_eyechart
from snellen.errors import SnellenWarning, StorageError
from snellen.guards.guard import read_guards
from snellen.runs import atomic


def printed(capsys):
    return json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("small_eyechart")
def test_a_data_set_is_judged_before_anything_is_trained(capsys):
    assert main(["doctor", "eyechart", "--json"]) == 0
    report = printed(capsys)
    assert report["subject"] == "eyechart"
    assert {result["name"]: result["passed"] for result in report["results"]}["pixel-order"] is True


def test_every_pair_of_copies_is_named_on_the_screen_in_json_and_as_a_table(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    letters = make_eyechart(0, train=60, test=0).train
    write_folder(letters, tmp_path / "letters")
    first = min((tmp_path / "letters" / "C").iterdir())
    for number in range(6):
        shutil.copy(first, tmp_path / "letters" / "D" / f"copy{number}{first.suffix}")
    assert main(["doctor", str(tmp_path / "letters"), "--csv", str(tmp_path / "copies.csv"), "--json"]) == 1
    report = printed(capsys)
    pairs = [pair for pair in report["copies"]["pairs"] if pair["kind"] == "exact"]
    of_six = {f"C/{first.name}", *(f"D/copy{number}{first.suffix}" for number in range(6))}
    assert len(pairs) == 6
    assert {name for pair in pairs for name in (pair["first"], pair["second"])} == of_six
    rows = list(csv.DictReader((tmp_path / "copies.csv").read_text().splitlines()))
    assert [{**row, "likeness": float(row["likeness"])} for row in rows] == report["copies"]["pairs"]
    main(["doctor", str(tmp_path / "letters")])
    out = capsys.readouterr().out
    assert f"copies   {pairs[0]['first_part']} {pairs[0]['first']} = {pairs[0]['second_part']} " in out
    assert f"and {len(rows) - 5} more: all are in --csv PATH" in out


@pytest.mark.usefixtures("small_eyechart")
def test_a_run_is_judged_again_and_its_verdicts_are_replaced(own_run, capsys):
    own_run.update_info(status="diverged")
    assert main(["doctor", str(own_run.folder)]) == 1
    out = capsys.readouterr().out
    assert "✗ finite-loss  error:" in out
    assert "→ Train again" in out
    assert {result.name: result.passed for result in read_guards(own_run)}["finite-loss"] is False


@pytest.mark.usefixtures("small_eyechart")
@pytest.mark.parametrize(
    ("command", "words"), [(("doctor",), "guards passed"), (("evaluate", "--robustness"), "mirrored")]
)
def test_what_was_found_is_shown_where_it_cannot_be_written(own_run, capsys, monkeypatch, command, words):
    def full(path, parts):
        raise StorageError(f"Cannot write {path}: the disk is full.")

    monkeypatch.setattr(atomic, "write_parts", full)
    with pytest.warns(SnellenWarning, match="the disk is full"):
        main([command[0], str(own_run.folder), *command[1:]])
    assert words in capsys.readouterr().out


@pytest.mark.usefixtures("small_eyechart")
def test_notes_alone_are_no_failure(own_run, capsys, monkeypatch):
    from snellen.guards import check
    from snellen.guards.guard import GuardResult

    note = GuardResult("overfit-gap", False, "9 points", "less", "note")
    monkeypatch.setattr(check, "check_run", lambda *args, **kwargs: (note,))
    assert main(["doctor", str(own_run.folder), "--json"]) == 0


@pytest.mark.usefixtures("small_eyechart")
def test_a_run_on_other_data_than_these_is_refused(own_run, capsys):
    own_run.update_info(data=own_run.info["data"] | {"train": {"fingerprint": "0" * 64, "count": 1, "per_class": [1]}})
    assert main(["doctor", str(own_run.folder)]) == 1
    assert "fingerprint" in capsys.readouterr().err


def test_a_run_whose_data_are_away_is_judged_by_its_folder(own_run, capsys, monkeypatch, tmp_path):
    monkeypatch.delenv("SNELLEN_DATA", raising=False)
    own_run.update_info(data=own_run.info["data"] | {"name": "cifar10"})
    main(["doctor", str(own_run.folder), "--data", str(tmp_path), "--json"])
    passed = {result["name"]: result["passed"] for result in printed(capsys)["results"]}
    assert passed["pixel-order"] is None
    assert passed["finite-loss"] is not None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Whose doctor?"),
        (["eyechrat"], "Did you mean 'eyechart'"),
        (["runs/nowhere"], "There is no run at"),
        (["eyechart", "--ledger", "l.jsonl"], "no effect on a data set"),
    ],
)
def test_wrong_usage_says_what_is_right(arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", *arguments]) in (1, 2)
    assert said in capsys.readouterr().err
