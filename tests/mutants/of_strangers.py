"""Mistakes that a stranger planted and nobody noticed, each with the test that was missing."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

OF_STRANGERS = (
    Mutant(
        "views-for-all-where-the-recipe-says-some",
        "evaluate/val.py",
        "tta_fraction=run.recipe.tta_fraction if tta == run.recipe.tta else 1.0",
        "tta_fraction=1.0",
        ("evaluate/test_val.py::test_the_recipes_share_of_images_gets_its_views_and_all_get_those_that_are_asked_for",),
    ),
    Mutant(
        "one-copy-of-a-stand-in-stays-behind",
        "data/splits.py",
        "members[mine == mine.max()]",
        "members[mine.argmax()]",
        ("data/test_splits.py::test_all_copies_of_a_stand_in_go_to_its_side",),
    ),
    Mutant(
        "last-epoch-is-the-best",
        "ladder/results.py",
        "looks[-1] if looks",
        "max(looks) if looks",
        ("ladder/test_results.py::test_the_last_epoch_is_the_last_also_where_another_is_the_best",),
    ),
    Mutant(
        "chance-below-the-upper-end-is-enough",
        "guards/run_guards.py",
        "name, best.low > chance, evidence,",
        "name, best.high > chance, evidence,",
        ("guards/test_run_guards.py",),
    ),
    Mutant(
        "majority-inside-the-interval-is-judged",
        "guards/run_guards.py",
        "if not uneven and plain.low <= share.value",
        "if not uneven and plain.high <= share.value",
        ("guards/test_run_guards.py",),
    ),
    Mutant(
        "one-equal-recipe-in-a-comparison-is-enough",
        "guards/run_guards.py",
        "if any(_recipe_hash_of(one, runs) != own",
        "if all(_recipe_hash_of(one, runs) != own",
        ("guards/test_run_guards_used_once.py",),
    ),
    Mutant(
        "exported-files-always-say-crop",
        "export/model_card.py",
        '"fit": PictureForm.of_run(data).fit',
        '"fit": PictureForm.fit',
        ("export/test_model_card.py::test_a_file_says_how_the_runs_pictures_became_square",),
    ),
    Mutant(
        "map-of-the-label-is-that-of-the-answer",
        "report/layer_views.py",
        "torch.from_numpy(labels[wrong])",
        "torch.from_numpy(answers[wrong])",
        ("report/test_layer_views.py",),
    ),
    Mutant(
        "page-shows-averaged-probabilities",
        "report/predictions.py",
        "probabilities = predictions.probabilities[rows]",
        "probabilities = predictions.with_tta().probabilities[rows]",
        ("report/test_report_predictions.py",),
    ),
    Mutant(
        "every-run-has-the-first-runs-temperature",
        "cli/evaluate.py",
        'val=stored_predictions(run, "val")))',
        'val=stored_predictions(runs[0], "val")))',
        ("cli/test_cli_evaluate.py::test_each_run_of_a_look_has_the_temperature_of_its_own_val_answers",),
    ),
    Mutant(
        "resume-with-seed-zero",
        "train/setup.py",
        'seed=info["seed"], final',
        "seed=0, final",
        ("train/test_setup.py::test_a_resumed_training_has_the_seed_it_began_with",),
    ),
    Mutant(
        "module-divides-floats-again",
        "export/torch_program.py",
        "if images.dtype != torch.uint8:",
        "if images.dtype.is_complex:",
        ("api/test_fits_in.py::test_a_module_takes_bytes_of_pictures_and_answers_as_predict_does",),
    ),
)
