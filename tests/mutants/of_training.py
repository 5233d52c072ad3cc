"""Mistakes in how the network learns: loss, optimizers, schedule, means, choice of the epoch, resuming."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_WHOLE = "whole = 1 if isinstance(recipe.optimizer, Muon) else self.batch_size"

OF_TRAINING = (
    # One step
    Mutant(
        "label-smoothing-dropped",
        "train/training.py",
        "label_smoothing=recipe.label_smoothing",
        "label_smoothing=0.0",
        ("train/test_optimizers.py::test_sgd_is_the_one_written_by_hand",),
    ),
    Mutant(
        "loss-in-the-models-precision",
        "train/training.py",
        "logits.float(),",
        "logits,",
        ("train/test_optimizers.py::test_the_loss_is_taken_in_fp32_also_where_the_arithmetic_is_bf16",),
    ),
    Mutant(
        "learning-rate-stays-at-its-peak",
        "train/training.py",
        "set_lr(self.optimizers, self._schedule(self.steps_done))",
        "set_lr(self.optimizers, 1.0)",
        ("train/test_optimizers.py::test_sgd_is_the_one_written_by_hand",),
    ),
    Mutant(
        "sgd-on-the-summed-loss",
        "train/training.py",
        _WHOLE,
        "whole = 1",
        ("train/test_optimizers.py::test_sgd_is_the_one_written_by_hand",),
    ),
    Mutant(
        "muon-on-the-mean-loss",
        "train/training.py",
        _WHOLE,
        "whole = self.batch_size",
        ("train/test_optimizers.py::test_under_muon_the_head_steps_along_the_gradient_of_the_summed_loss",),
    ),
    Mutant(
        "gradients-of-workers-averaged-twice",
        "train/training.py",
        "(self.workers.count * summed / whole).backward()",
        "(summed / whole).backward()",
        ("train/test_ddp.py::test_two_workers_without_batch_norm_train_what_one_trains",),
    ),
    # Small maps on a CPU with AMX
    Mutant(
        "small-maps-convolved-backwards-unflipped",
        "train/small_maps.py",
        "weight.flip(2, 3).transpose(0, 1)",
        "weight.transpose(0, 1)",
        ("train/test_small_maps.py",),
    ),
    Mutant(
        "small-maps-weight-gradient-of-the-last-images",
        "train/small_maps.py",
        "total += rows[",
        "total = rows[",
        ("train/test_small_maps.py",),
    ),
    # Easy images left out
    Mutant(
        "kept-easy-images-count-once",
        "train/data_pruning.py",
        "weights[ranked[:easy]] = easy / kept",
        "weights[ranked[:easy]] = 1.0",
        ("train/test_data_pruning.py::test_over_many_steps_every_easy_image_counts_as_often_as_a_hard_one",),
    ),
    Mutant(
        "hard-images-left-out",
        "train/data_pruning.py",
        "argsort(stable=True)",
        "argsort(stable=True, descending=True)",
        ("train/test_data_pruning.py::test_all_hard_images_stay_and_count_once_and_half_of_the_easy_ones_count_twice",),
    ),
    Mutant(
        "the-same-images-left-out-each-time",
        "train/data_pruning.py",
        "[self._seed, step, _STREAM]",
        "[self._seed, 0, _STREAM]",
        ("train/test_data_pruning.py::test_the_draw_is_another_each_step_and_seed_and_the_same_for_the_same",),
    ),
    Mutant(
        "a-resumed-run-forgets-which-images-are-easy",
        "train/checkpoint.py",
        'training.pruning.losses.copy_(tensors["pruning.losses"])',
        "training.pruning.losses.copy_(training.pruning.losses)",
        ("train/test_resume.py::test_a_run_that_was_killed_goes_on_from_its_last_checkpoint",),
    ),
    Mutant(
        "weights-of-images-ignored",
        "train/training.py",
        "losses * batch.sample_weights",
        "losses * batch.sample_weights.sign()",
        ("train/test_data_pruning.py::test_the_step_is_along_the_gradient_of_the_counted_losses_over_the_whole_batch",),
    ),
    Mutant(
        "every-worker-takes-the-first-share",
        "train/batches.py",
        "positions[rank::workers], draws",
        "positions[::workers], draws",
        ("train/test_ddp.py::test_shares_of_a_batch_make_the_batch",),
    ),
    Mutant(
        "momentum-without-nesterov",
        "train/optimizers.py",
        "nesterov=settings.nesterov,",
        "nesterov=False,",
        ("train/test_optimizers.py::test_sgd_is_the_one_written_by_hand",),
    ),
    Mutant(
        "no-weight-decay-on-biases-and-norms",  # our SGD decays everything, as the lesson does
        "train/optimizers.py",
        'return [{"params": everything}]',
        'return [{"params": [p for p in everything if p.ndim > 1]}, '
        '{"params": [p for p in everything if p.ndim < 2], "weight_decay": 0.0}]',
        ("train/test_optimizers.py::test_sgd_is_the_one_written_by_hand",),
    ),
    Mutant(
        "weight-decay-times-the-rate",
        "train/optimizers.py",
        '"weight_decay": settings.weight_decay / settings.bias_lr',
        '"weight_decay": settings.weight_decay',
        ("train/test_optimizers.py::test_muon_takes_the_filters_and_sgd_the_rest_at_their_own_rates",),
    ),
    Mutant(
        "muon-without-nesterov",
        "train/optimizers.py",
        "direction = p.grad.add(buffer, alpha=momentum)",
        "direction = buffer.clone()",
        ("train/test_optimizers_muon.py::test_one_step_is_the_one_written_by_hand",),
    ),
    Mutant(
        "early-layers-learn-fastest",
        "train/optimizers.py",
        "for distance, (_, layer) in enumerate(reversed(parts(model))):",
        "for distance, (_, layer) in enumerate(parts(model)):",
        ("train/test_optimizers.py::test_with_layer_decay_the_head_has_the_full_rate_and_the_first_layer_the_lowest",),
    ),
    Mutant(
        "class-weights-inverted",
        "data/labeled_images.py",
        "counts.sum() / (len(counts) * np.maximum(counts, 1))",
        "len(counts) * np.maximum(counts, 1) / counts.sum()",
        ("train/test_imbalance.py::test_the_weights_of_a_training_are_those_of_its_training_images",),
    ),
    Mutant(
        "class-weights-never-used",
        "train/training.py",
        "weight=class_weights,",
        "weight=None,",
        ("train/test_every_step.py::test_every_step_weighs_the_classes_as_the_recipe_says",),
    ),
    # Over the steps
    Mutant(
        "cosine-ends-a-step-early",
        "train/schedules.py",
        "(1 - schedule.tail_fraction) * steps - warmup))",
        "(1 - schedule.tail_fraction) * steps - 1 - warmup))",
        ("train/test_schedules.py::test_cosine_per_epoch_is_pytorchs_cosine_annealing_stepped_once_an_epoch",),
    ),
    Mutant(
        "cosine-without-its-floor",
        "train/schedules.py",
        "return max(schedule.floor, 0.5 * (1 + math.cos(math.pi * done)))",
        "return 0.5 * (1 + math.cos(math.pi * done))",
        ("train/test_schedules.py::test_a_cosine_has_a_floor_too",),
    ),
    Mutant(
        "epochs-counted-from-one",
        "train/schedules.py",
        "step, steps = step // steps_per_epoch,",
        "step, steps = (step + 1) // steps_per_epoch,",
        ("train/test_schedules.py::test_cosine_per_epoch_is_pytorchs_cosine_annealing_stepped_once_an_epoch",),
    ),
    Mutant(
        "warm-up-starts-at-zero",
        "train/schedules.py",
        "return (step + 1) / (warmup + 1)",
        "return step / (warmup + 1)",
        ("train/test_schedules.py::test_warm_up_rises_evenly_to_the_peak_and_never_starts_at_zero",),
    ),
    Mutant(
        "lookahead-off-by-a-step",
        "train/optimizers.py",
        "elif (step - self._start) % self._settings.every_steps == 0:",
        "elif (step - self._start) % self._settings.every_steps == 1:",
        (
            "train/test_optimizers_average.py::test_the_weights_are_pulled_to_their_mean_every_few_steps_after_the_start",
        ),
    ),
    Mutant(
        "lookahead-weight-swapped",
        "train/optimizers.py",
        "self.mean[name].lerp_(value, self._settings.weight)",
        "self.mean[name].lerp_(value, 1 - self._settings.weight)",
        (
            "train/test_optimizers_average.py::test_the_weights_are_pulled_to_their_mean_every_few_steps_after_the_start",
        ),
    ),
    Mutant(
        "ema-decay-swapped",
        "train/optimizers.py",
        "get_ema_multi_avg_fn(decay)",
        "get_ema_multi_avg_fn(1 - decay)",
        (
            "train/test_optimizers_average.py::test_the_moving_average_begins_with_the_first_trained_weights_and_keeps_its_fraction",
        ),
    ),
    Mutant(
        "ema-keeps-the-first-batch-statistics",
        "train/optimizers.py",
        "use_buffers=True",
        "use_buffers=False",
        (
            "train/test_optimizers_average.py::test_the_moving_average_begins_with_the_first_trained_weights_and_keeps_its_fraction",
        ),
    ),
    Mutant(
        "ema-off-by-a-step",
        "train/training.py",
        "if self.ema is not None:\n            self.ema.update_parameters(self.model)",
        "if self.ema is not None and self.steps_done > 1:\n            self.ema.update_parameters(self.model)",
        ("train/test_every_step.py::test_the_weights_that_are_kept_are_the_moving_average_over_every_step",),
    ),
    Mutant(
        "ema-is-kept-but-not-graded",
        "train/training.py",
        "if self.ema is None:\n            return self.model",
        "if True:\n            return self.model",
        ("train/test_every_step.py::test_the_weights_that_are_kept_are_the_moving_average_over_every_step",),
    ),
    Mutant(
        "freeze-comes-a-step-late",
        "train/optimizers.py",
        "if done >= freeze.after)",
        "if done > freeze.after)",
        ("train/test_every_step.py::test_a_parameter_is_trained_until_it_is_frozen_and_not_after",),
    ),
    Mutant(
        "small-images-for-a-step-too-long",
        "recipes/recipe.py",
        "if fraction < stage.until:",
        "if fraction <= stage.until:",
        ("train/test_every_step.py::test_images_grow_stage_by_stage",),
    ),
    # Looks at val, and the choice
    Mutant(
        "best-epoch-is-the-last-of-equals",
        "train/recorder.py",
        'if row["val/accuracy"] > training.best_accuracy:',
        'if row["val/accuracy"] >= training.best_accuracy:',
        ("train/test_fit.py::test_of_equally_good_epochs_the_first_is_kept",),
    ),
    Mutant(
        "best-epoch-is-the-last",
        "train/recorder.py",
        'if row["val/accuracy"] > training.best_accuracy:',
        "if True:",
        ("train/test_fit.py::test_of_equally_good_epochs_the_first_is_kept",),
    ),
    Mutant(
        "best-epoch-by-train-accuracy",
        "train/recorder.py",
        'if row["val/accuracy"] > training.best_accuracy:\n'
        '                training.best_accuracy = row["val/accuracy"]',
        'if row["train/accuracy"] > training.best_accuracy:\n'
        '                training.best_accuracy = row["train/accuracy"]',
        ("train/test_fit.py::test_of_equally_good_epochs_the_first_is_kept",),
    ),
    Mutant(
        "train-accuracy-reported-as-val",
        "train/recorder.py",
        '"val/accuracy": float(on_val.correct.mean()),',
        '"val/accuracy": float(on_train.correct.mean()),',
        ("train/test_fit.py::test_the_row_of_the_best_epoch_is_what_the_saved_weights_give",),
    ),
    Mutant(
        "val-looked-at-in-bf16",
        "train/training.py",
        "self.graded, images, bf16=self.setup.compute.bf16",
        "self.graded, images, bf16=True",
        ("train/test_fit.py::test_the_row_of_the_best_epoch_is_what_the_saved_weights_give",),
    ),
    Mutant(
        "val-graded-in-bf16",
        "train/fit.py",
        "grade(run, model, val, bf16=compute.bf16)",
        "grade(run, model, val, bf16=True)",
        ("models/test_weights.py::test_the_restored_model_gives_the_answers_the_run_was_graded_by",),
    ),
    Mutant(
        "training-loss-over-all-images-so-far",
        "train/training.py",
        "self.loss_sum.zero_()",
        "self.loss_sum.mul_(1.0)",
        ("train/test_every_step.py::test_the_training_loss_of_a_row_is_the_mean_over_the_images_of_its_epoch",),
    ),
    Mutant(
        "final-training-on-nine-tenths",
        "train/setup.py",
        "splits = split_final(dataset) if final else split(dataset)",
        "splits = split(dataset)",
        ("train/test_setup.py::test_a_final_training_has_all_images_and_no_val",),
    ),
    # Resuming
    Mutant(
        "resume-one-batch-off",
        "train/batches.py",
        "for step in range(first, self.steps_per_epoch):",
        "for step in range(max(first - 1, 0), self.steps_per_epoch):",
        ("train/test_batches.py::test_beginning_in_the_middle_gives_the_rest_of_the_same_epoch",),
    ),
    Mutant(
        "resume-without-momentum",
        "train/checkpoint.py",
        "optimizer.load_state_dict(whole)",
        "whole.clear()",
        ("train/test_checkpoint.py::test_what_goes_on_from_a_checkpoint_equals_what_never_stopped_to_the_bit",),
    ),
    Mutant(
        "resume-forgets-the-loss-so-far",
        "train/checkpoint.py",
        'training.loss_sum.copy_(tensors["loss_sum"])',
        'training.loss_sum.copy_(0 * tensors["loss_sum"])',
        ("train/test_checkpoint.py::test_what_goes_on_from_a_checkpoint_equals_what_never_stopped_to_the_bit",),
    ),
    Mutant(
        "resume-forgets-the-best-epoch",
        "train/checkpoint.py",
        '_NUMBERS = ("steps_done", "images_seen", "best_accuracy", "best_epoch", "seconds", "epoch_seconds")',
        '_NUMBERS = ("steps_done", "images_seen", "seconds", "epoch_seconds")',
        ("train/test_checkpoint.py::test_loading_and_saving_again_gives_the_same_content",),
    ),
    Mutant(
        "resume-with-a-fresh-lookahead",
        "train/checkpoint.py",
        "training.lookahead.mean = {name: value.to(device) for name, value in mean.items()}",
        "training.lookahead.mean = {}",
        ("train/test_checkpoint.py::test_what_goes_on_from_a_checkpoint_equals_what_never_stopped_to_the_bit",),
    ),
    Mutant(
        "checkpoints-keep-rows-that-come-again",
        "train/recorder.py",
        "self.run.journal.keep_until(training.steps_done)",
        "self.run.journal.keep_until(10**9)",
        ("train/test_resume.py::test_rows_written_after_the_last_checkpoint_are_not_doubled",),
    ),
)
