// Class by class: found, trusted, spread out; how calibrated; how it stands bad weather.

import { UNFILTERED } from "./address.js";
import { calibrationSentence, reliability } from "./calibration.js";
import { coverageCard } from "./coverage.js";
import { save, toCsv } from "./csv.js";
import { h, replace } from "./dom.js";
import { strip } from "./overview.js";
import { count, percent, rate, signed } from "./words.js";

const ENOUGH = 6; // classes; of fewer a rank correlation says nothing
const THUMBNAILS = 4;
const ROWS = 100; // at first; a thousand rows with pictures are seconds of drawing

const COLUMNS = [
  { key: "name", title: "class", of: (row) => row.name },
  { key: "recall", title: "recall", hint: "share of the class that was found", of: (row) => row.recall?.value ?? -1 },
  { key: "precision", title: "precision", hint: "share of these answers that were right", of: (row) => row.precision?.value ?? -1 },
  { key: "f1", title: "F1", hint: "harmonic mean of recall and precision", of: (row) => row.f1 ?? -1 },
  { key: "called", title: "most often called", hint: "the wrong answer given most often", of: (row) => -row.called.count },
  { key: "spread", title: "spread", hint: "distance of its pictures from their centre in feature space", of: (row) => row.spread ?? -1 },
  { key: "support", title: "pictures", of: (row) => row.support },
];

export function perClass({ answers, go }) {
  const spread = answers.geometry?.spread;
  const rows = answers.classes.map((name, at) => ({ ...answers.scores[at], name, at, spread: spread?.[at] ?? null, called: mostCalled(answers, at), examples: [] }));
  for (const row of answers.inOrder) {
    const own = rows[answers.labels[row]].examples;
    if (own.length < THUMBNAILS) own.push(row);
  }
  let order = "recall";
  let down = false;
  let most = ROWS;
  const body = h("div", { class: "table-scroll" });
  const draw = () => {
    const column = COLUMNS.find(({ key }) => key === order);
    const sorted = [...rows].sort((a, b) => {
      const [x, y] = [column.of(a), column.of(b)];
      return (x < y ? -1 : x > y ? 1 : a.at - b.at) * (down ? -1 : 1);
    });
    const focused = document.activeElement?.dataset.key; // the table is made anew: its heading gets the focus back
    replace(body, table(sorted.slice(0, most), order, down, answers, go, (key) => ((down = key === order ? !down : false), (order = key), draw())), sorted.length > most ? h("button", { type: "button", class: "chip", onclick: () => ((most = Infinity), draw()) }, `Show all ${count(sorted.length)} classes`) : null);
    if (focused) body.querySelector(`[data-key="${focused}"]`)?.focus();
  };
  draw();
  const element = h(
    "section",
    { class: "per-class" },
    h("h2", {}, "Class by class"),
    h("p", {}, spreadSentence(answers)),
    body,
    h("button", { type: "button", class: "link", onclick: () => save(`classes-${answers.split}.csv`, classesCsv(rows)) }, "Save as a table (.csv)"),
    h(
      "div",
      { class: "pair-columns" },
      h("section", { class: "card" }, h("h3", {}, "Is it as right as it is sure?"), h("p", {}, calibrationSentence(answers.calibration)), reliability(answers.calibration), h("p", { class: "soft" }, "ECE, the expected calibration error: by how much confidence and accuracy differ, on average over the bins.")),
      coverageCard(answers),
      robustness(answers.run),
    ),
  );
  return { element, update() {} };
}

/** {at, count} of the wrong answer given most often; count 0 where there is none. */
function mostCalled({ matrix }, at) {
  return matrix[at].reduce((most, n, said) => (said !== at && n > most.count ? { at: said, count: n } : most), { at: null, count: 0 });
}

function classesCsv(rows) {
  const value = (rate) => (rate == null ? "" : typeof rate === "number" ? rate.toFixed(4) : rate.value.toFixed(4));
  return toCsv([["class", "pictures", "answered", "recall", "precision", "f1", "most_often_called", "times"], ...rows.map((row) => [row.name, row.support, row.predicted, value(row.recall), value(row.precision), value(row.f1), row.called.count ? rows[row.called.at].name : "", row.called.count])]);
}

function spreadSentence({ geometry, classes }) {
  if (!geometry) return "The spread in feature space is not in this page: it was written with --layer-views 0.";
  if (classes.length < ENOUGH) return "";
  const rho = geometry.spread_and_errors;
  if (rho == null) return "Too few classes or mistakes to say whether spread-out classes are missed more.";
  const strength = `rank correlation ${signed(rho, 2)} over ${geometry.spread.length} classes`;
  if (rho > 0.5) return `Spread-out classes are missed more often here (${strength}).`;
  if (rho < -0.5) return `Spread-out classes are missed less often here (${strength}): spread does not foretell error in this run.`;
  return `Spread says little about error here (${strength}).`;
}

function table(rows, order, down, answers, go, sort) {
  const widest = Math.max(1e-9, ...rows.map((row) => row.spread ?? 0));
  return h(
    "table",
    { class: "figures classes" },
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        COLUMNS.map(({ key, title, hint }) =>
          h("th", { scope: "col", class: key === "support" || key === "f1" ? "number" : "", "aria-sort": key === order ? (down ? "descending" : "ascending") : "none" }, h("button", { type: "button", "data-key": key, title: hint, onclick: () => sort(key) }, title, h("span", { "aria-hidden": "true" }, key === order ? (down ? " ↓" : " ↑") : ""))),
        ),
      ),
    ),
    h(
      "tbody",
      {},
      rows.map((row) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, h("button", { type: "button", class: "link", onclick: () => go({ ...UNFILTERED, view: "gallery", true: row.at, i: null }) }, row.name), row.support && !row.predicted ? h("span", { class: "wrong small" }, " never answered") : null, strip(answers, row.examples, go, { true: row.at })),
          h("td", {}, meter(row.recall)),
          h("td", {}, meter(row.precision)),
          h("td", { class: "number" }, row.f1 == null ? "–" : percent(row.f1)),
          h("td", {}, row.called.count ? h("button", { type: "button", class: "link", onclick: () => go({ view: "confusions", true: row.at, said: row.called.at, i: null }) }, `${answers.classes[row.called.at]} (${count(row.called.count)})`) : "–"),
          h("td", {}, row.spread == null ? "–" : h("span", { class: "meter" }, h("span", { class: "track" }, h("span", { class: "fill plain", style: { width: `${(100 * row.spread) / widest}%` } })), h("span", { class: "value" }, row.spread.toPrecision(3)))),
          h("td", { class: "number" }, count(row.support)),
        ),
      ),
    ),
  );
}

/** A bar with its 95 % interval as a lighter end. */
function meter(value) {
  if (!value) return "–";
  return h(
    "span",
    { class: "meter" },
    h(
      "span",
      { class: "track", "aria-hidden": "true" },
      h("span", { class: "fill", style: { width: `${100 * value.value}%` } }),
      h("span", { class: "interval", style: { left: `${100 * value.low}%`, width: `${100 * (value.high - value.low)}%` } }),
    ),
    h("span", { class: "value" }, percent(value.value), h("span", { class: "small" }, `${(100 * value.low).toFixed(0)}–${(100 * value.high).toFixed(0)}`)),
  );
}

function robustness({ robustness: card, path }) {
  const title = h("h3", {}, "In bad weather", h("span", { class: "soft" }, " robustness: the same pictures, darker, blurred, noisy, turned"));
  if (!card?.rows) return h("section", { class: "card robustness" }, title, h("p", {}, "Not measured."), h("p", { class: "soft" }, "To try it on darker, blurred, noisy, turned pictures: ", h("code", {}, `snellen evaluate ${path} `, h("span", { class: "whole" }, "--robustness"))));
  return h(
    "section",
    { class: "card robustness" },
    title,
    h("p", { class: "soft" }, `Clean: ${rate(card.clean)}. Below: the same pictures, changed.`),
    h(
      "table",
      { class: "figures" },
      h("thead", {}, h("tr", {}, ["change", "how strong", "right", "points"].map((text) => h("th", { scope: "col" }, text)))),
      h(
        "tbody",
        {},
        card.rows.map((row) => h("tr", {}, h("th", { scope: "row" }, row.corruption), h("td", {}, row.severity), h("td", {}, meter(row.accuracy)), h("td", { class: "number" }, signed(100 * row.change.value, 1)))),
      ),
    ),
  );
}
