// The pictures as points: feature space, flattened to the two directions in which it is widest.

import { unpack } from "./data.js";
import { h, replace } from "./dom.js";
import { picture } from "./pictures.js";
import { percent, plural } from "./words.js";

const NEAR = 14; // pixels within which a point answers to the pointer

export function featureMap({ answers, go }) {
  const { geometry, classes } = answers;
  const points = unpack(geometry.map);
  const canvas = h("canvas", { class: "map-canvas", tabindex: "0", role: "img", "aria-label": `${plural(answers.shown, "picture")} in feature space, coloured by class. ${summary(geometry)}` });
  const tip = h("div", { class: "map-tip", hidden: true });
  const board = h("div", { class: "map-board keeps-keys" }, canvas, tip);
  let only = null;
  let mistakes = false;
  let hovered = null;
  let place = () => [0, 0];

  const legend = classes.map((name, at) =>
    h("button", { type: "button", class: "chip", style: { "--colour": colourOf(at, classes.length) }, onclick: () => ((only = only === at ? null : at), paint()) }, h("span", { class: `mark mark-${at % 3}`, "aria-hidden": "true" }), name),
  );
  const wrong = h("button", { type: "button", class: "chip", onclick: () => ((mistakes = !mistakes), paint()) }, "only mistakes");

  const paint = () => {
    legend.forEach((button, at) => button.setAttribute("aria-pressed", only === at));
    wrong.setAttribute("aria-pressed", mistakes);
    const width = board.clientWidth;
    if (!width) return;
    const height = Math.round(Math.min(width * 0.72, 620));
    const ratio = window.devicePixelRatio || 1;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    canvas.style.setProperty("height", `${height}px`);
    place = placement(points, width, height);
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const style = getComputedStyle(board);
    const colours = classes.map((_, at) => style.getPropertyValue(`--map-${at}`) || resolve(style, colourOf(at, classes.length)));
    const visible = (row) => (only == null || answers.labels[row] === only) && (!mistakes || !answers.right(row));
    for (const faint of [true, false]) {
      for (let row = 0; row < answers.shown; row += 1) {
        if (visible(row) === faint) continue;
        context.globalAlpha = faint ? 0.07 : 0.72;
        dot(context, place(row), answers.labels[row] % 3, colours[answers.labels[row]], 2.6);
      }
    }
    context.globalAlpha = 1;
    context.strokeStyle = style.getPropertyValue("--ink");
    context.lineWidth = 1;
    for (let row = 0; row < answers.shown; row += 1) if (!answers.right(row) && visible(row)) cross(context, place(row), 3.2);
    if (hovered != null) ring(context, place(hovered), style.getPropertyValue("--ink"));
  };

  const hover = (row) => {
    if (row === hovered) return;
    hovered = row;
    tip.hidden = row == null;
    if (row != null) {
      const [x, y] = place(row);
      replace(tip, picture(answers.sprite, row, ""), h("span", {}, h("b", {}, classes[answers.labels[row]]), answers.right(row) ? "" : h("span", { class: "wrong" }, ` called ${classes[answers.top(row, 0)]}`), h("span", { class: "small" }, `#${answers.ids[row]}, ${percent(answers.confidence(row), 0)}`)));
      tip.style.setProperty("left", `${Math.min(x + 14, board.clientWidth - 190)}px`);
      tip.style.setProperty("top", `${Math.max(0, y - 76)}px`);
    }
    paint();
  };
  const under = (event) => {
    const box = canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let best = null;
    let least = NEAR * NEAR;
    for (let row = 0; row < answers.shown; row += 1) {
      if ((only != null && answers.labels[row] !== only) || (mistakes && answers.right(row))) continue;
      const [px, py] = place(row);
      const distance = (px - x) ** 2 + (py - y) ** 2;
      if (distance < least) [best, least] = [row, distance];
    }
    return best;
  };
  canvas.addEventListener("pointermove", (event) => hover(under(event)));
  canvas.addEventListener("pointerleave", () => hover(null));
  canvas.addEventListener("click", (event) => {
    const row = under(event);
    if (row != null) go({ view: "lineup", i: answers.ids[row] });
  });
  canvas.addEventListener("keydown", (event) => {
    // Without a pointer: arrows go through the pictures in view, mistakes first; Enter opens one.
    const rows = answers.inOrder.filter((row) => (only == null || answers.labels[row] === only) && (!mistakes || !answers.right(row)));
    const at = rows.indexOf(hovered);
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (by && rows.length) hover(rows[(at + by + rows.length) % rows.length]);
    else if (event.key === "Enter" && hovered != null) go({ view: "lineup", i: answers.ids[hovered] });
    else return;
    event.preventDefault();
  });
  new ResizeObserver(() => paint()).observe(board);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => paint());
  new MutationObserver(() => paint()).observe(document.documentElement, { attributeFilter: ["data-theme"] });

  const element = h(
    "section",
    { class: "feature-map" },
    h("h2", {}, "The map of feature space"),
    h("p", { class: "soft" }, `Every point is a picture, where the ${geometry.dimensions} features before the last layer put it. ${summary(geometry)} Crosses are mistakes; the colour is the label's class.`),
    h("div", { class: "chips", role: "group", "aria-label": "Show only" }, wrong, legend),
    board,
  );
  return { element, update: () => requestAnimationFrame(paint) };
}

function summary({ map_share: share }) {
  return `The two directions shown hold ${percent(share[0] + share[1], 0)} of all variance; what overlaps here may well stand apart in the others.`;
}

/** Row -> pixels. The frame holds 99.8 % of the points, so that a stray one does not squeeze the rest. */
function placement(points, width, height) {
  const edges = (axis) => {
    const values = Array.from({ length: points.length / 2 }, (_, row) => points[2 * row + axis]).sort((a, b) => a - b);
    const at = (share) => values[Math.round(share * (values.length - 1))] ?? 0;
    return [at(0.001), at(0.999)];
  };
  const [x, y] = [edges(0), edges(1)];
  const margin = 22;
  const scale = ([low, high], size) => (value) => margin + ((Math.min(high, Math.max(low, value)) - low) / (high - low || 1)) * (size - 2 * margin);
  const [toX, toY] = [scale(x, width), scale(y, height)];
  return (row) => [toX(points[2 * row]), height - toY(points[2 * row + 1])];
}

function colourOf(at, classes) {
  return classes <= 10 ? `var(--m${at})` : `hsl(${(at * 137.5) % 360} 55% ${42 + 18 * (at % 3)}%)`;
}

function resolve(style, colour) {
  const named = /^var\((--\w+)\)$/.exec(colour);
  return named ? style.getPropertyValue(named[1]) : colour;
}

/** Disc, square or triangle: the class shows by shape as well as by colour. */
function dot(context, [x, y], shape, colour, size) {
  context.fillStyle = colour;
  context.beginPath();
  if (shape === 0) context.arc(x, y, size, 0, 7);
  else if (shape === 1) context.rect(x - size, y - size, 2 * size, 2 * size);
  else {
    context.moveTo(x, y - size * 1.3);
    context.lineTo(x + size * 1.25, y + size);
    context.lineTo(x - size * 1.25, y + size);
  }
  context.fill();
}

function cross(context, [x, y], size) {
  context.beginPath();
  context.moveTo(x - size, y - size);
  context.lineTo(x + size, y + size);
  context.moveTo(x + size, y - size);
  context.lineTo(x - size, y + size);
  context.stroke();
}

function ring(context, [x, y], colour) {
  context.strokeStyle = colour;
  context.lineWidth = 2;
  context.beginPath();
  context.arc(x, y, 8, 0, 7);
  context.stroke();
}
