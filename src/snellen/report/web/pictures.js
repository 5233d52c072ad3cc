// Cutting pictures out of their sheets. Pixels are kept as they are: enlarged pictures show squares, not a blur.

import { bytesOf } from "./data.js";
import { h } from "./dom.js";

const sheets = new Map();
let about = {};

/** Say what sheets there are: name -> {columns, tile: [h, w], count, url?}. */
export function describeSheets(described) {
  about = described;
}

/** One more sheet, from packed bytes instead of the page: {mime, columns, tile, count, data}. */
export function addSheet(name, { data, ...described }) {
  about[name] = described;
  sheets.set(name, createImageBitmap(new Blob([bytesOf(data)], { type: described.mime })));
}

/** Forget a sheet that was added. */
export function dropSheet(name) {
  delete about[name];
  sheets.delete(name);
}

/** [height, width] in pixels of one picture of a sheet. */
export function tileSize(name) {
  return about[name].tile;
}

/** How many pictures a sheet holds. */
export function sheetCount(name) {
  return about[name].count;
}

/** Whether the page holds this sheet. */
export function hasSheet(name) {
  return name in about && about[name].count > 0;
}

/** The decoded sheet. Decoding happens once, beside the page's own work. */
export function sheet(name) {
  if (!sheets.has(name)) sheets.set(name, decode(name));
  return sheets.get(name);
}

// The sheets stand behind this script, so that the page can be drawn while they are still being read.
const arrived = new Promise((done) => {
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => done());
  else done();
});

async function decode(name) {
  await arrived;
  const element = document.getElementById(`sprite-${name}`);
  const bytes = bytesOf(element.textContent);
  element.remove(); // the text is twelve megabytes that nobody needs again
  return createImageBitmap(new Blob([bytes], { type: element.dataset.mime }));
}

/** A canvas that shows one picture; `label` is what a screen reader says, none for decoration. */
export function picture(name, index, label, className = "") {
  const [height, width] = tileSize(name);
  const canvas = h("canvas", {
    class: `pixels ${className}`,
    width,
    height,
    role: "img",
    "aria-label": label,
    "aria-hidden": label ? null : "true",
  });
  draw(canvas, name, index);
  return canvas;
}

/** Draw a picture into a canvas of its size; the last call wins, whenever the sheet is ready. */
export function draw(canvas, name, index) {
  canvas.dataset.tile = `${name} ${index}`;
  const paint = (bitmap) => {
    if (canvas.dataset.tile !== `${name} ${index}`) return;
    const { columns, tile } = about[name];
    const [height, width] = tile;
    const [left, top] = [(index % columns) * width, Math.floor(index / columns) * height];
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    context.drawImage(bitmap, left, top, width, height, 0, 0, width, height);
    canvas.dispatchEvent(new CustomEvent("drawn"));
  };
  const ready = sheets.get(name)?.bitmap;
  if (ready) paint(ready);
  else {
    sheet(name).then((bitmap) => {
      sheets.get(name).bitmap = bitmap;
      paint(bitmap);
    });
  }
}

/** A map of levels (0 to 255) as a canvas of its own size, each level through `colour(level) -> [r, g, b, a]`. */
export function levels({ shape, bytes }, colour, label) {
  const [height, width] = shape;
  const canvas = h("canvas", { class: "pixels", width, height, role: "img", "aria-label": label, "aria-hidden": label ? null : "true" });
  const image = new ImageData(width, height);
  bytes.forEach((level, at) => image.data.set(colour(level), at * 4));
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}
