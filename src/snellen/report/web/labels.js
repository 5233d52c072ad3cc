// Doubted labels of train and val: a gallery of their own, with the answers of heads that did not learn from the picture.

import { openAnswers } from "./data.js";
import { gallery } from "./gallery.js";
import { count } from "./words.js";

export function labels(context) {
  const { page } = context;
  const { found, of, alike } = page.doubted;
  const answers = { ...openAnswers({ ...page, splits: { doubted: page.doubted } }, "doubted", "0"), alike: (row) => alike[row] };
  const kept = found > answers.shown ? `, the first ${count(answers.shown)} of them here` : "";
  const told = ` ${count(found)} of ${count(of)} in train and val are doubted${kept}: look before you act. No answer here is of a network that has learned from the picture.`;
  return gallery({ ...context, answers, answersOf: () => answers, runs: ["0"], run: "0", layerViews: null }, ["Labels", told]);
}
