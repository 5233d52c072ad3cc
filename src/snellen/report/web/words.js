// How numbers are said, and the one line under each picture.

const WORTH_A_LOOK = 100; // further down the list a doubt says more about the network than about the label

const PERCENT = "\u00a0%"; // the sign stays with its number
const grouped = new Intl.NumberFormat("en");

/** 5000 -> "5,000". */
export function count(number) {
  return grouped.format(number);
}

/** "1 picture", "5,000 pictures". */
export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** A fraction as percent; never "100 %" or "0 %" for what only comes near it. */
export function percent(fraction, decimals = 1) {
  if (fraction == null || Number.isNaN(fraction)) return "–";
  const text = (100 * fraction).toFixed(decimals);
  const edge = 10 ** -decimals;
  if (fraction < 1 && Number(text) >= 100) return `> ${(100 - edge).toFixed(decimals)}${PERCENT}`;
  if (fraction > 0 && Number(text) === 0) return `< ${edge.toFixed(decimals)}${PERCENT}`;
  return `${text}${PERCENT}`;
}

/** A rate with its interval and n, as everywhere in Snellen. */
export function rate(value, decimals = 1) {
  if (!value) return "–";
  const at = (fraction) => (100 * fraction).toFixed(decimals);
  return `${at(value.value)}${PERCENT} (${at(value.low)}–${at(value.high)}, n=${count(value.n)})`;
}

/** A number that may be negative, with a true minus sign. */
export function signed(number, decimals) {
  return number.toFixed(decimals).replace("-", "\u2212");
}

const LONG = 14; // characters that a heading of a table holds

/** A class's name where there is little room: names of one data set often begin alike, so the end is kept as well. */
export function shortName(name) {
  const letters = [...name];
  return letters.length <= LONG ? name : `${letters.slice(0, 5).join("")}…${letters.slice(5 - LONG + 1).join("")}`;
}

/** A chance as "p = 0.003". */
export function chance(p) {
  if (p == null) return "";
  return p < 0.001 ? "p < 0.001" : `p = ${p.toFixed(p < 0.01 ? 3 : 2)}`;
}

/** The line under a picture: what was said, how sure, and what that is a case of. From this picture's numbers only. */
export function noteOn(answers, row) {
  const { classes } = answers;
  const [said, second] = [classes[answers.top(row, 0)], answers.topCount > 1 ? classes[answers.top(row, 1)] : null];
  const label = classes[answers.labels[row]];
  const sure = answers.confidence(row);
  const lead = Math.round(100 * (sure - (second == null ? 0 : answers.probability(row, 1))));
  if (answers.alike) return `Looks like ${said} (${percent(sure, 0)}); the label ${label} got ${percent(answers.own(row), 1)}.`; // nobody says here who is right
  switch (answers.group[row]) {
    case 0:
      return second == null ? `Sure and right.` : `Sure and right: ${said} leads ${second} by ${plural(lead, "point")}.`;
    case 1:
      return `Right, but a close call: ${said} ${percent(sure, 0)}, ${second} ${percent(answers.probability(row, 1), 0)}.`;
    case 2:
      return answers.top(row, 1) === answers.labels[row]
        ? `Wrong by ${plural(lead, "point")}: the label ${label} came second.`
        : `Wrong, and not sure: the label ${label} got ${percent(answers.own(row), 0)}.`;
    default:
      return `Sure and wrong: ${percent(sure, 0)} ${said}, while the label ${label} got ${percent(answers.own(row), 1)}.`;
  }
}

/** What to add where the picture is one of many, or its label is in doubt; empty where there is nothing to add. */
export function asideOn(answers, row) {
  const label = answers.labels[row];
  const said = answers.top(row, 0);
  const parts = [];
  if (said !== label) {
    const alike = answers.matrix[label][said];
    const all = answers.matrix[label].reduce((sum, n) => sum + n, 0);
    parts.push(
      alike === 1
        ? `The only ${answers.classes[label]} taken for ${answers.classes[said]}.`
        : `One of ${count(alike)} pictures of ${answers.classes[label]} taken for ${answers.classes[said]} (${percent(alike / all, 0)} of the class).`,
    );
  }
  if (answers.issue[row] && answers.issue[row] <= WORTH_A_LOOK) {
    parts.push(`Confident learning doubts this label: number ${count(answers.issue[row])} of ${count(answers.issues)}.`);
  }
  return parts.join(" ");
}
