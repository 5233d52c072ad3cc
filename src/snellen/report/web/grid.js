// A grid of thousands of pictures of which only the visible ones exist. It is one stop for the Tab key; arrows move inside.

import { h, replace } from "./dom.js";
import { piece } from "./pictures.js";

const SPARE_ROWS = 3;

/**
 * A scrolling grid.
 * @param options.label what the list is, for screen readers
 * @param options.answers whose pictures
 * @param options.onPick called with a row when a picture is clicked
 * @param options.describe row -> what a screen reader says
 * @param options.signOf row -> one character in the corner of its picture, or none
 * @returns {element, show(rows), select(row), refresh(), step(by) -> row or null, columns()}
 */
export function pictureGrid({ label, answers, onPick, describe, signOf = () => "" }) {
  const board = h("div", { class: "grid-sheet", role: "presentation" });
  const element = h("div", { class: "grid", role: "listbox", tabindex: "0", "aria-label": label }, board);
  let rows = [];
  let selected = null;
  let drawn = new Map();
  const spare = [];
  let columns = 1;
  let pitch = 0;

  const measure = () => {
    const size = Number.parseFloat(getComputedStyle(element).getPropertyValue("--tile")) || 56;
    const width = element.clientWidth - 2;
    const wanted = Math.max(1, Math.floor(width / (size + 4)));
    if (columns === wanted && pitch === Math.floor(width / wanted)) return;
    columns = wanted;
    pitch = Math.floor(width / columns);
    drawn = new Map(); // every tile has another place now
    replace(board);
  };

  const render = () => {
    if (!pitch) return; // not in the page yet; the observer below comes back
    board.style.setProperty("height", `${Math.ceil(rows.length / columns) * pitch}px`);
    const first = Math.max(0, Math.floor(element.scrollTop / pitch) - SPARE_ROWS) * columns;
    const last = Math.min(rows.length, (Math.ceil((element.scrollTop + element.clientHeight) / pitch) + SPARE_ROWS) * columns);
    const wanted = new Set(rows.slice(first, last));
    for (const [row, node] of drawn) if (!wanted.has(row)) (drawn.delete(row), spare.push(node));
    const fresh = [];
    for (let at = first; at < last; at += 1) {
      if (drawn.has(rows[at])) continue;
      const node = tile(rows[at], at);
      drawn.set(rows[at], node);
      if (!node.isConnected) fresh.push(node);
    }
    for (const node of spare) node.remove();
    board.append(...fresh);
    for (const [row, node] of drawn) if ((row === selected) !== (node.getAttribute("aria-selected") === "true")) node.setAttribute("aria-selected", row === selected);
    const current = drawn.get(selected);
    if (current) element.setAttribute("aria-activedescendant", current.id);
    else element.removeAttribute("aria-activedescendant");
  };

  const dress = (node, row) => {
    node.setAttribute("aria-label", describe(row));
    node.dataset.sign = signOf(row);
  };

  // A tile that left the view is used again.
  const tile = (row, at) => {
    const node = spare.pop() ?? h("div", { role: "option" });
    piece(node, board, answers.sprite, row, pitch - 4);
    node.className = answers.right(row) ? "tile" : "tile is-wrong";
    node.id = `tile-${row}`;
    node.dataset.row = row;
    dress(node, row);
    node.setAttribute("aria-setsize", rows.length);
    node.setAttribute("aria-posinset", at + 1);
    node.setAttribute("aria-selected", row === selected);
    node.style.setProperty("transform", `translate(${(at % columns) * pitch}px, ${Math.floor(at / columns) * pitch}px)`);
    return node;
  };
  element.addEventListener("click", (event) => {
    const node = event.target.closest(".tile");
    if (node) onPick(Number(node.dataset.row));
  });

  let asked = false;
  const later = () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      render();
    });
  };
  element.addEventListener("scroll", later, { passive: true });
  new ResizeObserver(() => {
    if (!element.clientWidth) return;
    measure();
    later();
  }).observe(element);

  return {
    element,
    columns: () => columns,
    show(next) {
      rows = next;
      drawn = new Map();
      replace(board);
      if (element.clientWidth) measure();
      element.scrollTop = 0;
      render();
    },
    select(row) {
      selected = row;
      const at = rows.indexOf(row);
      if (at >= 0 && element.clientHeight) {
        const top = Math.floor(at / columns) * pitch;
        if (top < element.scrollTop) element.scrollTop = top;
        else if (top + pitch > element.scrollTop + element.clientHeight) element.scrollTop = top + pitch - element.clientHeight;
      }
      render();
    },
    /** What `describe` and `signOf` say has changed. */
    refresh() {
      for (const [row, node] of drawn) dress(node, row);
    },
    step(by) {
      const at = rows.indexOf(selected);
      if (at < 0) return rows[0] ?? null;
      return rows[Math.min(rows.length - 1, Math.max(0, at + by))];
    },
  };
}
