"""Changes by syntax that change nothing a user could see, each with its reason; they are not planted again."""

from __future__ import annotations

EQUIVALENT: dict[tuple[str, str], str] = {
    ("data/subset.py", "at = shares(2 * images.labels - val, images.identities, count)"): (
        "the groups are the same under other numbers; only whom an equal remainder goes to"
    ),
    (
        "data/run_images.py",
        'about = runs[-1].info["data"]',
    ): "the runs are on one data set, and each is held against it",
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
    ("report/encoding.py", "if most is not None and max(height, width) >= most:"): (
        "pictures that are as large as they may be are shrunk to their own size"
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
        "whole, size = augment_one(image.pixels, image.draws[-1]), made.result.shape[1:]",
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
    ("guards/copies.py", "if not len(known.bits[-1]):"): "each picture has one mirror image",
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
    ("report/encoding.py", 'sheet.save(buffer, "PNG", )'): "only how hard the same pixels are packed",
    ("report/encoding.py", 'sheet.save(buffer, "WEBP", lossless=True, quality=0)'): (
        "only how hard the same pixels are packed"
    ),
    ("report/encoding.py", 'sheet.save(buffer, "WEBP", lossless=True, method=0, )'): (
        "only how hard the same pixels are packed"
    ),
    ("report/encoding.py", 'sheet.save(buffer, "WEBP", quality=_QUALITY, )'): (
        "only how hard a photograph of one quality is packed"
    ),
    (
        "report/layer_views.py",
        "for_label = (grad_cam(model, pixels[wrong], torch.from_numpy(labels[wrong]), layers))",
    ): "of no wrong answer there is no map; only time is lost",
    ("train/budget.py", "return times[2:]"): "of a few timed steps one fewer is counted",
    ("guards/copies.py", "better = cosine >= best"): "a picture and its mirror image tie before what is symmetric",
    (
        "guards/copies.py",
        "alike = np.flatnonzero((cosines > _LEAST_COSINE) & (differing <= _MOST_BITS))",
    ): "no cosine is 0.92 to the last bit",
    (
        "train/batches.py",
        "wanted = share + ((number - epoch) % len(by_class) < rest) # the odd images go round the classes",
    ): "they go round the other way",
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
    ("metrics/compare.py", "p_value=mcnemar_p_value(only_second, only_first),"): (
        "the test does not care which model comes first"
    ),
    ("metrics/compare.py", "if noise * z * z >= 10_000:"): ("no such product is 10,000 to the last bit"),
    ("metrics/compare.py", "if n > noise * t * t:"): ("no such product is a whole number to the last bit"),
    ("metrics/calibration.py", 'lean = "over" if self.mean_confidence >= self.accuracy.value else "under"'): (
        "no mean confidence is an accuracy to the last bit where the two are told apart"
    ),
    (
        "metrics/calibration.py",
        "values = [_binned_gap((rng.random(n) <= confidence) - confidence, bin_of) for _ in range(draws)]",
    ): ("no random number is a confidence to the last bit"),
    ("metrics/calibration.py", "at_bound = min(log_temperature - low, high - log_temperature) <= 1e-3"): (
        "no search ends at just this distance"
    ),
    ("metrics/calibration.py", "while high - low >= 1e-5:"): ("no step of the search is of just this length"),
    ("metrics/feature_geometry.py", "extreme = sum(1 for value in values if abs(value) > abs(correlation) - 1e-9)"): (
        "the allowance for rounding lies between them"
    ),
    (
        "metrics/intervals.py",
        "return self.n > 2 and self.low is not None and self.high is not None and (self.low > 0 or self.high <= 0)",
    ): ("no interval ends at 0 to the last bit"),
    ("metrics/intervals.py", "if _student_t_central(middle, degrees) <= central:"): (
        "a bisection that meets its goal ends there either way"
    ),
    ("metrics/label_issues.py", "reaches = probabilities > thresholds - 1e-6 # NaN reaches nothing"): (
        "the allowance for rounding lies between them"
    ),
    (
        "evaluate/compare_runs.py",
        "repeated = len(runs) > 2 and len(seeds[0]) > 1 and any(len(set(own)) == len(own) for own in seeds)",
    ): ("families of other seeds are no recipes to compare, whatever this says"),
    (
        "evaluate/compare_runs.py",
        "repeated = len(runs) > 2 and len(seeds[-1]) > 1 and all(len(set(own)) == len(own) for own in seeds)",
    ): ("families of other seeds are no recipes to compare, whatever this says"),
    (
        "evaluate/compare_runs.py",
        "rows.append(ComparedRow(*about, accuracy, difference, p_value, p_value is not None and p_value <= 0.05))",
    ): ("no exact p-value, nor a multiple of one, is 0.05"),
    ("evaluate/new_set.py", "pixels = (stored.pixels[known]) # all of them stay mapped from their file"): (
        "they are the same pictures, copied"
    ),
    ("evaluate/robustness.py", ")"): ("nothing added to 0 is nothing added to a picture of 0"),
    ("evaluate/test_set.py", "if self.predictions[-1].tta_logits is not None:"): (
        "all runs of a look are graded with the same views"
    ),
    ("evaluate/test_set.py", 'name = runs[-1].info["data"]["name"]'): ("all runs of a look are on one data set"),
    ("evaluate/test_set.py", "recipe = runs[-1].recipe"): (
        "it is asked for the views, and all runs of a look are graded alike"
    ),
    ("evaluate/test_set.py", "test = images[-1].test"): ("all runs of a look have one test set"),
    (
        "evaluate/test_set.py",
        "ledger.record(intents[-1], [_result(c, a) for c, a in zip(candidates, predictions, strict=True)])",
    ): ("there is one intent"),
    ("evaluate/test_set.py", "return intents[-1], predictions, copies"): ("there is one intent"),
    ("ladder/one_run.py", 'return [Run(path.parent) for path in list(folder.glob("*/run.json"))]'): (
        "two runs that are the same training are equally good"
    ),
    (
        "ladder/results.py",
        "look = evaluate_on_test("
        "runs, ledger_of(runs[-1], ledger), reason=reason, data=data, device=device, comparison=True)",
    ): ("all runs of a ladder lie in one folder"),
    ("ladder/results.py", "first, over_seeds = look.predictions[-1], partial(mean_over_seeds, level=look.level)"): (
        "all runs of a look are graded on the same pictures with the same views"
    ),
    (
        "ladder/results.py",
        "return worst_pairs(matrix, predictions[-1].class_names), sum(len(one) for one in predictions)",
    ): ("all runs of a ladder know the same classes"),
    ("ladder/verdict.py", "better = (difference.low >= 0) != removes"): ("no interval ends at 0 to the last bit"),
    ("ladder/verdict.py", 'side = "above" if difference.low >= 0 else "below"'): (
        "no interval ends at 0 to the last bit"
    ),
    ("ladder/rungs.py", "twice = list({name for name in slugs if slugs.count(name) > 1})"): (
        "which of several is named first says nothing"
    ),
    ("metrics/compare.py", "n = max(3, math.floor(noise * z / z))"): (
        "the search begins elsewhere and ends at the same number"
    ),
    ("metrics/compare.py", "n = max(3, math.floor(noise / z * z))"): (
        "the search begins elsewhere and ends at the same number"
    ),
    (
        "metrics/intervals.py",
        "return self.n > 2 and self.low is not None and self.high is not None and (self.low >= 0 or self.high < 0)",
    ): ("no interval ends at 0 to the last bit"),
    ("evaluate/compare_runs.py", "rows = [_over_seeds(runs, common, families[0], families[-1])]"): (
        "there is one family"
    ),
    ("ladder/verdict.py", "pair = (below[-1].run, own[0].run)"): ("there is one seed"),
    ("ladder/verdict.py", "pair = (below[0].run, own[-1].run)"): ("there is one seed"),
    ("evaluate/test_set.py", "own = images[-1].dataset.loading"): ("all runs of a look are on one data set"),
    ("export/write.py", "if not gap < _DISTANCE_GAP:"): ("no gap is this to the last bit"),
    (
        "evaluate/compare_runs.py",
        'differs = tuple(change for change in _differs(runs[reference[0]], members[-1]) if change.field != "seed")',
    ): "runs of one family differ in seed and precision alone",
    (
        "metrics/compare.py",
        '"""Files of an older version say only where a picture stood: enough where all of them name the same places."""'
        " first = predictions[-1]",
    ): "that all name the same places is seen from any one of them",
    ("export/onnx_file.py", "activation_type=quantization.QuantType.QUInt8,"): "QDQ is ONNX Runtime's default",
    ("export/onnx_file.py", "per_channel=True,"): "weights of 8 bits with a sign are ONNX Runtime's default",
    ("export/onnx_file.py", ")"): "ranges from the least to the most are ONNX Runtime's default",
    ("export/onnx_file.py", "self._session = onnxruntime.InferenceSession(model, options, )"): (
        "the package of the extra runs on the CPU alone"
    ),
}
"""(file, the changed lines without the blanks around them): why."""
