// A picture at its own size: as the page or the viewer has it, with what the network was given of it framed.

import { h, replace } from "./dom.js";
import { addSheet, dropSheet, hasSheet, picture } from "./pictures.js";

/** The large picture beside the grid; where its original is at hand, or it is small, a click shows it on the whole screen. */
export function enlargeable(context, row, label) {
  const { answers } = context;
  const shown = picture(answers.sprite, row, label, "large");
  return h("button", { type: "button", class: "enlarge", title: "Enlarge", "aria-label": "Enlarge the picture", onclick: () => enlarge(context, row, label) }, shown);
}

/** A button round what `make()` draws; a click shows another one of it on the whole screen. */
export function magnifiable(make, label) {
  return h("button", { type: "button", class: "enlarge", title: "Enlarge", "aria-label": `Enlarge: ${label}`, onclick: () => screen(label, label).show(make()) }, make());
}

/** The original with the crop drawn, if there is one; else the picture as the page has it. */
async function enlarge(context, row, label) {
  const { answers } = context;
  const place = screen(answers.name(row), label);
  place.show(picture(answers.sprite, row, ""));
  const found = await originalOf(context, row, place.say);
  if (!found || !place.open()) return;
  place.show(framed(found.sheet, 0, found.square));
  place.say(`${found.size.join("×")} pixels; framed: what the network was given.`);
}

/** Over everything: wheel and + − zoom, drag and arrows move, 0 fits, Escape closes: {show(element), say(text), open()}. */
function screen(title, label) {
  const place = h("div", { class: "stage", tabindex: "0", role: "img", "aria-label": label });
  const status = h("p", { class: "small", role: "status" });
  const button = (text, name, act) => h("button", { type: "button", class: "round", "aria-label": name, onclick: act }, text);
  const view = zoom(place);
  const dialog = h(
    "dialog",
    { class: "original keeps-keys", "aria-label": title },
    h("header", {}, h("code", {}, title), status, button("−", "Smaller", () => view.by(1 / 1.4)), button("+", "Larger", () => view.by(1.4)), button("⤢", "Fit", () => view.reset()), button("✕", "Close", () => dialog.close())),
    place,
  );
  document.body.append(dialog);
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (hasSheet("original")) dropSheet("original");
  });
  dialog.showModal();
  place.focus();
  return {
    open: () => dialog.open,
    say: (text) => replace(status, text),
    show(element) {
      replace(place, element);
      view.reset();
    },
  };
}

/** {sheet, square, size} of a picture's original; null where neither the page nor a viewer has it. */
async function originalOf({ page, answers, original }, row, say) {
  const [split, id] = [answers.split, answers.ids[row]];
  const kept = page.originals?.[split]?.[id];
  if (kept) return kept;
  if (!original || !page.live.originals.includes(split)) {
    say("As large as this page has it.");
    return null;
  }
  say("Reading …");
  try {
    const { shown, ...about } = await original(split, id);
    addSheet("original", shown);
    return { sheet: "original", ...about };
  } catch (error) {
    say(error.message);
    return null;
  }
}

/** A sheet's picture with `square` (left, top, right, bottom as fractions of it) framed and the rest in shade. */
export function framed(sheet, tile, [left, top, right, bottom], label = "") {
  const part = (value, from, length) => `${(100 * (value - from)) / length}%`;
  // The frame of a padded picture reaches beyond it: the place is as large as both together.
  const [x, y] = [Math.min(0, left), Math.min(0, top)];
  const [width, height] = [Math.max(1, right) - x, Math.max(1, bottom) - y];
  const canvas = picture(sheet, tile, label);
  const whole = left <= 0 && top <= 0;
  const place = h("div", { class: "framed" }, h("span", { class: "bars-around" }), canvas, h("span", { class: whole ? "frame whole" : "frame", "aria-hidden": "true" }));
  place.style.setProperty("aspect-ratio", `${canvas.width * width} / ${canvas.height * height}`);
  place.style.setProperty("--shape", (canvas.width * width) / (canvas.height * height));
  const at = (element, [l, t, r, b]) => {
    const box = { left: part(l, x, width), top: part(t, y, height), width: part(r - l, 0, width), height: part(b - t, 0, height) };
    for (const [property, to] of Object.entries(box)) element.style.setProperty(property, to);
  };
  at(canvas, [0, 0, 1, 1]);
  at(place.lastChild, [left, top, right, bottom]);
  return place;
}

/** Zoom and move what a place holds: {by(factor), reset()}. */
function zoom(place) {
  let [scale, x, y] = [1, 0, 0];
  const paint = () => place.firstChild?.style.setProperty("transform", `translate(${x}px, ${y}px) scale(${scale})`);
  const by = (factor) => {
    const next = Math.min(32, Math.max(1, scale * factor));
    [x, y] = [(x * next) / scale, (y * next) / scale];
    if (next === 1) [x, y] = [0, 0];
    scale = next;
    paint();
  };
  const reset = () => {
    [scale, x, y] = [1, 0, 0];
    paint();
  };
  place.addEventListener("wheel", (event) => {
    event.preventDefault();
    by(event.deltaY < 0 ? 1.2 : 1 / 1.2);
  });
  place.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    place.focus();
    place.setPointerCapture(event.pointerId);
  });
  place.addEventListener("pointermove", (event) => {
    if (!place.hasPointerCapture(event.pointerId)) return;
    [x, y] = [x + event.movementX, y + event.movementY];
    paint();
  });
  place.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] }[event.key];
    if (way) [x, y] = [x + way[0], y + way[1]];
    else if (event.key === "+" || event.key === "=") by(1.4);
    else if (event.key === "-") by(1 / 1.4);
    else if (event.key === "0") reset();
    else return;
    event.preventDefault();
    paint();
  });
  return { by, reset };
}
