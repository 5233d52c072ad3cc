// Training curves of one or more runs: train solid, val dashed, a slider through the epochs, captions from the numbers.

import { COLOURS, distinct, frame, path, responsive, ticks } from "./chart.js";
import { h, replace, svg } from "./dom.js";
import { captionsOn, keptRow, seedGroups } from "./captions.js";
import { percent, signed } from "./words.js";

const MEASURES = {
  accuracy: { title: "Accuracy", train: "train/accuracy", val: "val/accuracy", text: (value) => percent(value, 1), factor: 100, unit: "%" },
  loss: { title: "Loss", train: "train/cross_entropy", val: "val/loss", text: (value) => value.toFixed(3), factor: 1, unit: "nats, clean pictures, hard labels" },
  trained: { title: "Loss as trained", train: "train/loss", val: null, text: (value) => value.toFixed(3), factor: 1, unit: "nats, augmented pictures, smoothed labels where the recipe smooths" },
  gap: { title: "Gap", train: null, val: null, text: (value) => `${signed(100 * value, 1)} points`, factor: 100, unit: "points of accuracy, train − val" },
};

export function curves({ page }) {
  const runs = page.runs
    .map((run, number) => ({ ...run, number, rows: run.journal.filter((row) => row["val/accuracy"] != null || row["train/loss"] != null) }))
    .filter((run) => run.rows.length);
  if (!runs.length) return { element: h("section", {}, h("h2", {}, "Curves"), h("p", { class: "empty" }, "No journal of a training in this run.")), update() {} };
  const last = Math.max(...runs.map((run) => run.rows.at(-1).epoch));
  const groups = seedGroups(runs);
  const hidden = new Set();
  let measure = "accuracy";
  let epoch = last;

  const plot = responsive((width) => drawing(runs.filter((run) => !hidden.has(run.number)), groups, MEASURES[measure], measure, epoch, last, width), "plot");
  const readout = h("div", { class: "readout" });
  const slider = h("input", { type: "range", min: 1, max: Math.max(1, Math.ceil(last)), step: 1, value: last, class: "keeps-keys", "aria-label": "Epoch", oninput: () => scrub(Number(slider.value)) });
  const at = h("output", {});
  const legend = h("p", { class: "legend soft" });
  const tabs = Object.entries(MEASURES).map(([name, { title }]) =>
    h("button", { type: "button", class: "chip", onclick: () => ((measure = name), draw()) }, title),
  );

  const scrub = (to) => {
    epoch = to;
    draw();
  };
  const draw = () => {
    const focused = document.activeElement?.dataset.run; // the table is made anew: its checkbox gets the focus back
    tabs.forEach((tab, n) => tab.setAttribute("aria-pressed", Object.keys(MEASURES)[n] === measure));
    at.textContent = `epoch ${epoch} of ${Math.ceil(last)}`;
    slider.setAttribute("aria-valuetext", at.textContent);
    replace(legend, key(measure));
    plot.redraw();
    replace(readout, table(runs, epoch, hidden, (number) => (hidden.has(number) ? hidden.delete(number) : hidden.add(number), draw())));
    if (focused) readout.querySelector(`[data-run="${focused}"]`)?.focus();
  };

  const element = h(
    "section",
    { class: "curves" },
    h("h2", {}, "How it learned"),
    h("div", { class: "chips", role: "group", "aria-label": "What to draw" }, tabs),
    legend,
    plot.element,
    h("label", { class: "scrubber" }, slider, at),
    readout,
    h("div", { class: "captions" }, captionsOn(runs, page).map((text) => h("p", {}, text))),
  );
  draw();
  return { element, update() {} };
}

/** What solid and dashed mean under a measure. */
function key(measure) {
  const entry = (kind, text) => h("span", { class: "legend-entry" }, h("span", { class: kind, "aria-hidden": "true" }), text);
  if (measure === "gap") return [entry("dashed", "train accuracy minus val accuracy"), entry("kept-key", "whose weights were kept")];
  if (measure === "trained") return [entry("solid", "train, as the optimizer saw it"), entry("floor-key", "as low as smoothed labels let it go")];
  return [entry("solid", "train, without augmentation"), entry("dashed", "val"), entry("kept-key", "whose weights were kept")];
}

/** One colour for each run: two seeds of one recipe are two lines, and their band says that they belong together. */
function colourOf(number) {
  return COLOURS[number % COLOURS.length];
}

/** A run's line in words: where it begins and where it ends. */
function spoken(run, measure, name) {
  const ends = [run.rows[0], run.rows.at(-1)].map((row) => valuesOf(row, measure, name));
  const of = (part) => (ends.some((values) => values[part] == null) ? [] : [`${part} from ${measure.text(ends[0][part])} to ${measure.text(ends[1][part])}`]);
  return `${run.name}: ${[...of("train"), ...of("val")].join(", ") || "no values"}`;
}

/** The value of a row under a measure: train and val, or the difference. */
function valuesOf(row, measure, name) {
  if (name === "gap") {
    const both = row["train/accuracy"] != null && row["val/accuracy"] != null;
    return { val: both ? row["train/accuracy"] - row["val/accuracy"] : null, train: null };
  }
  return { train: measure.train ? (row[measure.train] ?? null) : null, val: measure.val ? (row[measure.val] ?? null) : null };
}

function drawing(runs, groups, measure, name, epoch, last, width) {
  const points = runs.map((run) => run.rows.map((row) => ({ epoch: row.epoch, ...valuesOf(row, measure, name) })));
  const all = points.flat().flatMap(({ train, val }) => [train, val]).filter((value) => value != null);
  let [low, high] = all.length ? [Math.min(...all), Math.max(...all)] : [0, 1];
  const room = 0.06 * (high - low || 0.1);
  const floors = name === "trained" ? [...new Set(runs.map((run) => run.loss_floor).filter((floor) => floor > 0))] : [];
  [low, high] = [name === "loss" || name === "trained" ? 0 : low - room, name === "accuracy" ? Math.min(1, high + room) : high + room];
  const levels = ticks(low, high, 5);
  const { element, content, toX, toY, inner } = frame({
    width,
    height: Math.max(260, Math.min(400, width * 0.5)),
    x: [Math.min(1, last), Math.max(2, last)],
    y: [low, high],
    yTicks: levels,
    xTicks: ticks(1, Math.max(2, last), Math.min(width / 60, Math.ceil(last))).filter(Number.isInteger),
    yText: distinct(levels, measure.factor),
    xTitle: "epoch",
    yTitle: `${measure.title}, ${measure.unit}`,
    label: `${measure.title} over epochs, train solid, val dashed. ${runs.map((run) => spoken(run, measure, name)).join("; ")}. The table below has the values at the chosen epoch.`,
  });
  for (const floor of floors) {
    content.append(
      svg("line", { class: "floor", x1: inner.left, x2: inner.right, y1: toY(floor), y2: toY(floor) }),
      svg("text", { class: "floor-name", x: inner.left + 6, y: toY(floor) - 6 }, `floor of the smoothed loss, ${floor.toFixed(3)}`),
    );
  }
  content.append(svg("line", { class: "cursor", x1: toX(epoch), x2: toX(epoch), y1: inner.top, y2: inner.bottom }));
  for (const group of groups) {
    const d = band(group, runs, measure, name, toX, toY);
    if (d) content.append(svg("path", { class: "band", d, style: { "--colour": groups.length > 1 ? colourOf(group.members[0]) : "var(--soft)" } }));
  }
  runs.forEach((run, n) => {
    const style = { "--colour": colourOf(run.number) };
    for (const part of ["train", "val"]) {
      const line = points[n].filter((point) => point[part] != null);
      if (!line.length) continue;
      content.append(svg("path", { class: `line ${part}`, style, d: path(line.map((point) => [toX(point.epoch), toY(point[part])])) }));
      const kept = keptRow(run);
      if (part === "val" && kept) content.append(svg("path", { class: "kept", style, d: star(toX(kept.epoch), toY(valuesOf(kept, measure, name).val)) }, svg("title", {}, `${run.name}: the weights of epoch ${kept.epoch} were kept`)));
      const here = line.findLast((point) => point.epoch <= epoch + 1e-9) ?? (line.length === 1 ? line[0] : null);
      if (here) content.append(svg("circle", { class: `bead ${part}`, style, cx: toX(here.epoch), cy: toY(here[part]), r: 4.5 }, svg("title", {}, `${run.name}, ${part}: ${measure.text(here[part])}`)));
    }
  });
  return element;
}

/** A diamond round a point: where the weights come from. */
function star(x, y) {
  return `M${x} ${y - 9}L${x + 9} ${y}L${x} ${y + 9}L${x - 9} ${y}Z`;
}

/** The area between the lowest and the highest val value of several seeds of one recipe. */
function band(group, runs, measure, name, toX, toY) {
  const members = runs.filter((run) => group.members.includes(run.number));
  if (members.length < 2) return null;
  const by = new Map();
  for (const run of members) {
    for (const row of run.rows) {
      const { val } = valuesOf(row, measure, name);
      if (val != null) by.set(row.epoch, [...(by.get(row.epoch) ?? []), val]);
    }
  }
  const full = [...by].filter(([, values]) => values.length === members.length).sort(([a], [b]) => a - b);
  if (full.length < 2) return null;
  const upper = full.map(([epoch, values]) => [toX(epoch), toY(Math.max(...values))]);
  const lower = full.map(([epoch, values]) => [toX(epoch), toY(Math.min(...values))]).reverse();
  return `${path([...upper, ...lower])}Z`;
}

function table(runs, epoch, hidden, toggle) {
  return h(
    "table",
    { class: "figures" },
    h("thead", {}, h("tr", {}, ["run", "train", "val", "gap", "val loss", "learning rate"].map((text, n) => h("th", { scope: "col", class: n ? "number" : "" }, text)))),
    h(
      "tbody",
      {},
      runs.map((run) => {
        const row = run.rows.findLast((each) => each.epoch <= epoch + 1e-9 && each["val/accuracy"] != null) ?? run.rows.findLast((each) => each.epoch <= epoch + 1e-9) ?? run.rows[0];
        const [train, val] = [row["train/accuracy"], row["val/accuracy"]];
        const figures = [
          percent(train),
          percent(val),
          train != null && val != null ? signed(100 * (train - val), 1) : "–",
          row["val/loss"] != null ? row["val/loss"].toFixed(3) : "–",
          row.lr != null ? (row.lr < 1e-3 && row.lr > 0 ? row.lr.toExponential(1) : String(Number(row.lr.toPrecision(3)))) : "–",
        ];
        return h(
          "tr",
          {},
          h(
            "th",
            { scope: "row" },
            h("label", { class: "run-key" }, h("input", { type: "checkbox", "data-run": run.number, checked: !hidden.has(run.number), onchange: () => toggle(run.number) }), h("span", { class: "swatch", "aria-hidden": "true", style: { "--colour": colourOf(run.number) } }), run.name),
          ),
          figures.map((text) => h("td", { class: "number" }, text)),
        );
      }),
    ),
  );
}
