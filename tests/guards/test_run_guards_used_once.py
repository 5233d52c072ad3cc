from __future__ import annotations

import pytest

from snellen.data.labeled_images import LabeledImages
from snellen.data.ledger import Candidate, Ledger, TestSet
from snellen.guards.run_guards import used_once
from snellen.recipes.cifar10 import PLAIN, SMALL_CNN
from snellen.recipes.json_form import recipe_hash
from snellen.recipes.recipe import Recipe
from snellen.runs.atomic import write_json
from snellen.serialize import to_json

LATER, EARLIER = "2999-01-01T00:00:00+00:00", "1999-01-01T00:00:00+00:00"


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    return Ledger(tmp_path / "ledger.jsonl")


def look(ledger: Ledger, images: LabeledImages, *weights: str, recipe: Recipe = SMALL_CNN) -> None:
    candidates = [
        Candidate(f"run-{one}", one, recipe.name, seed, recipe_hash(recipe)) for seed, one in enumerate(weights)
    ]
    ledger.intend(TestSet.of(images), candidates, tta="none", reason="to know", version="0")


def look_of_before_recipes_had_hashes(ledger: Ledger, images: LabeledImages, weights: str, recipe: Recipe) -> None:
    look(ledger, images, weights, recipe=recipe)
    (line,) = ledger.lines()
    content = {key: value for key, value in line.content.items() if key not in ("hash", "previous", "tta_fraction")}
    del content["candidates"][0]["recipe_sha256"]
    ledger.path.unlink()
    ledger._append(content)


def result(ledger, *, started=EARLIER, recipe=PLAIN, data="few"):
    return used_once(ledger, data=data, recipe=recipe, started=started, runs=ledger.path.parent)


def test_an_untouched_test_set_passes(ledger):
    assert result(ledger).passed


def test_one_choice_passes_also_when_it_is_looked_at_again_or_has_several_seeds(ledger, few_images):
    look(ledger, few_images, "a", "b", "c")
    look(ledger, few_images, "a")
    assert result(ledger).passed


def test_two_choices_do_not(ledger, few_images):
    look(ledger, few_images, "a")
    look(ledger, few_images, "b")
    assert result(ledger).passed is False
    assert "2 choices" in result(ledger).evidence


def test_looks_at_another_data_set_do_not_count(ledger, few_images):
    look(ledger, few_images, "a")
    look(ledger, few_images, "b")
    assert result(ledger, data="other").passed


def test_a_run_begun_after_a_look_at_another_recipe_is_tuned_on_test(ledger, few_images):
    look(ledger, few_images, "a", recipe=PLAIN)
    after = result(ledger, started=LATER, recipe=SMALL_CNN)
    assert after.passed is False
    assert "began after a look" in after.evidence
    (line,) = ledger.lines()
    assert result(ledger, started=line.content["time"], recipe=SMALL_CNN).passed  # begun at once with it, not after
    look(ledger, few_images, "b", recipe=SMALL_CNN)
    third = result(ledger, started=LATER, recipe=PLAIN.replace(epochs=PLAIN.epochs + 1))
    assert "at another recipe (plain)." in third.evidence  # the first of two looks


def test_a_further_seed_of_the_recipe_that_was_looked_at_is_not(ledger, few_images):
    look(ledger, few_images, "a", recipe=PLAIN.replace(name="as it was called then", note="then"))
    assert result(ledger, started=LATER, recipe=PLAIN).passed


def test_a_changed_recipe_of_the_same_name_is_another(ledger, few_images):
    look(ledger, few_images, "a", recipe=PLAIN.replace(epochs=PLAIN.epochs + 1))
    assert result(ledger, started=LATER, recipe=PLAIN).passed is False


def test_an_old_line_is_compared_by_the_recipe_in_its_runs_folder(ledger, few_images, tmp_path):
    look_of_before_recipes_had_hashes(ledger, few_images, "a", PLAIN)
    assert result(ledger, started=LATER, recipe=PLAIN).passed is False
    (tmp_path / "run-a").mkdir()
    write_json(tmp_path / "run-a" / "recipe.json", to_json(PLAIN.replace(note="as it was then")))
    assert result(ledger, started=LATER, recipe=PLAIN).passed


def test_a_time_that_cannot_be_read_accuses_nobody(ledger, few_images):
    look(ledger, few_images, "a")
    assert result(ledger, started="yesterday").passed


def test_an_edited_ledger_is_seen(ledger, few_images):
    look(ledger, few_images, "a")
    ledger.path.write_text(ledger.path.read_text().replace("to know", "no reason"))
    assert result(ledger).severity == "error"
    assert result(ledger).passed is False


def test_a_comparison_in_which_the_own_recipe_is_one_of_two_is_a_look_at_another(ledger, few_images):
    both = [
        Candidate(f"run-{recipe.name}", recipe.name, recipe.name, 0, recipe_hash(recipe))
        for recipe in (PLAIN, SMALL_CNN)
    ]
    ledger.intend(TestSet.of(few_images), both, tta="none", reason="comparison", version="0")
    for recipe in (PLAIN, SMALL_CNN):
        assert "began after a look at another recipe" in result(ledger, started=LATER, recipe=recipe).evidence
