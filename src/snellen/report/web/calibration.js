// Does "90 % sure" come true nine times out of ten?

import { frame, responsive } from "./chart.js";
import { h, svg } from "./dom.js";
import { count, percent } from "./words.js";

/** The verdict in one sentence, with what perfect calibration would show on as many pictures. */
export function calibrationSentence(calibration) {
  const { accuracy, mean_confidence: sure, ece, null: { percentile_95: luck }, distinguishable } = calibration;
  const gap = `It is ${percent(sure)} sure on average and right ${percent(accuracy.value)} of the time`;
  if (!distinguishable) return `${gap}. On ${count(accuracy.n)} pictures that cannot be told from perfect calibration (ECE ${percent(ece)}).`;
  const lean = sure > accuracy.value ? "overconfident" : "underconfident";
  return `${gap}: ${lean}. ECE ${percent(ece)}, where perfect calibration would show at most ${percent(luck)}.`;
}

/** Accuracy against confidence, one point per bin, its area the number of pictures. */
export function reliability(calibration, { caption = true } = {}) {
  return h(
    "figure",
    { class: "chart-figure" },
    responsive((width) => drawing(calibration, width), "small-chart").element,
    caption ? h("figcaption", {}, "On the diagonal it is as sure as it is right; below it, too sure. Whiskers: 95 % intervals; area: pictures in the bin.") : null,
  );
}

function drawing(calibration, width) {
  const bins = calibration.bins.filter((bin) => bin.count);
  const most = Math.max(...bins.map((bin) => bin.count));
  const { element, content, toX, toY } = frame({
    width,
    height: Math.min(360, width * 0.85),
    x: [0, 1],
    y: [0, 1],
    xTicks: [0, 0.25, 0.5, 0.75, 1],
    yTicks: [0, 0.25, 0.5, 0.75, 1],
    xText: (value) => `${100 * value}`,
    yText: (value) => `${100 * value}`,
    xTitle: "confidence of the answer, %",
    yTitle: "right, %",
    label: `Reliability: ${calibrationSentence(calibration)}`,
  });
  content.append(
    svg("line", { class: "diagonal", x1: toX(0), y1: toY(0), x2: toX(1), y2: toY(1) }),
    ...bins.map((bin) => {
      const [x, y] = [toX(bin.confidence), toY(bin.accuracy.value)];
      return svg(
        "g",
        { class: "bin" },
        svg("title", {}, `${percent(bin.low, 0)} to ${percent(bin.high, 0)} sure: ${count(bin.count)} pictures, right ${percent(bin.accuracy.value)}`),
        svg("line", { class: "whisker", x1: x, x2: x, y1: toY(bin.accuracy.low), y2: toY(bin.accuracy.high) }),
        svg("line", { class: "gap", x1: x, x2: x, y1: y, y2: toY(bin.confidence) }),
        svg("circle", { cx: x, cy: y, r: 3 + 9 * Math.sqrt(bin.count / most) }),
      );
    }),
  );
  return element;
}
