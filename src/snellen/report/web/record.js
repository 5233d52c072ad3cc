// What stands behind the numbers: verdicts, recipe, machine, and who looked at the test set.

import { h } from "./dom.js";
import { count, percent, plural } from "./words.js";

export function record({ page, answers }) {
  const { run } = answers;
  const element = h(
    "section",
    { class: "record" },
    h("h2", {}, run.name),
    h(
      "div",
      { class: "record-columns" },
      h("div", {}, guards(run.guards), ledger(run, page), training(run, page)),
      h("div", {}, recipe(run.recipe), environment(run.environment)),
    ),
  );
  return { element, update() {} };
}

function card(title, ...body) {
  return h("section", { class: "card" }, h("h3", {}, title), body);
}

function guards(verdicts) {
  if (!verdicts) return card("Guards", h("p", { class: "soft" }, "No verdicts in this run."));
  const number = (state) => verdicts.filter((verdict) => verdict.passed === state).length;
  const [passed, failed] = [number(true), number(false)];
  const unjudged = verdicts.length - passed - failed;
  const told = failed ? `${plural(failed, "guard")} of ${verdicts.length} found something` : unjudged ? `${plural(passed, "guard")} of ${verdicts.length} passed` : `All ${plural(verdicts.length, "guard")} passed`;
  return card(
    "Guards",
    h("p", {}, `${told}${unjudged ? `; ${count(unjudged)} could not be judged` : ""}.`),
    h(
      "ul",
      { class: "guards" },
      verdicts.map((verdict) => {
        const [kind, sign] = verdict.passed === true ? ["right", "✓"] : verdict.passed === false ? ["wrong", "✗"] : ["soft", "–"];
        return h("li", {}, h("span", { class: `sign ${kind}`, role: "img", "aria-label": kind === "right" ? "passed" : kind === "wrong" ? "failed" : "not judged" }, sign), h("div", {}, h("b", {}, verdict.name), verdict.evidence ? h("p", {}, verdict.evidence) : null, verdict.passed === false && verdict.remedy ? h("p", { class: "soft" }, verdict.remedy) : null));
      }),
    ),
  );
}

function ledger(run, page) {
  if (!page.data.has_test) return card("Test set", h("p", {}, "The data have no test part, so every number in this page is of pictures by which choices were made."), h("p", { class: "soft" }, h("code", {}, "--test-fraction 0.1"), " seals a tenth of a folder’s pictures as one."));
  const sealed = h("p", {}, "Nobody has looked at the test set with these weights, as far as the ledger knows.");
  return card(
    "Test set",
    run.ledger.length
      ? h(
          "ul",
          { class: "plain" },
          run.ledger.map((look) =>
            h(
              "li",
              {},
              h("b", {}, `Look ${look.look}`),
              `, ${look.time.slice(0, 16).replace("T", " ")}: `,
              look.result ? `${percent(look.result.hits / look.result.n, 2)} plain, ${percent(look.result.hits_tta / look.result.n, 2)} with ${look.tta} (n=${count(look.result.n)}). ` : "opened, no result. ",
              `Why: ${look.reason}.`,
              look.intact ? "" : " This line does not match its own hash.",
            ),
          ),
        )
      : sealed,
    page.splits.test ? null : h("p", { class: "soft" }, "Everything in this page is about val."),
  );
}

function training(run, page) {
  const minutes = run.seconds == null ? "–" : run.seconds < 90 ? `${run.seconds.toFixed(1)} s` : `${(run.seconds / 60).toFixed(1)} min`;
  return card(
    "Training",
    pairs([
      ["data", `${page.data.name}, ${page.data.source}`],
      ["seed", run.seed],
      ["best epoch", run.best_epoch ?? "–"],
      ["time", minutes],
      ["device", run.device],
      ["precision", `${run.precision}${run.precision_reason ? ` (${run.precision_reason})` : ""}`],
      ["final", run.final ? "yes: trained on train + val, nothing chosen" : "no"],
      ["weights", run.weights.slice(0, 16)],
    ]),
  );
}

function recipe(content) {
  return card("Recipe", content.note ? h("p", {}, content.note) : null, pairs(flat(content).filter(([name]) => name !== "note")));
}

function environment(content) {
  if (!content) return card("Machine", h("p", { class: "soft" }, "No environment.json in this run."));
  return card("Machine", pairs(flat(content)));
}

function pairs(entries) {
  return h("dl", {}, entries.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

/** Nested fields as dotted names, as they are spelled on the command line; empty ones are left out. */
function flat(content, prefix = "") {
  return Object.entries(content).flatMap(([name, value]) => {
    if (value == null || value === "" || (Array.isArray(value) && !value.length)) return [];
    if (Array.isArray(value)) return [[prefix + name, value.map((each) => (typeof each === "object" ? flat(each).map(([key, one]) => `${key} ${one}`).join(" ") : each)).join(", ")]];
    if (typeof value === "object") return flat(value, `${prefix}${name}.`);
    return [[prefix + name, String(value)]];
  });
}
