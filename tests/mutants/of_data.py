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
        ("data/test_cifar10.py",),
    ),
    Mutant(
        "cifar10-labels-of-another-file",
        "data/cifar10.py",
        "pixels, labels[here] = read_rows(folder / file)",
        "pixels, labels[here] = read_rows(folder / file)[0], read_rows(folder / files[-1])[1]",
        ("data/test_cifar10.py",),
    ),
    Mutant(
        "folder-classes-in-reverse",
        "data/listing.py",
        "return (*first, *sorted(rest, key=",
        "return (*first, *sorted(rest, reverse=True, key=",
        ("data/test_folder_dataset.py", "data/test_image_folder.py"),
    ),
    Mutant(
        "labels-beside-the-wrong-images",
        "train/batches.py",
        "self._labels.index_select(0, at)",
        "self._labels.index_select(0, at.sort()[0])",
        ("train/test_batches.py",),
    ),
    # Normalisation
    Mutant(
        "mean-and-deviation-swapped",
        "models/normalized.py",
        "return (images - self.mean[:, None, None]) / self.std[:, None, None]",
        "return (images - self.std[:, None, None]) / self.mean[:, None, None]",
        ("models/test_normalized.py",),
    ),
    Mutant(
        "statistics-of-all-images",
        "train/job.py",
        "statistics = measure(splits.train)",
        "statistics = measure(split_final(dataset).train)",
        ("train/test_job.py",),
    ),
    Mutant(
        "statistics-may-come-from-val",
        "data/pixel_statistics.py",
        'if images.role not in ("train", "train+val"):',
        'if images.role not in ("train", "train+val", "val"):',
        ("data/test_pixel_statistics.py",),
    ),
    Mutant(
        "statistics-forget-the-last-images",
        "data/pixel_statistics.py",
        "for start in range(0, len(images), CHUNK_IMAGES):",
        "for start in range(0, max(1, len(images) - CHUNK_IMAGES + 1), CHUNK_IMAGES):",
        ("data/test_pixel_statistics.py",),
    ),
    Mutant(
        "bytes-divided-by-256",
        "augment/batched.py",
        ".div_(255)",
        ".div_(256)",
        ("augment/test_batched.py",),
    ),
    # Splits
    Mutant(
        "split-by-place-in-the-file",
        "data/splits.py",
        "order = np.lexsort((images.ids, images.content_hashes, images.labels))",
        "order = np.lexsort((images.ids, images.labels))",
        ("data/test_splits.py",),
    ),
    Mutant(
        "split-by-another-hash",  # what a split seed is elsewhere: all numbers are then of other val images
        "data/splits.py",
        "order = np.lexsort((images.ids, images.content_hashes, images.labels))",
        "order = np.lexsort((images.ids, ~images.content_hashes, images.labels))",
        ("data/test_splits.py",),
    ),
    Mutant(
        "split-not-stratified",
        "data/splits.py",
        "in_val = rank < quota[images.labels]",
        "in_val = images.content_hashes.argsort().argsort() < wanted",
        ("data/test_splits.py",),
    ),
    Mutant(
        "val-leaks-into-train",
        "data/splits.py",
        'train=images.take(np.flatnonzero(~in_val), "train"),',
        'train=images.take(np.arange(len(images)), "train"),',
        ("data/test_splits.py",),
    ),
    Mutant(
        "val-as-given-leaks-into-train",
        "data/splits.py",
        'train=dataset.train.take(np.flatnonzero(~in_val), "train"),',
        'train=dataset.train.take(np.arange(len(in_val)), "train"),',
        ("data/test_folder_dataset.py",),
    ),
    Mutant(
        "test-pictures-become-val",
        "data/splits.py",
        "parts[hashes >= _line(1 - test_fraction)] = 2",
        "parts[hashes >= _line(1 - test_fraction)] = 1",
        ("data/test_splits.py",),
    ),
    # Crop, mirror, paint
    Mutant(
        "crop-never-reaches-the-far-edge",
        "augment/draws.py",
        "return below(2 * pad + 1, np.stack(",
        "return below(2 * pad, np.stack(",
        ("augment/test_draws.py",),
    ),
    Mutant(
        "crop-one-row-too-low",
        "augment/batched.py",
        "+ draws.shift[:, :1] - pad  # (B, H)",
        "+ draws.shift[:, :1] - pad + 1  # (B, H)",
        ("augment/test_batched.py",),
    ),
    Mutant(
        "mirrored-images-have-another-window",
        "augment/batched.py",
        "left = torch.where(draws.flip, 2 * pad - draws.shift[:, 1], draws.shift[:, 1])",
        "left = draws.shift[:, 1]",
        ("augment/test_batched.py",),
    ),
    Mutant(
        "reflection-becomes-black",
        "augment/batched.py",
        "half[:, :, :pad] = edges[:, :, width - 1 - pad : width - 1]",
        "half[:, :, :pad] = 0",
        ("augment/test_batched.py",),
    ),
    Mutant(
        "reflection-repeats-the-border",
        "augment/batched.py",
        "edges[:, :, 1 : pad + 1]",
        "edges[:, :, :pad]",
        ("augment/test_batched.py",),
    ),
    Mutant(
        "flip-always",
        "augment/draws.py",
        "return (words(seed, epoch, Kind.FLIP, count) >> top_bit).astype(bool)",
        "return np.ones(count, dtype=bool)",
        ("augment/test_draws.py",),
    ),
    Mutant(
        "flip-never",
        "augment/draws.py",
        'if augment.flip == "random":',
        'if augment.flip == "":',
        ("augment/test_draws.py",),
    ),
    Mutant(
        "alternate-flip-stays-on-one-side",
        "augment/draws.py",
        "return first_side ^ (epoch % 2 == 1)",
        "return first_side",
        ("augment/test_draws.py",),
    ),
    Mutant(
        "erasing-where-it-should-not",
        "augment/erasing.py",
        "drawn[:, 0] < probability,",
        "drawn[:, 0] >= probability,",
        ("augment/test_erasing.py",),
    ),
    Mutant(
        "the-same-windows-every-epoch",
        "augment/draws.py",
        "shift=_shifts(seed, epoch, augment.crop_pixels, count),",
        "shift=_shifts(seed, 0, augment.crop_pixels, count),",
        ("augment/test_draws.py",),
    ),
    # Mixing
    Mutant(
        "mixup-share-swapped",
        "augment/mixing.py",
        "share = torch.where(mixes.cut, outside.float().mean(dim=(1, 2, 3)), mixes.own)",
        "share = torch.where(mixes.cut, outside.float().mean(dim=(1, 2, 3)), 1 - mixes.own)",
        ("augment/test_mixing.py",),
    ),
    Mutant(
        "cutmix-share-of-the-uncut-rectangle",
        "augment/mixing.py",
        "share = torch.where(mixes.cut, outside.float().mean(dim=(1, 2, 3)), mixes.own)",
        "share = mixes.own",
        ("augment/test_mixing.py",),
    ),
    Mutant(
        "mixed-targets-of-the-wrong-neighbour",
        "augment/mixing.py",
        "functional.one_hot(labels.roll(1, 0), num_classes)",
        "functional.one_hot(labels.roll(-1, 0), num_classes)",
        ("augment/test_mixing.py",),
    ),
    # Order
    Mutant(
        "the-same-augmentation-every-epoch",
        "train/batches.py",
        "draw(self._augment, seed=self._seed, epoch=epoch, count=self.count)",
        "draw(self._augment, seed=self._seed, epoch=0, count=self.count)",
        ("train/test_batches.py",),
    ),
    Mutant(
        "the-same-order-every-epoch",
        "train/batches.py",
        "np.random.default_rng([seed, epoch, _ORDER_STREAM])",
        "np.random.default_rng([seed, 0, _ORDER_STREAM])",
        ("train/test_batches.py",),
    ),
    Mutant(
        "the-same-order-for-every-seed",
        "train/batches.py",
        "np.random.default_rng([seed, epoch, _ORDER_STREAM])",
        "np.random.default_rng([0, epoch, _ORDER_STREAM])",
        ("train/test_batches.py",),
    ),
    Mutant(
        "balanced-sampling-is-never-done",
        "train/batches.py",
        '_members(images) if sampling == "balanced" else None',
        '_members(images) if sampling == "even" else None',
        ("train/test_imbalance.py",),
    ),
)
