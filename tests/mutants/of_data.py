"""Mistakes in what the network is shown: labels, normalisation, splits, crops, mixes, order."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

OF_DATA = (
    # Pixels and labels as they are read
    Mutant(
        "cifar10-planes-are-read-as-bgr",
        "data/cifar10.py",
        "images[here] = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)",
        "images[here] = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)[..., ::-1]",
        ("data/test_cifar10.py::test_pixels_come_out_as_rows_of_red_green_blue",),
    ),
    Mutant(
        "cifar10-labels-of-another-file",
        "data/cifar10.py",
        "pixels, labels[here] = _rows(folder / file)",
        "pixels, labels[here] = _rows(folder / file)[0], _rows(folder / files[-1])[1]",
        ("data/test_cifar10.py::test_pixels_come_out_as_rows_of_red_green_blue",),
    ),
    Mutant(
        "folder-classes-in-reverse",
        "data/listing.py",
        "return (*first, *sorted(rest, key=",
        "return (*first, *sorted(rest, reverse=True, key=",
        ("data/test_folder_dataset.py::test_what_was_understood_is_said",),
    ),
    Mutant(
        "labels-beside-the-wrong-images",
        "train/batches.py",
        "self._labels.index_select(0, at)",
        "self._labels.index_select(0, at.sort()[0])",
        ("train/test_batches.py::test_labels_stay_with_their_images",),
    ),
    # Normalisation
    Mutant(
        "mean-and-deviation-swapped",
        "models/normalized.py",
        "return (images - self.mean[:, None, None]) / self.std[:, None, None]",
        "return (images - self.std[:, None, None]) / self.mean[:, None, None]",
        ("models/test_normalized.py::test_each_channel_is_shifted_and_scaled_by_its_own_numbers",),
    ),
    Mutant(
        "statistics-of-all-images",
        "train/setup.py",
        "statistics = measure(splits.train)",
        "statistics = measure(split_final(dataset).train)",
        ("train/test_setup.py::test_statistics_come_from_the_training_images_and_not_from_val",),
    ),
    Mutant(
        "statistics-may-come-from-val",
        "data/pixel_statistics.py",
        'if images.role not in ("train", "train+val"):',
        'if images.role not in ("train", "train+val", "val"):',
        ("data/test_pixel_statistics.py::test_other_roles_are_refused",),
    ),
    Mutant(
        "statistics-forget-the-last-images",
        "data/pixel_statistics.py",
        "for start in range(0, len(images), CHUNK_IMAGES):",
        "for start in range(0, max(1, len(images) - CHUNK_IMAGES + 1), CHUNK_IMAGES):",
        ("data/test_pixel_statistics.py::test_parts_of_a_large_set_are_all_counted",),
    ),
    Mutant(
        "bytes-divided-by-256",
        "augment/batched.py",
        ".div_(255)",
        ".div_(256)",
        ("augment/test_batched.py::test_every_recipe_gives_what_the_reference_gives_one_image_at_a_time",),
    ),
    # Splits
    Mutant(
        "split-by-place-in-the-file",
        "data/splits.py",
        "order = np.lexsort((images.ids, images.content_hashes, images.labels))",
        "order = np.lexsort((images.ids, images.labels))",
        ("data/test_splits.py::test_the_order_of_the_files_changes_nothing",),
    ),
    Mutant(
        "split-by-another-hash",  # what a split seed is elsewhere: all numbers are then of other val images
        "data/splits.py",
        "order = np.lexsort((images.ids, images.content_hashes, images.labels))",
        "order = np.lexsort((images.ids, ~images.content_hashes, images.labels))",
        ("data/test_splits.py::test_the_split_is_this_one_on_every_machine",),
    ),
    Mutant(
        "split-not-stratified",
        "data/splits.py",
        "in_val = rank < quota[images.labels]",
        "in_val = images.content_hashes.argsort().argsort() < wanted",
        ("data/test_splits.py::test_train_and_val_are_disjoint_covering_and_stratified",),
    ),
    Mutant(
        "val-leaks-into-train",
        "data/splits.py",
        'train=images.take(np.flatnonzero(~in_val), "train"),',
        'train=images.take(np.arange(len(images)), "train"),',
        ("data/test_splits.py::test_train_and_val_are_disjoint_covering_and_stratified",),
    ),
    Mutant(
        "val-as-given-leaks-into-train",
        "data/splits.py",
        'train=dataset.train.take(np.flatnonzero(~in_val), "train"),',
        'train=dataset.train.take(np.arange(len(in_val)), "train"),',
        ("data/test_splits.py::test_a_split_that_the_data_bring_along_is_taken_as_it_is_and_shares_no_picture",),
    ),
    Mutant(
        "test-pictures-become-val",
        "data/splits.py",
        "parts[hashes >= _line(1 - test_fraction)] = 2",
        "parts[hashes >= _line(1 - test_fraction)] = 1",
        ("data/test_splits.py::test_adding_images_never_moves_one_but_a_stand_in",),
    ),
    # Crop, mirror, paint
    Mutant(
        "crop-never-reaches-the-far-edge",
        "augment/draws.py",
        "return below(2 * pad + 1, np.stack(",
        "return below(2 * pad, np.stack(",
        ("augment/test_draws.py::test_offsets_are_uniform_for_every_padding_seed_and_epoch",),
    ),
    Mutant(
        "crop-one-row-too-low",
        "augment/batched.py",
        "+ draws.shift[:, :1] - pad  # (B, H)",
        "+ draws.shift[:, :1] - pad + 1  # (B, H)",
        ("augment/test_batched.py::test_every_recipe_gives_what_the_reference_gives_one_image_at_a_time",),
    ),
    Mutant(
        "mirrored-images-have-another-window",
        "augment/batched.py",
        "left = torch.where(draws.flip, 2 * pad - draws.shift[:, 1], draws.shift[:, 1])",
        "left = draws.shift[:, 1]",
        ("augment/test_batched.py::test_every_recipe_gives_what_the_reference_gives_one_image_at_a_time",),
    ),
    Mutant(
        "reflection-becomes-black",
        "augment/batched.py",
        "half[:, :, :pad] = edges[:, :, width - 1 - pad : width - 1]",
        "half[:, :, :pad] = 0",
        ("augment/test_batched.py::test_every_recipe_gives_what_the_reference_gives_one_image_at_a_time",),
    ),
    Mutant(
        "reflection-repeats-the-border",
        "augment/batched.py",
        "edges[:, :, 1 : pad + 1]",
        "edges[:, :, :pad]",
        ("augment/test_batched.py::test_every_recipe_gives_what_the_reference_gives_one_image_at_a_time",),
    ),
    Mutant(
        "flip-always",
        "augment/draws.py",
        "return (random_words(seed, epoch, Kind.FLIP, count) >> top_bit).astype(bool)",
        "return np.ones(count, dtype=bool)",
        ("augment/test_draws.py::test_random_flip_is_a_fair_coin_that_is_thrown_again_every_epoch",),
    ),
    Mutant(
        "flip-never",
        "augment/draws.py",
        'if augment.flip == "random":',
        'if augment.flip == "":',
        ("augment/test_draws.py::test_random_flip_is_a_fair_coin_that_is_thrown_again_every_epoch",),
    ),
    Mutant(
        "alternate-flip-stays-on-one-side",
        "augment/draws.py",
        "return first_side ^ (epoch % 2 == 1)",
        "return first_side",
        ("augment/test_draws.py::test_alternate_flip_shows_both_sides_of_every_image_in_two_successive_epochs",),
    ),
    Mutant(
        "erasing-where-it-should-not",
        "augment/erasing.py",
        "drawn[:, 0] < probability,",
        "drawn[:, 0] >= probability,",
        ("augment/test_erasing.py::test_a_rectangle_takes_between_a_fiftieth_and_a_third_of_the_picture",),
    ),
    Mutant(
        "the-same-windows-every-epoch",
        "augment/draws.py",
        "shift=_shifts(seed, epoch, augment.crop_pixels, count),",
        "shift=_shifts(seed, 0, augment.crop_pixels, count),",
        ("augment/test_draws.py::test_over_the_epochs_each_image_sees_all_its_windows_equally_often",),
    ),
    # Mixing
    Mutant(
        "mixup-share-swapped",
        "augment/mixing.py",
        "share = torch.where(mixes.cut, outside.float().mean(dim=(1, 2, 3)), mixes.own)",
        "share = torch.where(mixes.cut, outside.float().mean(dim=(1, 2, 3)), 1 - mixes.own)",
        ("augment/test_mixing.py::test_each_image_is_mixed_with_the_one_before_it_as_the_reference_does_it",),
    ),
    Mutant(
        "cutmix-share-of-the-uncut-rectangle",
        "augment/mixing.py",
        "share = torch.where(mixes.cut, outside.float().mean(dim=(1, 2, 3)), mixes.own)",
        "share = mixes.own",
        ("augment/test_mixing.py::test_each_image_is_mixed_with_the_one_before_it_as_the_reference_does_it",),
    ),
    Mutant(
        "mixed-targets-of-the-wrong-neighbour",
        "augment/mixing.py",
        "functional.one_hot(labels.roll(1, 0), num_classes)",
        "functional.one_hot(labels.roll(-1, 0), num_classes)",
        ("augment/test_mixing.py::test_targets_are_the_two_labels_by_their_shares",),
    ),
    # Order
    Mutant(
        "the-same-augmentation-every-epoch",
        "train/batches.py",
        "draw(self._augment, seed=self._seed, epoch=epoch, count=self.count)",
        "draw(self._augment, seed=self._seed, epoch=0, count=self.count)",
        ("train/test_batches.py::test_augmentation_is_the_one_of_the_draws",),
    ),
    Mutant(
        "the-same-order-every-epoch",
        "train/batches.py",
        "np.random.default_rng([seed, epoch, _ORDER_STREAM])",
        "np.random.default_rng([seed, 0, _ORDER_STREAM])",
        ("train/test_batches.py::test_those_left_out_are_others_every_epoch_so_that_all_are_seen_in_the_end",),
    ),
    Mutant(
        "the-same-order-for-every-seed",
        "train/batches.py",
        "np.random.default_rng([seed, epoch, _ORDER_STREAM])",
        "np.random.default_rng([0, epoch, _ORDER_STREAM])",
        ("train/test_batches.py::test_the_order_differs_by_epoch_and_seed_and_repeats_for_the_same",),
    ),
    Mutant(
        "balanced-sampling-is-never-done",
        "train/batches.py",
        '_members(images) if recipe.sampling == "balanced" else None',
        '_members(images) if recipe.sampling == "even" else None',
        ("train/test_imbalance.py::test_balanced_sampling_shows_each_class_equally_often",),
    ),
)
