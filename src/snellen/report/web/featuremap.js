// The pictures as points: feature space, laid flat.

import { UNFILTERED } from "./address.js";
import { unpack } from "./data.js";
import { h, replace } from "./dom.js";
import { strip } from "./overview.js";
import { paste, picture } from "./pictures.js";
import { percent, plural } from "./words.js";

const NEAR = 14; // pixels within which a point answers to the pointer
const NARROW = 600; // pixels; below it points are smaller
const TIP = 196; // pixels, the width of what it then says
const CHIPS = 12; // classes; more are a menu
const CHOSEN = 60; // pictures of a lasso
const THUMB = 40; // pixels

export function featureMap({ answers, go }) {
  const { geometry, classes } = answers;
  const maps = geometry.maps.map((map) => ({ ...map, points: unpack(map.points) }));
  const canvas = h("canvas", { class: "map-canvas", tabindex: "0", role: "application" });
  const tip = h("div", { class: "map-tip", role: "status", hidden: true });
  const board = h("div", { class: "map-board keeps-keys" }, canvas, tip);
  const chosen = h("section", { class: "map-chosen", "aria-live": "polite" });
  const ground = document.createElement("canvas"); // all points; moving the pointer copies it instead of drawing them again
  let current = maps.at(-1); // the one that was asked for, where there is one
  let [only, mistakes, colouring, pictures, lassoing] = [null, false, "label", false, false];
  let lens = { scale: 1, x: 0, y: 0 }; // how far it is zoomed in, and moved, in pixels
  let hovered = null;
  let drawn = null; // the line of a lasso while it is drawn
  let place = () => [0, 0];

  const classOf = (row) => (colouring === "answer" ? answers.top(row, 0) : answers.labels[row]);
  const visible = (row) => (only == null || classOf(row) === only) && (!mistakes || !answers.right(row));
  const chip = (text, act) => h("button", { type: "button", class: "chip", onclick: () => (act(), paint()) }, text);
  const wrong = chip("only mistakes", () => (mistakes = !mistakes));
  const seen = chip("pictures", () => (pictures = !pictures));
  const lasso = chip("lasso", () => (lassoing = !lassoing));
  const larger = chip("+", () => zoom(1.5));
  const smaller = chip("−", () => zoom(1 / 1.5));
  const whole = chip("all of it", () => (lens = { scale: 1, x: 0, y: 0 }));
  larger.setAttribute("aria-label", "Zoom in");
  smaller.setAttribute("aria-label", "Zoom out");
  const kinds = maps.map((map) => chip(map.name, () => (current = map)));
  const colour = h("select", { "aria-label": "Colour by", onchange: () => ((colouring = colour.value), paint()) }, [["label", "colour: label"], ["answer", "colour: answer"]].map(([value, text]) => h("option", { value }, text)));
  const legend = legendOf(classes, (at) => ((only = only === at ? null : at), paint()));
  const about = h("p", { class: "soft" });

  const describe = () => {
    replace(about, summary(current));
    canvas.setAttribute("aria-label", `${plural(answers.shown, "picture")} in feature space by ${current.name}, coloured by class. ${summary(current)} Arrow keys go through them, mistakes first; Enter opens one; plus and minus zoom.`);
  };

  const paint = () => {
    describe();
    legend.update(only);
    kinds.forEach((button, at) => button.setAttribute("aria-pressed", maps[at] === current));
    for (const [button, on] of [[wrong, mistakes], [seen, pictures], [lasso, lassoing]]) button.setAttribute("aria-pressed", on);
    const width = board.clientWidth;
    if (!width) return;
    const height = Math.round(Math.min(Math.max(width * 0.85, 340), Math.max(400, window.innerHeight - 220)));
    const ratio = window.devicePixelRatio || 1;
    for (const each of [canvas, ground]) {
      each.width = width * ratio;
      each.height = height * ratio;
    }
    canvas.style.setProperty("height", `${height}px`);
    canvas.style.setProperty("cursor", lassoing ? "crosshair" : "grab");
    place = placement(current.points, width, height, lens);
    const style = getComputedStyle(board);
    const context = ground.getContext("2d");
    drawPoints(context, { answers, classOf, place, visible, ratio, ink: style.getPropertyValue("--ink"), colours: classes.map((_, at) => resolve(style, colourOf(at, classes.length))) });
    if (pictures) drawPictures(context, { answers, place, visible, width, height, again: paint });
    mark();
  };

  const mark = () => {
    const context = canvas.getContext("2d");
    const ratio = window.devicePixelRatio || 1;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.drawImage(ground, 0, 0);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const ink = getComputedStyle(board).getPropertyValue("--ink");
    if (hovered != null) ring(context, place(hovered), ink);
    if (drawn) outline(context, drawn, ink);
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
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const under = (event) => {
    const [x, y] = at(event);
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
  /** Zoom so that what lies at `point` (else the middle) stays there. */
  const zoom = (factor, [x, y] = [board.clientWidth / 2, canvas.clientHeight / 2]) => {
    const scale = Math.min(40, Math.max(1, lens.scale * factor));
    const by = scale / lens.scale;
    const [cx, cy] = [x - board.clientWidth / 2, y - canvas.clientHeight / 2];
    lens = scale === 1 ? { scale, x: 0, y: 0 } : { scale, x: cx + (lens.x - cx) * by, y: cy + (lens.y - cy) * by };
  };
  const choose = () => {
    const rows = answers.inOrder.filter((row) => visible(row) && within(place(row), drawn));
    replace(chosen, selection(answers, rows, go));
  };
  const open = (row) => row != null && go({ ...UNFILTERED, view: "gallery", i: answers.ids[row] });

  let moved = 0;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    moved = 0;
    if (lassoing) drawn = [at(event)];
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return hover(under(event));
    moved += Math.abs(event.movementX) + Math.abs(event.movementY);
    if (drawn) {
      drawn.push(at(event));
      mark();
    } else if (lens.scale > 1) {
      lens = { ...lens, x: lens.x + event.movementX, y: lens.y + event.movementY };
      hover(null);
      paint();
    }
  });
  canvas.addEventListener("pointerup", (event) => {
    if (drawn?.length > 2) choose();
    else if (moved < 4) open(under(event));
    drawn = null;
    mark();
  });
  canvas.addEventListener("pointerleave", () => hover(null));
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, at(event));
    hover(null);
    paint();
  });
  canvas.addEventListener("keydown", (event) => {
    const rows = answers.inOrder.filter(visible);
    const here = rows.indexOf(hovered);
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const factor = { "+": 1.5, "=": 1.5, "-": 1 / 1.5 }[event.key];
    if (by && rows.length) hover(rows[(here + by + rows.length) % rows.length]);
    else if (factor) (zoom(factor, hovered == null ? undefined : place(hovered)), paint());
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
    h("p", {}, `Every point is a picture, where the ${geometry.dimensions} features before the last layer put it. Colour and shape are the class; crosses are mistakes.`),
    about,
    maps.length > 1 ? h("div", { class: "chips map-kinds", role: "group", "aria-label": "How it is laid flat" }, kinds) : null,
    h("div", { class: "chips map-tools", role: "group", "aria-label": "How it is shown" }, wrong, seen, lasso, larger, smaller, whole, colour),
    h("div", { class: "map-columns" }, board, h("div", {}, legend.element, chosen)),
  );
  replace(chosen, h("p", { class: "soft" }, "“Lasso”, then a line round some points, shows what they are. Wheel or + and − zoom, dragging moves."));
  return { element, update: () => requestAnimationFrame(paint) };
}

/** The classes to show alone: chips with their colours, or a menu where they are many. */
function legendOf(classes, toggle) {
  if (classes.length > CHIPS) {
    const select = h("select", { "aria-label": "Show only", onchange: () => toggle(select.value === "" ? null : Number(select.value)) }, h("option", { value: "" }, `all ${classes.length} classes`), classes.map((name, at) => h("option", { value: at }, name)));
    return { element: select, update: (only) => (select.value = only ?? "") };
  }
  const buttons = classes.map((name, at) => h("button", { type: "button", class: "chip", style: { "--colour": colourOf(at, classes.length) }, onclick: () => toggle(at) }, h("span", { class: `mark mark-${at % 3}`, "aria-hidden": "true" }), name));
  return { element: h("div", { class: "chips", role: "group", "aria-label": "Show only" }, buttons), update: (only) => buttons.forEach((button, at) => button.setAttribute("aria-pressed", only === at)) };
}

/** What lies inside the lasso, in words and pictures. */
function selection(answers, rows, go) {
  const right = rows.filter((row) => answers.right(row)).length;
  const tally = new Map();
  for (const row of rows) tally.set(answers.labels[row], (tally.get(answers.labels[row]) ?? 0) + 1);
  const most = [...tally].sort(([, a], [, b]) => b - a).slice(0, 4).map(([label, n]) => `${n} ${answers.classes[label]}`);
  return [h("h3", {}, plural(rows.length, "picture")), rows.length ? h("p", {}, `${percent(right / rows.length)} right: ${most.join(", ")}${tally.size > 4 ? " …" : ""}.`) : null, strip(answers, rows.slice(0, CHOSEN), go)];
}

function summary({ name, share }) {
  return share == null
    ? `${name} keeps neighbours together: who stands beside whom counts, how far apart the islands lie does not.`
    : `The two directions shown hold ${percent(share, 0)} of all variance; what overlaps here may well stand apart in the others.`;
}

function drawPoints(context, { answers, classOf, place, visible, ratio, ink, colours }) {
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  const size = context.canvas.width / ratio < NARROW ? 1.8 : 2.6;
  for (const faint of [true, false]) {
    context.globalAlpha = faint ? 0.07 : 0.72;
    for (let row = 0; row < answers.shown; row += 1) {
      if (visible(row) !== faint) dot(context, place(row), classOf(row) % 3, colours[classOf(row)], size);
    }
  }
  context.globalAlpha = 1;
  context.strokeStyle = ink;
  context.lineWidth = 1;
  for (let row = 0; row < answers.shown; row += 1) if (!answers.right(row) && visible(row)) cross(context, place(row), size + 0.6);
}

/** Small pictures at their points, mistakes first, as many as do not lie on each other; `again` once a sheet is decoded. */
function drawPictures(context, { answers, place, visible, width, height, again }) {
  const taken = new Set();
  for (const row of answers.inOrder) {
    const [x, y] = place(row);
    if (!visible(row) || x < 0 || y < 0 || x > width || y > height) continue;
    const cells = [0, 1].flatMap((dx) => [0, 1].map((dy) => `${Math.floor(x / THUMB) + dx} ${Math.floor(y / THUMB) + dy}`));
    if (cells.some((cell) => taken.has(cell))) continue;
    for (const cell of cells) taken.add(cell);
    if (!paste(context, answers.sprite, row, x - THUMB / 2, y - THUMB / 2, THUMB, again)) return;
  }
}

/** Whether a point lies inside a closed line. */
function within([x, y], line) {
  return line.reduce((inside, [x1, y1], n) => {
    const [x2, y2] = line[(n + 1) % line.length];
    return y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1 ? !inside : inside;
  }, false);
}

function outline(context, line, colour) {
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  context.setLineDash([5, 4]);
  context.beginPath();
  for (const [x, y] of line) context.lineTo(x, y);
  context.stroke();
  context.setLineDash([]);
}

/** Row -> pixels. The frame holds 99.8 % of the points, so that a stray one does not squeeze the rest. */
function placement(points, width, height, lens) {
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
  const zoomed = (value, size, moved) => (value - size / 2) * lens.scale + size / 2 + moved;
  return (row) => [zoomed(toX(points[2 * row]), width, lens.x), zoomed(height - toY(points[2 * row + 1]), height, lens.y)];
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
