// Cutting pictures out of their sheets. Small ones keep their pixels: enlarged they show squares, not a blur.

import { bytesOf } from "./data.js";
import { h } from "./dom.js";

const PHOTOGRAPH = 64; // pixels a side from which on nobody wants to see the single ones

const sheets = new Map(); // "name part" -> promise of the decoded sheet
let about = {};

/** Say what sprites there are: name -> {columns, per, tile: [h, w], count}; `per` pictures stand on each sheet. */
export function describeSheets(described) {
  about = described;
}

/** One more sprite of one sheet, from packed bytes instead of the page: {mime, columns, tile, count, data}. */
export function addSheet(name, { data, ...described }) {
  about[name] = { per: described.count, ...described };
  sheets.set(`${name} 0`, createImageBitmap(new Blob([bytesOf(data)], { type: described.mime })));
}

/** Forget a sprite that was added. */
export function dropSheet(name) {
  delete about[name];
  sheets.delete(`${name} 0`);
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

/** The decoded sheet with this number. Decoding happens once, beside the page's own work. */
function sheet(name, part) {
  const key = `${name} ${part}`;
  if (!sheets.has(key)) sheets.set(key, file(name, part).then((blob) => createImageBitmap(blob)));
  return sheets.get(key);
}

// The sheets stand behind this script, so that the page can be drawn while they are still being read.
const arrived = new Promise((done) => {
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => done());
  else done();
});

const files = new Map();

/** A sheet's file. Its text is removed from the page: twelve megabytes that nobody needs again. */
function file(name, part) {
  const key = `${name}-${part}`;
  if (!files.has(key)) {
    files.set(
      key,
      arrived.then(() => {
        const element = document.getElementById(`sprite-${key}`);
        const bytes = bytesOf(element.textContent);
        element.remove();
        return new Blob([bytes], { type: element.dataset.mime });
      }),
    );
  }
  return files.get(key);
}

const addresses = new Map();

/** A promised address of a sheet for styles. Hundreds of small pictures scroll well as pieces of one background. */
function sheetAddress(name, part) {
  const key = `${name} ${part}`;
  // After the decoding that the large picture waits for: both at once would make both late.
  if (!addresses.has(key)) addresses.set(key, sheet(name, part).then(() => file(name, part)).then((blob) => URL.createObjectURL(blob)));
  return addresses.get(key);
}

/** The name of the style that holds a picture's sheet, for `piece`; once it is there, `board` has it. */
function sheetStyle(board, name, part) {
  const style = `--sheet-${part}`;
  if (!board.style.getPropertyValue(style)) {
    board.style.setProperty(style, "none");
    sheetAddress(name, part).then((address) => board.style.setProperty(style, `url(${address})`));
  }
  return style;
}

/** Show picture `index` as the background of an element `width` pixels wide that lies in `board`. */
export function piece(element, board, name, index, width) {
  const { columns, count, per, tile } = about[name];
  const height = (width * tile[0]) / tile[1];
  const [part, at] = [Math.floor(index / per), index % per];
  const rows = Math.ceil(Math.min(per, count - part * per) / columns);
  element.style.setProperty("background-image", `var(${sheetStyle(board, name, part)})`);
  element.style.setProperty("width", `${width}px`);
  element.style.setProperty("height", `${height}px`);
  element.style.setProperty("background-size", `${columns * width}px ${rows * height}px`);
  element.style.setProperty("background-position", `${-(at % columns) * width}px ${-Math.floor(at / columns) * height}px`);
}

/** A canvas that shows one picture; `label` is what a screen reader says, none for decoration. */
export function picture(name, index, label, className = "") {
  const [height, width] = tileSize(name);
  const canvas = h("canvas", {
    class: `pixels ${Math.max(height, width) < PHOTOGRAPH ? "" : "photograph"} ${className}`,
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
  const { columns, per, tile } = about[name];
  const [height, width] = tile;
  const [part, at] = [Math.floor(index / per), index % per];
  const paint = (bitmap) => {
    if (canvas.dataset.tile !== `${name} ${index}`) return;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    context.drawImage(bitmap, (at % columns) * width, Math.floor(at / columns) * height, width, height, 0, 0, width, height);
    canvas.dataset.drawn = canvas.dataset.tile;
  };
  const decoded = sheet(name, part);
  if (decoded.bitmap) paint(decoded.bitmap);
  else {
    decoded.then((bitmap) => {
      decoded.bitmap = bitmap;
      paint(bitmap);
    });
  }
}

/** Draw a picture into somebody else's canvas; false where its sheet is not decoded yet, and then `again` is called. */
export function paste(context, name, index, x, y, side, again) {
  const { columns, per, tile } = about[name];
  const [height, width] = tile;
  const [part, at] = [Math.floor(index / per), index % per];
  const decoded = sheet(name, part);
  if (!decoded.bitmap) {
    decoded.then((bitmap) => {
      decoded.bitmap = bitmap;
      again();
    });
    return false;
  }
  context.drawImage(decoded.bitmap, (at % columns) * width, Math.floor(at / columns) * height, width, height, x, y, side, (side * height) / width);
  return true;
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
