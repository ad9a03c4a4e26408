// The short text of an entry of the matrix; entry_summary.py writes the same.

const PLACED = ["share", "below", "above", "within"];
const JUDGED = ["supported", "refuted", "inconclusive"];
const LEAST = 1e-12; // a smaller effect is what rounding leaves of 0
const isJudged = (row) => JUDGED.includes(data.verdicts[row.verdict]);
const isMeasured = (row) => isJudged(row) && row.effects.length > 0 && mainEffect(row).margin !== null;

function shortNumber(x, digits = 2) {
  if (x === null) return "–";
  const size = Math.abs(x), sign = x < 0 ? "−" : "";
  if (size === 0) return "0";
  if (size >= 1e-3 && size < 1e3) {
    const said = size >= 9.5 ? size.toFixed(0) : String(Number(size.toPrecision(digits)));
    return sign + said.replace(/^0\./, ".");
  }
  return sign + size.toExponential(0).replace("e+", "e").replace("e-", "e−");
}

function medianOf(values) {
  const sorted = [...values].sort((a, b) => a - b), half = sorted.length / 2;
  return Number.isInteger(half) ? (sorted[half - 1] + sorted[half]) / 2 : sorted[Math.floor(half)];
}

function summariseEntry(picked) {
  const told = counted(picked).filter(([, v]) => data.verdicts[v] !== "not_applicable");
  if (!told.length) return { letters: [[data.verdicts.indexOf("not_applicable"), "–"]], effect: "", spread: "", tone: "N", isUnexpected: false };
  const alone = told.length === 1;
  const judged = picked.filter(isMeasured);
  const onScale = judged.filter((row) => PLACED.includes(text(row.scale)));
  const measured = onScale.length ? onScale : judged;
  const alike = new Set(measured.map((row) => row.scale + "|" + mainEffect(row).unit)).size === 1;
  const values = alike ? measured.map((row) => mainEffect(row).value).filter((x) => x !== null).map((x) => (Math.abs(x) < LEAST ? 0 : x)) : [];
  const [least, most] = [Math.min(...values), Math.max(...values)].map((x) => shortNumber(x, 1));
  return {
    letters: told.map(([n, v]) => [v, data.letters[v] + (alone ? "" : n)]),
    effect: values.length ? shortNumber(medianOf(values)) : "",
    spread: alone && values.length && least !== most ? least + (least.startsWith("−") ? " to " : "–") + most : "",
    tone: alone ? classOf(told[0][1]) : "",
    isUnexpected: picked.some((row) => row.unexpected),
  };
}

// What the number of an effect is; measured_quantity.py says the same.
function quantityOf(effect) {
  const name = nameOf(effect), unit = text(effect.unit);
  return !unit || data.bare_units.includes(unit) || name !== text(effect.name) ? name
    : name + ", " + (data.scales.some((end) => unit.endsWith(end)) ? "× " : "") + unit;
}

// What an entry shows, and what a screen reader says of it.
function drawEntry(button, picked) {
  const { letters, effect, spread, tone, isUnexpected } = summariseEntry(picked);
  button.className = tone;
  const drawn = letters.map(([v, said]) => make("b", tone ? {} : { class: classOf(v) }, said));
  if (isUnexpected) drawn.push(make("i", {}, "!"));
  if (effect) drawn.push(" " + effect);
  if (spread) drawn.push(" ", make("small", {}, spread));
  button.replaceChildren(...drawn);
}

function describeEntry(button, picked) {
  const said = counted(picked).map(([n, v]) => n + " " + words(v)).join(", ");
  button.setAttribute("aria-label", button.textContent + ": " + said + (picked.some((row) => row.unexpected) ? ", unexpected" : ""));
}
