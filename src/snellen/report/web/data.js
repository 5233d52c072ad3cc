// From the packed page to numbers that can be asked for.

const TYPES = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, i4: Int32Array, f4: Float32Array };
const STEPS = 65535; // fractions are stored in steps of 1/65535

/** The page's content; in the live viewer it would come from the server instead. */
export function readPage() {
  return JSON.parse(document.getElementById("page").textContent);
}

/** A packed column as a typed array. */
export function unpack({ type, data }) {
  return new TYPES[type](bytesOf(data).buffer); // little-endian, as every machine that runs a browser
}

/** Base64 as bytes. */
export function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  return bytes;
}

/** One run's answers on one split. Rows are positions among the pictures in the page, not ids. */
export function openAnswers(page, split, run) {
  const { ids, labels } = picturesOf(page, split);
  const own = page.splits[split].runs[run];
  const columns = Object.fromEntries(Object.entries(own.rows).map(([name, packed]) => [name, unpack(packed)]));
  const width = own.top_count;
  const answers = {
    ...own,
    split,
    run: page.runs[run],
    scores: own.classes,
    classes: page.data.classes,
    sprite: split,
    shown: ids.length,
    ids,
    labels,
    group: columns.group,
    place: columns.place,
    issue: columns.label_issue,
    issues: columns.label_issue.reduce((largest, rank) => Math.max(largest, rank), 0),
    topCount: width,
    top: (row, rank) => columns.top[row * width + rank],
    probability: (row, rank) => columns.probability[row * width + rank] / STEPS,
    confidence: (row) => columns.probability[row * width] / STEPS,
    own: (row) => columns.own[row] / STEPS,
    right: (row) => columns.top[row * width] === labels[row],
  };
  answers.rowOf = new Map(Array.from(ids, (id, row) => [id, row]));
  answers.inOrder = Array.from(ids.keys()).sort(
    (a, b) => GROUP_ORDER[answers.group[a]] - GROUP_ORDER[answers.group[b]] || answers.place[a] - answers.place[b],
  );
  return answers;
}

const GROUP_ORDER = [3, 2, 1, 0]; // the mistakes made with most conviction come first

const picturesOf = (page, split) => {
  const { ids, labels } = page.splits[split];
  return { ids: unpack(ids), labels: unpack(labels) };
};

/** Rows that fit a filter, in the order of the groups: `group`, `label`, `said` are numbers, `pair` is two of them, `query` is text; or null. */
export function filterRows(answers, { group, label, said, pair, query, among }) {
  const words = (query ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const tests = words.map((word) => wordTest(answers, word));
  return answers.inOrder.filter(
    (row) =>
      (group == null || answers.group[row] === group) &&
      (label == null || answers.labels[row] === label) &&
      (said == null || answers.top(row, 0) === said) &&
      (pair == null || mixedUp(answers, row, pair)) &&
      (among == null || among.has(row)) &&
      tests.every((test) => test(row)),
  );
}

/** Whether a picture of one class of the pair was taken for the other, in either direction. */
export function mixedUp(answers, row, [first, second]) {
  const [label, said] = [answers.labels[row], answers.top(row, 0)];
  return (label === first && said === second) || (label === second && said === first);
}

/** "3-5" as [3, 5]; null where it is nothing like that or names a class there is not. */
export function readPair(text, classes) {
  const found = /^(\d{1,4})-(\d{1,4})$/.exec(text ?? "");
  const pair = found?.slice(1).map(Number);
  return pair?.every((at) => at < classes.length) ? pair : null;
}

/** One word of a search: a number is an id, "cat>dog" a mistake, "wrong", "right" and "doubted" what they say. */
function wordTest(answers, word) {
  const named = answers.classes.map((name) => name.toLowerCase());
  if (/^#?\d+$/.test(word)) {
    const id = Number(word.replace("#", ""));
    return (row) => answers.ids[row] === id;
  }
  if (word === "wrong") return (row) => !answers.right(row);
  if (word === "right") return (row) => answers.right(row);
  if (word === "doubted") return (row) => answers.issue[row] > 0;
  if (word.includes(">") && word.length > 1) {
    const [from, to] = word.split(">", 2);
    return (row) => named[answers.labels[row]].includes(from) && named[answers.top(row, 0)].includes(to);
  }
  return (row) => named[answers.labels[row]].includes(word) || named[answers.top(row, 0)].includes(word);
}
