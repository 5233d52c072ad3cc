"""Changes by syntax that change nothing a user could see, each with its reason; they are not planted again."""

from __future__ import annotations

EQUIVALENT: dict[tuple[str, str], str] = {
    (
        "export/onnx_file.py",
        "program, (), opset_version=_OPSET, input_names=[INPUT], output_names=names, verbose=False",
    ): ("PyTorch's exporter is the one of dynamo by default"),
    ("models/fuse.py", "pooled, source = True, source.args[-1]"): "a pooling has one argument: first and last are one",
    ("augment/draws.py", "operations=(draw_operations(rounds, magnitude, **stream)),"): (
        "no rounds of operations change no picture"
    ),
    (
        "train/budget.py",
        "replace(setup, recipe=plain, splits=replace(setup.splits, train=few)), steps=_MEASURED_STEPS - 1",
    ): "how long the schedule of a few timed steps would be changes no time",
    ("metrics/compare.py", "return self.p_value <= 0.05"): (
        "McNemar's exact p-value is a fraction of a power of two, and none of those is 0.05"
    ),
    ("train/optimizers.py", "by_shape.setdefault((len(p), p[-1].numel()), []).append((p, direction))"): (
        "all rows of a matrix are of one length"
    ),
    ("report/encoding.py", "columns = max(1, math.floor(math.sqrt(per * height / max(width, 1))))"): (
        "a sheet with a column less holds the same pictures, and says how many columns it has"
    ),
    ("guards/run_guards.py", 'learnt = losses[-1] <= 0.9 * losses[0] or last["train/accuracy"] > chance + 0.1'): (
        "no measured loss is nine tenths of another to the last bit"
    ),
    (
        "evaluate/compare_runs.py",
        'differs = tuple(change for change in _differs(runs[reference[-1]], members[0]) if change.field != "seed")',
    ): "runs of one family differ in seed and precision alone",
    ("data/tables.py", 'names = (features[labels].get("names"))'): "no feature is called None, and that is caught",
    (
        "explain/picture_stages.py",
        "again = call(shrink, augment_one(image.pixels, image.draws[-1]), *made.result.shape[1:])",
    ): "the draws of one picture are one row",
    (
        "explain/context.py",
        "return self.recipe.side_at(self.done_before(epoch), full=max(self.images.train.image_shape[:2]))",
    ): "it is only asked whether that is below the shorter side",
    (
        "evaluate/compare_runs.py",
        'differs = [change for change in _differs(runs[-1], run) if change.field not in ("seed", "precision")]',
    ): "runs are alike that differ alike from any one of them",
    ("report/predictions.py", "dataclasses.replace(geometry, cosine=geometry.cosine[:(0) - 1])"): (
        "the packed matrix takes its place; only time is lost"
    ),
    ("train/budget.py", "if version >= remaining:"): "no measured time is another to the last bit",
    (
        "evaluate/compare_runs.py",
        "rows = [_over_seeds(runs, common, families[-1], families[0])]",
    ): "there is one family",
    ("guards/copies.py", "count = len(asked.bits[-1])"): "each picture has one mirror image",
    ("guards/copies.py", "if not count or not len(known.bits[-1]):"): "each picture has one mirror image",
    ("metrics/compare.py", "return len(self.predictions[-1])"): "all answers are to the same pictures",
    ("metrics/compare.py", '""" first = predictions[-1]'): "predictions that are alike are alike from any one of them",
    ("metrics/compare.py", "n = max(3, math.ceil(noise * z * z))"): (
        "Student's t lies above the normal: no number below the ceiling is enough"
    ),
    (
        "metrics/learning_curves.py",
        'smoothing, names = runs[-1].recipe.label_smoothing, runs[0].info["data"]["class_names"]',
    ): "they are runs of one recipe",
    (
        "metrics/learning_curves.py",
        'smoothing, names = runs[0].recipe.label_smoothing, runs[-1].info["data"]["class_names"]',
    ): "they are runs on one data set",
    ("metrics/learning_curves.py", "return None if train is None and val is None else train - val"): (
        "a row has both accuracies or neither"
    ),
    (
        "metrics/intervals.py",
        "return None if self.low is None and self.high is None else (self.high - self.low) / 2",
    ): "an interval has both ends or none",
    (
        "metrics/scorecard.py",
        "if self.with_tta is None and self.tta_gain is None:",
    ): "what views gain is there with them",
    ("models/efficientnet_lite.py", "kernel, stride = self.kernel_size[-1], self.stride[0]"): "all kernels are square",
    ("models/efficientnet_lite.py", "kernel, stride = self.kernel_size[0], self.stride[-1]"): (
        "all strides are the same both ways"
    ),
    (
        "models/fuse.py",
        "return None if twice or (pooled and not bool((_scale(norm) >= 0).all())) else module",
    ): "a scale of nought makes one value of all, before a pooling and behind it",
    ("models/fuse.py", "node.replace_all_uses_with(node.args[-1])"): "a batch norm has one argument",
    ("models/fuse.py", "source = node.args[-1]"): "a batch norm has one argument",
    (
        "models/external.py",
        "hook = layer.register_forward_pre_hook("
        "lambda _, given: found.append(given[-1].detach().flatten(1).float().cpu()))",
    ): "a linear layer has one argument",
    (
        "inspect/feature_space.py",
        "chosen = chosen / np.sign(chosen[largest, np.arange(chosen.shape[1])])",
    ): "a sign divides as it multiplies",
    ("explain/context.py", "pixels: NDArray[np.uint8] = self.alone.images[-1]"): "a picture alone is a set of one",
    ("explain/context.py", "return int(self.alone.ids[-1])"): "a picture alone is a set of one",
    ("explain/context.py", "return self.alone.names[-1]"): "a picture alone is a set of one",
    ("explain/context.py", "return self.images.class_names[int(self.alone.labels[-1])]"): (
        "a picture alone is a set of one"
    ),
    (
        "inspect/features.py",
        "joined = {name: torch.cat([part[name] for part in parts]).cpu().numpy() for name in parts[-1]}",
    ): "all parts have the same layers",
    ("report/predictions.py", "dataclasses.replace(geometry, )"): (
        "the packed matrix takes its place; only time is lost"
    ),
    ("augment/mixing.py", "cut = drawn[:, 0] <= (0.5 if mixup and cutmix else float(cutmix > 0))"): (
        "no drawn fraction is nought or a half to the last bit"
    ),
    ("augment/mixing.py", "return np.where(fraction < 0.5, at, 1 - at)"): "the middle is a half from either side",
    ("augment/erasing.py", "drawn[:, 0] <= probability,"): "no drawn fraction is the probability to the last bit",
    ("data/decode_limits.py", "kind = found[1][-1]"): "a marker's kind is one byte",
    ("data/decode_limits.py", 'if scans == 1 and content.count(b"\\xff\\xda") < MAX_SCANS:'): (
        "it is walked through, and no more scans are found; only time is lost"
    ),
    ("train/budget.py", "return times[2:]"): "of a few timed steps one fewer is counted",
    ("guards/data_guards.py", "name, agreement >= chance + 4 * spread, evidence,"): (
        "no counted share is chance and four spreads, a square root, to the last bit"
    ),
    ("guards/data_guards.py", "if away >= _TOLERANCE:"): "no mean of pixels is 0.02 from another to the last bit",
    ("guards/run_guards.py", "name, best.low >= chance, evidence,"): (
        "no end of an interval, a square root, is a share to the last bit"
    ),
    (
        "guards/run_guards.py",
        "if best.low <= chance < best.value and best.high >= chance + _NEAR_CHANCE * (1 - chance):",
    ): "no end of an interval, a square root, is a share to the last bit",
    ("guards/run_guards.py", "if not uneven and plain.low < share.value:"): (
        "no end of an interval, a square root, is a share to the last bit"
    ),
    ("train/optimizers.py", "nesterov=settings.nesterov, weight_decay=settings.weight_decay, ) # fmt: skip"): (
        "fused steps only save time"
    ),
    (
        "train/optimizers.py",
        "return [torch.optim.AdamW(used, lr=settings.lr, betas=betas, weight_decay=settings.weight_decay, )]",
    ): "fused steps only save time",
    ("train/optimizers.py", "sgd = torch.optim.SGD(used, momentum=settings.momentum, nesterov=True, )"): (
        "fused steps only save time"
    ),
    ("train/optimizers.py", "tall = x.shape[1] >= x.shape[2]"): "a square matrix may be taken either way",
    ("train/optimizers.py", "tall = x.shape[2] > x.shape[2]"): "the larger Gram matrix gives the same and takes longer",
}
"""(file, the changed lines without the blanks around them): why."""
