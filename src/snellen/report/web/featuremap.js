// The pictures as points: feature space, laid flat.

import { UNFILTERED } from "./address.js";
import { unpack } from "./data.js";
import { h, replace } from "./dom.js";
import { picture } from "./pictures.js";
import { percent, plural } from "./words.js";

const NEAR = 14; // pixels within which a point answers to the pointer
const NARROW = 600; // pixels; below it points are smaller
const TIP = 196; // pixels, the width of what it then says

export function featureMap({ answers, go }) {
  const { geometry, classes } = answers;
  const maps = geometry.maps.map((map) => ({ ...map, points: unpack(map.points) }));
  let current = maps.at(-1); // the one that was asked for, where there is one
  const canvas = h("canvas", { class: "map-canvas", tabindex: "0", role: "img" });
  const tip = h("div", { class: "map-tip", role: "status", hidden: true });
  const board = h("div", { class: "map-board keeps-keys" }, canvas, tip);
  const ground = document.createElement("canvas"); // all points; moving the pointer copies it instead of drawing them again
  let only = null;
  let mistakes = false;
  let hovered = null;
  let place = () => [0, 0];

  const legend = classes.map((name, at) =>
    h("button", { type: "button", class: "chip", style: { "--colour": colourOf(at, classes.length) }, onclick: () => ((only = only === at ? null : at), paint()) }, h("span", { class: `mark mark-${at % 3}`, "aria-hidden": "true" }), name),
  );
  const wrong = h("button", { type: "button", class: "chip", onclick: () => ((mistakes = !mistakes), paint()) }, "only mistakes");
  const kinds = maps.map((map) => h("button", { type: "button", class: "chip", onclick: () => ((current = map), paint()) }, map.name));
  const about = h("p", { class: "soft" });
  const visible = (row) => (only == null || answers.labels[row] === only) && (!mistakes || !answers.right(row));

  const describe = () => {
    replace(about, summary(current));
    canvas.setAttribute("aria-label", `${plural(answers.shown, "picture")} in feature space by ${current.name}, coloured by class. ${summary(current)} Arrow keys go through them, mistakes first; Enter opens one.`);
  };

  const paint = () => {
    describe();
    legend.forEach((button, at) => button.setAttribute("aria-pressed", only === at));
    kinds.forEach((button, at) => button.setAttribute("aria-pressed", maps[at] === current));
    wrong.setAttribute("aria-pressed", mistakes);
    const width = board.clientWidth;
    if (!width) return;
    const height = Math.round(Math.min(Math.max(width * 0.62, 340), 640));
    const ratio = window.devicePixelRatio || 1;
    for (const each of [canvas, ground]) {
      each.width = width * ratio;
      each.height = height * ratio;
    }
    canvas.style.setProperty("height", `${height}px`);
    place = placement(current.points, width, height);
    const style = getComputedStyle(board);
    drawPoints(ground.getContext("2d"), { answers, place, visible, ratio, ink: style.getPropertyValue("--ink"), colours: classes.map((_, at) => resolve(style, colourOf(at, classes.length))) });
    mark();
  };

  const mark = () => {
    const context = canvas.getContext("2d");
    const ratio = window.devicePixelRatio || 1;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.drawImage(ground, 0, 0);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (hovered != null) ring(context, place(hovered), getComputedStyle(board).getPropertyValue("--ink"));
  };

  const hover = (row) => {
    if (row === hovered) return;
    hovered = row;
    tip.hidden = row == null;
    if (row != null) {
      const [x, y] = place(row);
      replace(tip, picture(answers.sprite, row, ""), h("span", {}, h("b", {}, classes[answers.labels[row]]), answers.right(row) ? "" : h("span", { class: "wrong" }, `called ${classes[answers.top(row, 0)]}`), h("span", { class: "small" }, `#${answers.ids[row]}, ${percent(answers.confidence(row), 0)} sure`)));
      tip.style.setProperty("left", `${Math.max(0, x + 14 + TIP > board.clientWidth ? x - 14 - TIP : x + 14)}px`);
      tip.style.setProperty("top", `${Math.max(0, y - 76)}px`);
    }
    mark();
  };
  const under = (event) => {
    const box = canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let best = null;
    let least = NEAR * NEAR;
    for (let row = 0; row < answers.shown; row += 1) {
      if (!visible(row)) continue;
      const [px, py] = place(row);
      const distance = (px - x) ** 2 + (py - y) ** 2;
      if (distance < least) [best, least] = [row, distance];
    }
    return best;
  };
  const open = (row) => row != null && go({ ...UNFILTERED, view: "gallery", i: answers.ids[row] });
  canvas.addEventListener("pointermove", (event) => hover(under(event)));
  canvas.addEventListener("pointerleave", () => hover(null));
  canvas.addEventListener("click", (event) => open(under(event)));
  canvas.addEventListener("keydown", (event) => {
    const rows = answers.inOrder.filter(visible);
    const at = rows.indexOf(hovered);
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (by && rows.length) hover(rows[(at + by + rows.length) % rows.length]);
    else if (event.key === "Enter") open(hovered);
    else return;
    event.preventDefault();
  });
  new ResizeObserver(() => paint()).observe(board);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => paint());
  new MutationObserver(() => paint()).observe(document.documentElement, { attributeFilter: ["data-theme"] });

  describe();
  const element = h(
    "section",
    { class: "feature-map" },
    h("h2", {}, "The map of feature space"),
    h("p", {}, `Every point is a picture, where the ${geometry.dimensions} features before the last layer put it. The colour and shape are the label’s class; crosses are mistakes.`),
    maps.length > 1 ? h("div", { class: "chips map-kinds", role: "group", "aria-label": "How it is laid flat" }, kinds) : null,
    about,
    h("div", { class: "chips", role: "group", "aria-label": "Show only" }, wrong, legend),
    board,
  );
  return { element, update: () => requestAnimationFrame(paint) };
}

function summary({ name, share }) {
  return share == null
    ? `${name} keeps neighbours together: who stands beside whom counts, how far apart the islands lie does not.`
    : `The two directions shown hold ${percent(share, 0)} of all variance; what overlaps here may well stand apart in the others.`;
}

function drawPoints(context, { answers, place, visible, ratio, ink, colours }) {
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  const size = context.canvas.width / ratio < NARROW ? 1.8 : 2.6;
  for (const faint of [true, false]) {
    context.globalAlpha = faint ? 0.07 : 0.72;
    for (let row = 0; row < answers.shown; row += 1) {
      if (visible(row) !== faint) dot(context, place(row), answers.labels[row] % 3, colours[answers.labels[row]], size);
    }
  }
  context.globalAlpha = 1;
  context.strokeStyle = ink;
  context.lineWidth = 1;
  for (let row = 0; row < answers.shown; row += 1) if (!answers.right(row) && visible(row)) cross(context, place(row), size + 0.6);
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
  // One scale for both directions: a distance means the same whichever way it points.
  const factor = Math.min((width - 2 * margin) / (x[1] - x[0] || 1), (height - 2 * margin) / (y[1] - y[0] || 1));
  const scale = ([low, high], size) => (value) => size / 2 + (Math.min(high, Math.max(low, value)) - (low + high) / 2) * factor;
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
