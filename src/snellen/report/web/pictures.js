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

const files = new Map();

/** The sheet's file. Its text is removed from the page: twelve megabytes that nobody needs again. */
function file(name) {
  if (!files.has(name)) {
    files.set(
      name,
      arrived.then(() => {
        const element = document.getElementById(`sprite-${name}`);
        const bytes = bytesOf(element.textContent);
        element.remove();
        return new Blob([bytes], { type: element.dataset.mime });
      }),
    );
  }
  return files.get(name);
}

async function decode(name) {
  return createImageBitmap(await file(name));
}

const addresses = new Map();

/** An address of the sheet for styles, promised. Hundreds of small pictures scroll well as pieces of one background. */
export function sheetAddress(name) {
  // After the decoding that the large picture waits for: both at once would make both late.
  if (!addresses.has(name)) addresses.set(name, sheet(name).then(() => file(name)).then((blob) => URL.createObjectURL(blob)));
  return addresses.get(name);
}

/** Show picture `index` as the background of an element `width` pixels wide; the sheet itself comes from a style above it. */
export function piece(element, name, index, width) {
  const { columns, count, tile } = about[name];
  const height = (width * tile[0]) / tile[1];
  element.style.setProperty("width", `${width}px`);
  element.style.setProperty("height", `${height}px`);
  element.style.setProperty("background-size", `${columns * width}px ${Math.ceil(count / columns) * height}px`);
  element.style.setProperty("background-position", `${-(index % columns) * width}px ${-Math.floor(index / columns) * height}px`);
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
    canvas.dataset.drawn = canvas.dataset.tile;
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
