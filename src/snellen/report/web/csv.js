// Tables that leave the page as files; nothing is sent anywhere.

import { h } from "./dom.js";

/** Rows of texts and numbers as CSV, after RFC 4180. */
export function toCsv(rows) {
  const cell = (value) => (/[",\r\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
  return rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

/** Hand a text to the browser as a file to be saved. */
export function save(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000); // the browser reads it a moment later
}

/** Every answer of a run that is in the page, one row each. */
export function answersCsv(answers) {
  const { classes } = answers;
  const row = (at) => [answers.name(at), answers.hash(at), classes[answers.labels[at]], classes[answers.top(at, 0)], answers.confidence(at).toFixed(4), answers.own(at).toFixed(4), answers.issue[at] || ""];
  return toCsv([["file", "hash", "label", "answer", "confidence", "label_probability", "doubt_rank"], ...Array.from(answers.ids.keys(), row)]);
}
