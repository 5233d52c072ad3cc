// What the curves say, in sentences made from their numbers; nothing is said that the numbers do not hold.

import { percent, plural, signed } from "./words.js";

const OVERFIT = 0.05; // the guard overfit-gap's: five points

/** Runs that differ in nothing but the seed: [{members: [number…]}]. */
export function seedGroups(runs) {
  const groups = new Map();
  for (const run of runs) {
    const { expect, note, ...recipe } = run.recipe;
    const key = JSON.stringify(recipe);
    groups.set(key, [...(groups.get(key) ?? []), run.number]);
  }
  return [...groups.values()].map((members) => ({ members }));
}

/** One sentence on each run, one on each group of seeds, one on each run against the first. */
export function captionsOn(runs, page) {
  const seeds = seedGroups(runs).filter((group) => group.members.length > 1);
  return [
    ...runs.slice(0, 6).map((run) => onRun(run, page)),
    ...seeds.map((group) => onSeeds(runs.filter((run) => group.members.includes(run.number)))),
    ...runs.slice(1, 6).filter((run) => !seeds.some(({ members }) => members.includes(0) && members.includes(run.number))).map((run) => against(runs[0], run)).filter(Boolean),
  ];
}

function judged(run) {
  return run.rows.filter((row) => row["val/accuracy"] != null);
}

/** The row whose weights were kept: the best on val, the first of equals; the last where the run does not say. */
export function keptRow(run) {
  const rows = judged(run);
  return rows.find((row) => row.epoch === run.best_epoch) ?? rows.at(-1) ?? null;
}

function onRun(run, page) {
  const rows = judged(run);
  if (!rows.length) return `${run.name}: nothing was held out, so there is no val curve.`;
  const [kept, last] = [keptRow(run), rows.at(-1)];
  const parts = [`${run.name}: val ${percent(kept["val/accuracy"])} with the weights that were kept, of epoch ${short(kept.epoch)} of ${short(last.epoch)}`];
  if (kept !== last) parts.push(`${percent(last["val/accuracy"])} at the end`);
  const gap = kept["train/accuracy"] == null ? null : kept["train/accuracy"] - kept["val/accuracy"];
  if (gap != null) {
    parts.push(
      gap > OVERFIT
        ? `${(100 * gap).toFixed(1)} points below train: it has begun to learn pictures by heart`
        : `train is ${Math.abs(100 * gap).toFixed(1)} points ${gap < 0 ? "below" : "above"} val, within the five that are taken as a warning`,
    );
  }
  const trend = slope(rows, page.splits.val?.runs[run.number]?.n);
  if (trend) parts.push(trend);
  const rising = lossRises(rows);
  if (rising) parts.push(rising);
  const end = run.rows.at(-1)["train/loss"];
  if (run.loss_floor > 0 && end != null) parts.push(`its smoothed loss ended ${(end - run.loss_floor).toFixed(2)} above the floor of ${run.loss_floor.toFixed(2)} that label smoothing sets`);
  const ece = page.splits.val?.runs[run.number]?.calibration?.ece;
  if (ece != null) parts.push(`ECE ${percent(ece)}`);
  return `${parts.join("; ")}.${rows.length === 1 ? " One point is no curve yet." : ""}`;
}

function short(epoch) {
  return Number(epoch.toFixed(2));
}

/** Whether val was still rising over the last fifth of the training, by more than chance does on so many pictures. */
function slope(rows, pictures) {
  if (rows.length < 2) return null;
  const tail = rows.length < 5 ? rows.slice(-2) : rows.slice(-Math.max(3, Math.ceil(rows.length / 5)));
  const [from, to] = [tail[0]["val/accuracy"], tail.at(-1)["val/accuracy"]];
  const points = Math.abs(100 * (to - from)).toFixed(1);
  const over = rows.length < 5 ? "between the last two looks" : `over the last ${short(tail.at(-1).epoch - tail[0].epoch)} epochs`;
  const noise = pictures ? 2 * Math.sqrt((to * (1 - to)) / pictures) : 0; // two standard errors
  if (Math.abs(to - from) <= noise) return `val moved by ${points} points ${over}, no more than chance does on ${plural(pictures, "picture")}`;
  return `val ${to < from ? "fell" : "rose"} by ${points} points ${over}`;
}

function lossRises(rows) {
  const known = rows.filter((row) => row["val/loss"] != null);
  if (known.length < 5) return null;
  const least = known.reduce((best, row) => (row["val/loss"] < best["val/loss"] ? row : best));
  const end = known.at(-1);
  return end["val/loss"] > 1.1 * least["val/loss"] ? `val loss was lowest at epoch ${least.epoch} and has risen by ${percent(end["val/loss"] / least["val/loss"] - 1, 0)} since: sure of its mistakes` : null;
}

function onSeeds(runs) {
  const values = runs.map((run) => keptRow(run)?.["val/accuracy"]).filter((value) => value != null);
  if (values.length < 2) return `${plural(runs.length, "seed")} of ${runs[0].recipe.name}.`;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return `${plural(values.length, "seed")} of ${runs[0].recipe.name}: val ${percent(mean)} on average, from ${percent(Math.min(...values))} to ${percent(Math.max(...values))}; the band spans them.`;
}

function against(first, other) {
  const [a, b] = [keptRow(first), keptRow(other)];
  if (!a || !b) return null;
  const points = 100 * (b["val/accuracy"] - a["val/accuracy"]);
  const gaps = [a, b].map((row) => (row["train/accuracy"] == null ? null : 100 * (row["train/accuracy"] - row["val/accuracy"])));
  const narrowed = gaps.includes(null) ? "" : `, gap ${signed(gaps[0], 1)} → ${signed(gaps[1], 1)} points`;
  const where = points === 0 ? "is level with" : `is ${Math.abs(points).toFixed(1)} points ${points < 0 ? "below" : "above"}`;
  return `${other.name} ${where} ${first.name} on val, the kept weights of each${narrowed}. Picture by picture: “Two runs”.`;
}
