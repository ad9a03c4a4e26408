"use strict";
// The rows, unpacked, and the words and numbers that show them.

let data, rows, claims, models;
const text = (i) => (i === null ? "" : data.strings[i]);
const named = (fields, values) =>
  Object.fromEntries(fields.map((field, i) => [field, values[i] ?? null]));

const CLAIM_FIELDS = ["id", "name", "variant", "stated", "title", "variantWords", "sentence", "why", "source", "papers", "line"];
// The name of an effect in the page's words; measured_quantity.py says the same.
const nameOf = (effect) => text(effect.name).replace(data.share.stated, data.share.said);
const titleOf = ({ title, variantWords }) => title + (variantWords ? " (" + variantWords + ")" : "");

// Thousands of rows are not copied into objects: a field is looked up when it is read.
function rowsOf(fields) {
  class Row {
    constructor(values) {
      this.values = values;
    }
  }
  fields.forEach((field, i) => Object.defineProperty(Row.prototype, field, { get() { return this.values[i] ?? null; } }));
  return Row;
}

async function load() {
  const packed = atob(document.getElementById("data").textContent);
  const bytes = new Uint8Array(packed.length);
  for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  data = JSON.parse(await new Response(stream).text());
  const Row = rowsOf(data.row_fields);
  rows = data.rows.map((values) => new Row(values));
  claims = data.claims.map((values) => named(CLAIM_FIELDS, values));
  models = data.models.map(([name, kind]) => ({ name, kind }));
}

function effectsOf(row) {
  row.unpacked ??= row.effects.map((values) => named(data.effect_fields, values));
  return row.unpacked;
}
const mainEffect = (row) => effectsOf(row)[0] ?? null;
const rowId = (row) =>
  [claims[row.claim].id, models[row.model].name, text(row.dataset), row.n_demonstrations].join("|");
// Where the whole interval must lie for the claim to be supported.
const targetOf = (row, before = "; target: ", after = "") => (row.target === null ? "" : before + text(row.target) + after);
const testOf = (row) => text(row.test[0]) + row.test[1];
const commandOf = (row) => (row.command === null ? 'pytest "' + testOf(row) + '"' : text(row.command));
const provenanceOf = (row) => data.provenances[row.provenance ?? 0];

// Rows that share all but one of claim, model, dataset and number of demonstrations.
const keyOf = (row) => [row.claim, row.model, row.dataset, row.n_demonstrations];
function siblings(row, parts) {
  const own = keyOf(row);
  return rows.filter((other) => keyOf(other).every((part, i) => parts.includes(i) || part === own[i]));
}

const words = (verdict) => data.verdicts[verdict].replace("_", " ");
const classOf = (verdict) => (data.letters[verdict] === "-" ? "N" : data.letters[verdict]);
function show(x, digits = 4) {
  if (x === null) return "–";
  const isPlain = x === 0 || (Math.abs(x) >= 1e-4 && Math.abs(x) < 1e6);
  const rounded = Number(x.toPrecision(digits));
  return (isPlain ? String(rounded) : rounded.toExponential().replace("e+", "e")).replaceAll("-", "−");
}
const demonstrations = (n) => n + (n === 1 ? " demonstration" : " demonstrations");
const isBounded = (effect) => effect.low !== null || effect.high !== null;

function interval(effect) {
  if (!isBounded(effect)) return "–";
  const low = effect.low === null ? "−∞" : show(effect.low);
  return "[" + low + ", " + (effect.high === null ? "∞" : show(effect.high)) + "]";
}

function counted(picked) {
  const counts = data.verdicts.map((_, v) => picked.filter((row) => row.verdict === v).length);
  return counts.map((n, v) => [n, v]).filter(([n]) => n);
}

// What a row says on its page, as the rows of results.jsonl say it, to four digits.
function unpack(row) {
  const claim = claims[row.claim];
  const effect = (values) => ({ ...values, name: text(values.name), unit: text(values.unit) });
  const said = (i) => (i === null ? null : text(i));
  const verdict = (i) => (i === null ? null : data.verdicts[i]);
  const plain = {
    claim: claim.id, sentence: claim.sentence, source: claim.source, identity: row.identity === 1, file: text(row.file),
    test: testOf(row), model: models[row.model].name, kind: models[row.model].kind,
    dataset: text(row.dataset), n_demonstrations: row.n_demonstrations,
    verdict: verdict(row.verdict), alone: verdict(row.alone ?? row.verdict),
    expected: verdict(row.expected), outcome: text(row.outcome),
    effects: effectsOf(row).map(effect), p_supported: row.p_supported, p_refuted: row.p_refuted,
    reason: said(row.reason), note: said(row.note), observations: row.observations.map(text),
    seconds: row.seconds, provenance: provenanceOf(row),
  };
  if (claim.stated) plain.title = claim.stated;
  if (claim.why) plain.margin_reason = claim.why;
  if (row.example !== null) {
    plain.example = data.examples[row.example].map(([prompt, answer, icl, gd]) => ({ prompt, answer, icl, gd }));
  }
  return plain;
}

const asJsonl = (picked) => picked.map((row) => JSON.stringify(unpack(row)) + "\n").join("");

const EFFECT_COLUMNS = ["name", "value", "unit", "low", "high", "level", "margin", "floor", "ceiling",
  "n_sets", "n_queries", "p", "p_adjusted"];
const ROW_COLUMNS = ["claim", "model", "kind", "dataset", "n_demonstrations", "verdict", "alone",
  "expected", "outcome"];
const LAST_COLUMNS = ["p_supported", "p_refuted", "reason", "note", "seconds", "test"];

function asCsv(picked) {
  // A spreadsheet would run a text that begins like a formula, also after spaces or in
  // full-width letters: an apostrophe stops it.
  function cell(value) {
    if (value === null || value === undefined) return "";
    if (typeof value === "number") return String(value);
    const safe = /^[\s]*[=+\-@|%＝＋－＠]|^[\t\r\n]/.test(value) ? "'" + value : value;
    return '"' + safe.replaceAll('"', '""') + '"';
  }
  const head = [...ROW_COLUMNS, ...EFFECT_COLUMNS.map((name) => "effect_" + name), ...LAST_COLUMNS];
  const lines = picked.map(unpack).map((row) => {
    const effect = row.effects[0] ?? {};
    return [...ROW_COLUMNS.map((name) => row[name]), ...EFFECT_COLUMNS.map((name) => effect[name]),
      ...LAST_COLUMNS.map((name) => row[name])];
  });
  return [head, ...lines].map((line) => line.map(cell).join(",") + "\r\n").join("");
}

