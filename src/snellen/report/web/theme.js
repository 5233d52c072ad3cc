// Light, dark, or as the system has it.

import { h } from "./dom.js";

const ORDER = ["auto", "light", "dark"];
const SIGNS = { auto: "◐", light: "☀", dark: "☾" };

/** A button that goes round the three; the choice is kept where the browser allows it. */
export function themeButton() {
  const button = h("button", { type: "button", class: "round theme", onclick: () => set(ORDER[(ORDER.indexOf(get()) + 1) % ORDER.length]) });
  const set = (theme) => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    remember(theme);
    button.textContent = SIGNS[theme];
    button.setAttribute("aria-label", `Colours: ${theme}. Change`);
    button.title = `Colours: ${theme}`;
  };
  set(get());
  return button;
}

let chosen = null;

function get() {
  try {
    chosen ??= localStorage.getItem("snellen-theme");
  } catch {
    // A page opened from a disk may have no storage; the choice then lasts as long as the page.
  }
  return ORDER.includes(chosen) ? chosen : "auto";
}

function remember(theme) {
  chosen = theme;
  try {
    localStorage.setItem("snellen-theme", theme);
  } catch {
    // As above.
  }
}
