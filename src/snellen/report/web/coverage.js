// If it may stay silent where it is least sure: how often is it right on the rest?

import { distinct, frame, path, responsive, ticks } from "./chart.js";
import { h, replace, svg } from "./dom.js";
import { percent } from "./words.js";

/** A card with the curve and a slider: answer so many pictures, be right so often. */
export function coverageCard({ coverage, temperature, n }) {
  const last = coverage.share.length - 1;
  let at = Math.round(0.8 * last);
  const plot = responsive((width) => drawing(coverage, at, width), "small-chart");
  const told = h("p", { role: "status" });
  const say = () => {
    slider.setAttribute("aria-valuetext", percent(coverage.share[at], 0));
    replace(told, `Answering only where it is at least ${percent(coverage.least[at])} sure, it answers ${percent(coverage.share[at], 0)} of the pictures and is right on ${percent(coverage.accuracy[at])} of those (n=${Math.round(coverage.share[at] * n)}).`);
    plot.redraw();
  };
  const slider = h("input", { type: "range", min: 0, max: last, step: 1, value: at, class: "keeps-keys", "aria-label": "Share of the pictures answered", oninput: () => ((at = Number(slider.value)), say()) });
  say();
  return h(
    "section",
    { class: "card" },
    h("h3", {}, "If it may stay silent where it is not sure", h("span", { class: "soft" }, " accuracy against coverage")),
    told,
    h("label", { class: "scrubber" }, slider),
    plot.element,
    temperature == null ? null : h("p", { class: "soft" }, temperatureSentence(temperature)),
  );
}

function temperatureSentence(temperature) {
  const way = temperature > 1.02 ? "less sure" : temperature < 0.98 ? "surer" : "no different";
  return `Fitted temperature ${temperature.toFixed(2)}: divided by it, the logits would be as sure as they are right on val, that is ${way}. The order of the answers, and so the accuracy, would stay.`;
}

function drawing(coverage, at, width) {
  const low = Math.min(...coverage.accuracy);
  const levels = ticks(Math.max(0, low - 0.02), 1, 4);
  const { element, content, toX, toY, inner } = frame({
    width,
    height: Math.min(300, width * 0.7),
    x: [0, 1],
    y: [Math.max(0, low - 0.02), 1],
    xTicks: [0, 0.25, 0.5, 0.75, 1],
    yTicks: levels,
    xText: (value) => `${100 * value}`,
    yText: distinct(levels, 100),
    xTitle: "answered, % of the pictures, the surest first",
    yTitle: "right on those, %",
    label: `Accuracy against coverage: ${percent(coverage.accuracy.at(-1))} of all, ${percent(coverage.accuracy[Math.round(coverage.accuracy.length / 2)])} of the surer half.`,
  });
  content.append(
    svg("line", { class: "cursor", x1: toX(coverage.share[at]), x2: toX(coverage.share[at]), y1: inner.top, y2: inner.bottom }),
    svg("path", { class: "line", style: { "--colour": "var(--right)" }, d: path(coverage.share.map((share, n) => [toX(share), toY(coverage.accuracy[n])])) }),
    svg("circle", { class: "bead", style: { "--colour": "var(--right)" }, cx: toX(coverage.share[at]), cy: toY(coverage.accuracy[at]), r: 4.5 }),
  );
  return element;
}
