// The little that every chart here needs: a frame with a grid, scales, lines.

import { h, replace, svg } from "./dom.js";

/** Colours of lines and points, told apart by lightness too; the ninth is the first again. */
export const COLOURS = ["var(--c0)", "var(--c1)", "var(--c2)", "var(--c3)", "var(--c4)", "var(--c5)", "var(--c6)", "var(--c7)"];

/** A place for a chart that is drawn anew, `draw(width)`, whenever its width in pixels changes: text keeps its size. */
export function responsive(draw, className = "") {
  const element = h("div", { class: `chart-place ${className}` });
  let width = 0;
  const redraw = () => {
    if (element.clientWidth) replace(element, draw(element.clientWidth));
  };
  new ResizeObserver(() => {
    if (Math.abs(element.clientWidth - width) < 2) return;
    width = element.clientWidth;
    redraw();
  }).observe(element);
  return { element, redraw };
}

/** Tick values as text with just as many decimals as tells them apart. */
export function distinct(values, factor = 1) {
  for (let decimals = 0; decimals < 6; decimals += 1) {
    const texts = values.map((value) => (factor * value).toFixed(decimals));
    if (new Set(texts).size === values.length) return (value) => (factor * value).toFixed(decimals);
  }
  return (value) => String(factor * value);
}

/** A linear scale: value -> pixels. */
export function linear([from, to], [start, end]) {
  const factor = to === from ? 0 : (end - start) / (to - from);
  return (value) => start + (value - from) * factor;
}

/** About `wanted` round values inside [low, high]. */
export function ticks(low, high, wanted = 5) {
  if (!(high > low)) return [low];
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10);
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-9; value += step) found.push(Number(value.toPrecision(12)));
  return found;
}

/** A chart with a calm frame: returns the SVG, a group to draw in, and its scales. */
export function frame({ width, height, x, y, label, xTicks, yTicks, xText = String, yText = String, xTitle, yTitle }) {
  const margin = { left: 50, right: 14, top: yTitle ? 24 : 12, bottom: xTitle ? 42 : 26 };
  const toX = linear(x, [margin.left, width - margin.right]);
  const toY = linear(y, [height - margin.bottom, margin.top]);
  const content = svg("g", {});
  const element = svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img", "aria-label": label },
    (yTicks ?? ticks(...y)).map((value) =>
      svg(
        "g",
        { class: "rule" },
        svg("line", { x1: margin.left, x2: width - margin.right, y1: toY(value), y2: toY(value) }),
        svg("text", { x: margin.left - 8, y: toY(value) + 4, "text-anchor": "end" }, yText(value)),
      ),
    ),
    (xTicks ?? ticks(...x)).map((value) => svg("text", { class: "tick", x: toX(value), y: height - margin.bottom + 18, "text-anchor": "middle" }, xText(value))),
    xTitle ? svg("text", { class: "axis-title", x: width - margin.right, y: height - 6, "text-anchor": "end" }, xTitle) : null,
    yTitle ? svg("text", { class: "axis-title", x: 0, y: 12 }, yTitle) : null,
    content,
  );
  return { element, content, toX, toY, inner: { left: margin.left, right: width - margin.right, top: margin.top, bottom: height - margin.bottom } };
}

/** The d of a polyline through points; a gap where a value is missing. */
export function path(points) {
  let pen = "M";
  return points
    .map(([x, y]) => {
      if (y == null || Number.isNaN(y)) {
        pen = "M";
        return "";
      }
      const part = `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
      pen = "L";
      return part;
    })
    .join("");
}
