// What somebody says about labels while looking at pictures: kept in this browser, handed on as corrections.csv.

import { save, toCsv } from "./csv.js";

/** The four things that can be said of a picture's label. */
export const KINDS = ["wrong", "fine", "unsure", "leave out"];
const OUT = "-"; // what corrections.csv says instead of a class for a picture to be left out

/**
 * The marks of one run, by the hash of a picture's content: {kind, file, old, new}. `before`: rows of corrections that the
 * run was trained with, [file, hash, old, new, why]; they are saved along, so that the file says all of it.
 */
export function openMarks(run, before = []) {
  const key = `snellen-marks-${run.weights.slice(0, 32)}`;
  const marks = new Map(read(key));
  const listeners = new Set();
  let kept = true;
  const isOf = ([file, hash], key, mark) => (hash ? hash === key : file === mark.file);
  const rows = () => {
    const said = [...marks];
    const kept = before.filter((row) => !said.some(([hash, mark]) => isOf(row, hash, mark)));
    // A label that was corrected once is still the first one in the data.
    const first = (hash, mark) => before.find((row) => isOf(row, hash, mark))?.[2] ?? mark.old;
    return [...kept, ...said.map(([hash, mark]) => [mark.file, hash, first(hash, mark), mark.new, mark.kind])];
  };
  const write = () => {
    try {
      if (marks.size) localStorage.setItem(key, JSON.stringify([...marks]));
      else localStorage.removeItem(key);
    } catch {
      kept = false; // a page opened from a disk may have no storage; the marks last as long as the page
    }
    for (const changed of listeners) changed();
  };
  return {
    of: (answers, row) => marks.get(answers.hash(row)) ?? null,
    /** Mark a picture; `right` is the class it shows, where its label is wrong. The same mark again takes it back. */
    set(answers, row, kind, right = null) {
      const [hash, old] = [answers.hash(row), answers.classes[answers.labels[row]]];
      const mark = { kind, file: answers.name(row), old, new: kind === "leave out" ? OUT : kind === "wrong" ? answers.classes[right] : old };
      const before = marks.get(hash);
      if (before?.kind === kind && before.new === mark.new) marks.delete(hash);
      else marks.set(hash, mark);
      write();
    },
    forget() {
      marks.clear();
      write();
    },
    count: (kind) => [...marks.values()].filter((mark) => kind == null || mark.kind === kind).length,
    kept: () => kept,
    listen: (changed) => listeners.add(changed),
    /** The file that `--corrections` takes: an unsure mark keeps the label, and `why` says so. */
    csv: () => toCsv([["file", "hash", "old", "new", "why"], ...rows()]),
    before: before.length,
    save() {
      save("corrections.csv", this.csv());
    },
  };
}

function read(key) {
  try {
    const found = JSON.parse(localStorage.getItem(key) ?? "[]");
    return found.filter(([hash, mark]) => /^[0-9a-f]{16}$/.test(hash) && KINDS.includes(mark.kind) && [mark.file, mark.old, mark.new].every((text) => typeof text === "string"));
  } catch {
    return []; // no storage, or something else's words in it
  }
}
