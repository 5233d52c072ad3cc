// Do classes that stand close in feature space get mixed up? Every pair of classes as one point.

import { frame, responsive } from "./chart.js";
import { h, svg, unseen } from "./dom.js";
import { chance, count, percent, shortName, signed } from "./words.js";

const DEEP = 0.83; // from here on the other ink is the one that can be read; the colours are chosen so that both themes agree
const ENOUGH = 6; // classes; of fewer a rank correlation says nothing
const NAMED = 4;
const REACH = 130; // pixels, about the longest name
const LINE = 16; // pixels between two names

/** The scatter of all pairs with the rank correlation in words; a sentence where the features were not read. */
export function nearness(answers, shown) {
  const { geometry, classes, matrix, cosine } = answers;
  if (!geometry) return h("aside", { class: "card" }, h("h3", {}, "Neighbours in feature space"), h("p", { class: "soft" }, "Not in this page: it was written with --layer-views 0."));
  const support = matrix.map(sum);
  const pairs = [];
  for (const a of shown) {
    for (const b of shown) {
      const all = support[a] + support[b];
      if (a < b && all && !Number.isNaN(cosine(a, b))) pairs.push({ a, b, cosine: cosine(a, b), rate: (matrix[a][b] + matrix[b][a]) / all });
    }
  }
  const mistaken = pairs.some((pair) => pair.rate > 0);
  const told = classes.length >= ENOUGH && mistaken;
  const said = told ? finding(geometry, pairs, classes) : mistaken ? `With ${classes.length} classes there are too few pairs to say whether close ones are mixed up.` : "No two classes were mixed up here.";
  return h(
    "aside",
    { class: "card nearness" },
    h("h3", {}, "Neighbours in feature space"),
    h("p", {}, said),
    shown.length < classes.length ? h("p", { class: "soft" }, `The rank correlation is over all ${classes.length} classes; drawn are the ${shown.length} of the matrix.`) : null,
    closeness(cosine, classes, shown),
    told ? responsive((width) => scatter(pairs, classes, said, width), "small-chart").element : null,
    h("p", { class: "soft" }, `Cosine of the class centroids, seen from their common mean, in the ${count(geometry.dimensions)} features before the last layer.`),
  );
}

function finding({ nearness_and_errors: rho, p_value: p }, pairs, classes) {
  if (rho == null) return "Too few classes or mistakes to say whether close classes are mixed up.";
  const strength = `rank correlation ${signed(rho, 2)}, ${chance(p)} when class names are shuffled`;
  if (p > 0.05) return `Close classes are not clearly mixed up more often than others here (${strength}).`;
  const closest = pairs.reduce((best, pair) => (pair.cosine > best.cosine ? pair : best));
  return rho > 0
    ? `Classes that stand close are mixed up more (${strength}). The closest two here are ${classes[closest.a]} and ${classes[closest.b]}.`
    : `Classes that stand close are mixed up less (${strength}), which is unusual.`;
}

/** The cosines as a table in the order of the confusion matrix: what is dark in both is close and mixed up. */
function closeness(cosine, classes, shown) {
  const most = Math.max(1e-9, ...shown.flatMap((a) => shown.filter((b) => b !== a).map((b) => cosine(a, b) || 0)));
  const cell = (a, b) => {
    const value = cosine(a, b);
    if (a === b || Number.isNaN(value)) return h("td", { class: "self" }, a === b ? unseen("itself") : "–");
    const depth = Math.max(0, value) / most;
    return h("td", { class: depth > DEEP ? "deep" : "", style: { "--depth": `${Math.round(100 * depth)}%` }, title: `${classes[a]} and ${classes[b]}` }, signed(value, 2).replace(/^(\u2212?)0\./, "$1.").replace("\u2212.00", ".00"));
  };
  return h(
    "div",
    { class: "matrix-scroll", tabindex: "0", role: "group", "aria-label": "Closeness of the class centroids" },
    h(
      "table",
      { class: `closeness${shown.length > 12 ? " dense" : ""}` },
      h("caption", {}, unseen("Cosine of every two class centroids")),
      h("thead", {}, h("tr", {}, h("td", {}), shown.map((b) => h("th", { scope: "col" }, h("span", { title: classes[b] }, shortName(classes[b])))))),
      h("tbody", {}, shown.map((a) => h("tr", {}, h("th", { scope: "row", title: classes[a] }, shortName(classes[a])), shown.map((b) => cell(a, b))))),
    ),
  );
}

function scatter(pairs, classes, said, width) {
  const low = Math.min(...pairs.map((pair) => pair.cosine));
  const high = Math.max(...pairs.map((pair) => pair.cosine));
  const most = Math.max(...pairs.map((pair) => pair.rate), 0.001);
  const room = 0.08 * (high - low || 1);
  // Rates lie close to 0 but for a few pairs: the root spreads them out.
  const { element, content, toX, toY } = frame({
    width,
    height: Math.min(340, width * 0.8),
    x: [low - room, high + room],
    y: [0, Math.sqrt(most) * 1.08],
    yTicks: [0, 0.05, 0.25, 0.5, 1].map((part) => Math.sqrt(part * most)),
    yText: (root) => (100 * root * root).toFixed(most < 0.02 ? 2 : 1),
    xText: (value) => signed(value, 1),
    xTitle: "closeness of the two centroids (cosine)",
    yTitle: "mixed up, % of both classes (root scale)",
    label: `Every pair of classes: closeness in feature space against how often the two are mixed up. ${said}`,
  });
  const ranked = [...pairs].sort((one, other) => other.rate - one.rate);
  const heights = apart(ranked.slice(0, NAMED).map((pair) => toY(Math.sqrt(pair.rate))));
  const dots = ranked.slice(0, NAMED).map((pair) => [toX(pair.cosine), toY(Math.sqrt(pair.rate))]);
  // A name ends left of its dot, and of any other named dot it would lie on.
  const ends = dots.map(([x], rank) => Math.min(x, ...dots.filter(([other, y]) => Math.abs(y - heights[rank]) < LINE - 2 && other > x - REACH && other < x).map(([other]) => other)) - 9);
  content.append(
    ...ranked.map((pair, rank) => {
      const [x, y] = [toX(pair.cosine), toY(Math.sqrt(pair.rate))];
      const name = `${classes[pair.a]} – ${classes[pair.b]}`;
      return svg(
        "g",
        { class: rank < NAMED ? "dot-pair named" : "dot-pair" },
        svg("title", {}, `${name}: closeness ${signed(pair.cosine, 2)}, mixed up ${percent(pair.rate)}`),
        svg("circle", { cx: x, cy: y, r: rank < NAMED ? 5 : 4 }),
        rank < NAMED ? svg("text", { x: ends[rank], y: heights[rank] + 4, "text-anchor": "end" }, name) : null,
      );
    }),
  );
  return element;
}

/** Heights from the top down, moved just far enough that no two names lie on each other. */
function apart(heights) {
  return heights.reduce((placed, y) => [...placed, Math.max(y, (placed.at(-1) ?? -Infinity) + LINE)], []);
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}
