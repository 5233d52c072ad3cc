// Do classes that stand close in feature space get mixed up? Every pair of classes as one point.

import { frame, responsive } from "./chart.js";
import { h, svg } from "./dom.js";
import { chance, count, percent } from "./words.js";

const NAMED = 4;
const LINE = 16; // pixels between two names

/** The scatter of all pairs with the rank correlation in words; a sentence where the features were not read. */
export function nearness(answers) {
  const { geometry, classes, matrix } = answers;
  if (!geometry) return h("aside", { class: "card" }, h("h3", {}, "Neighbours in feature space"), h("p", { class: "soft" }, "Not in this page: it was written with --glasses 0."));
  const pairs = [];
  for (let a = 0; a < classes.length; a += 1) {
    for (let b = a + 1; b < classes.length; b += 1) {
      const all = sum(matrix[a]) + sum(matrix[b]);
      const cosine = geometry.cosine[a][b];
      if (all && cosine != null) pairs.push({ a, b, cosine, rate: (matrix[a][b] + matrix[b][a]) / all });
    }
  }
  return h(
    "aside",
    { class: "card nearness" },
    h("h3", {}, "Neighbours in feature space"),
    h("p", {}, finding(geometry, pairs, classes)),
    pairs.length ? responsive((width) => scatter(pairs, classes, width), "small-chart").element : null,
    h("p", { class: "soft" }, `Cosine of the class centroids, seen from their common mean, in the ${count(geometry.dimensions)} features before the last layer.`),
  );
}

function finding({ nearness_and_errors: rho, p_value: p }, pairs, classes) {
  if (rho == null) return "Too few classes or mistakes to say whether close classes are mixed up.";
  const strength = `rank correlation ${rho.toFixed(2)}, ${chance(p)} when class names are shuffled`;
  if (p > 0.05) return `Close classes are not clearly mixed up more often than others here (${strength}).`;
  const closest = pairs.reduce((best, pair) => (pair.cosine > best.cosine ? pair : best));
  return rho > 0
    ? `Classes that stand close are mixed up more (${strength}). The closest two are ${classes[closest.a]} and ${classes[closest.b]}.`
    : `Classes that stand close are mixed up less (${strength}), which is unusual.`;
}

function scatter(pairs, classes, width) {
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
    xText: (value) => value.toFixed(1),
    xTitle: "closeness of the two centroids (cosine)",
    yTitle: "mixed up, % of both classes (root scale)",
    label: "Every pair of classes: closeness in feature space against how often the two are mixed up",
  });
  const ranked = [...pairs].sort((one, other) => other.rate - one.rate);
  const heights = apart(ranked.slice(0, NAMED).map((pair) => toY(Math.sqrt(pair.rate))));
  content.append(
    ...ranked.map((pair, rank) => {
      const [x, y] = [toX(pair.cosine), toY(Math.sqrt(pair.rate))];
      const name = `${classes[pair.a]} – ${classes[pair.b]}`;
      return svg(
        "g",
        { class: rank < NAMED ? "dot-pair named" : "dot-pair" },
        svg("title", {}, `${name}: closeness ${pair.cosine.toFixed(2)}, mixed up ${percent(pair.rate)}`),
        svg("circle", { cx: x, cy: y, r: rank < NAMED ? 5 : 4 }),
        rank < NAMED ? svg("text", { x: x - 9, y: heights[rank] + 4, "text-anchor": "end" }, name) : null,
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
