// The matrix: opening, filtering, linking, downloading.

const field = (id) => document.getElementById(id);
const FILTERS = ["verdict", "kind", "model", "dataset", "paper", "text"];
const STATE = ["order", ...FILTERS];
const table = field("matrix");
const scroll = document.querySelector(".scroll");
const entries = []; // one for each button of the matrix
const lines = []; // one for each line of the matrix

// An open panel is below its line. Its button or Escape closes it.
const open = new Set();
let panels = 0;
const roomIn = (element) => {
  const style = getComputedStyle(element);
  return element.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
};

// Rows may follow the panel, and close with it.
function expand(button, line, fill, following = []) {
  if (button.getAttribute("aria-expanded") === "true") return button.shut();
  const id = "panel-" + ++panels;
  const inside = make("div", { class: "inside" });
  const panel = make("tr", { class: "panel", id }, make("td", { colspan: models.length + 1 }, inside));
  button.setAttribute("aria-expanded", "true");
  button.setAttribute("aria-controls", id);
  button.shut = () => {
    for (const row of following) {
      [...open].filter((other) => row.contains(other)).forEach((other) => other.shut());
      row.remove();
    }
    panel.remove();
    button.setAttribute("aria-expanded", "false");
    button.removeAttribute("aria-controls");
    open.delete(button);
    link();
  };
  for (const part of [panel, ...following]) {
    part.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      button.shut();
      button.focus();
    });
  }
  open.add(button);
  line.after(panel, ...following);
  fill(inside);
  return link();
}

const opened = new Map(); // cells that show their numbers, with the buttons that opened them
function cellButton(row, details) {
  const button = make("button", { type: "button", "aria-expanded": "false" });
  drawEntry(button, [row]);
  button.setAttribute("aria-label", button.textContent + ": " + words(row.verdict) + ", " + text(row.dataset) + ", " + demonstrations(row.n_demonstrations));
  button.addEventListener("click", () => {
    if (button.shown) {
      button.shown.remove();
      button.shown = null;
      opened.delete(row);
    } else {
      button.shown = make("article", {});
      details.append(button.shown);
      button.shown.append(...detail(row, roomIn(button.shown)).filter((part) => part !== null));
      opened.set(row, button);
    }
    button.setAttribute("aria-expanded", String(Boolean(button.shown)));
    link();
  });
  return button;
}

// One line for each variant and dataset, one column for each number of demonstrations.
function cellsOf(picked) {
  const [first] = picked;
  const ids = [...new Set(picked.map((row) => row.claim))];
  const datasets = [...new Set(picked.map((row) => row.dataset))];
  const sizes = [...new Set(picked.map((row) => row.n_demonstrations))].sort((a, b) => a - b);
  const details = make("div", {});
  const buttons = new Map(picked.map((row) => [row, cellButton(row, details)]));
  const head = make("tr", {}, make("th", { scope: "col" }, (ids.length > 1 ? "variant · " : "") + "dataset"),
    sizes.map((n) => make("th", { scope: "col" }, demonstrations(n))));
  const body = ids.flatMap((claim) => datasets.map((dataset) => {
    const own = picked.filter((row) => row.claim === claim && row.dataset === dataset);
    const name = (ids.length > 1 ? claims[claim].variantWords + " · " : "") + text(dataset);
    return own.length ? make("tr", {}, make("th", { scope: "row" }, name),
      sizes.map((n) => make("td", {}, own.filter((row) => row.n_demonstrations === n).map((row) => buttons.get(row))))) : null;
  }));
  const grid = make("table", { class: "cells" }, make("thead", {}, head), make("tbody", {}, body));
  const claim = claims[first.claim];
  const title = make("h3", {}, (ids.length > 1 ? claim.title : titleOf(claim)) + " on " + models[first.model].name, " ",
    make("code", {}, ids.length > 1 ? claim.name : claim.id));
  const said = quantities(picked);
  const parts = [title, make("p", { class: "sentence" }, claim.sentence),
    said ? make("p", { class: "quiet what" }, "Number: " + said + ".") : null, make("div", { class: "sideways" }, grid), details].filter((part) => part !== null);
  return { parts, buttons };
}

function openEntry(entry) {
  expand(entry.button, entry.line, (inside) => {
    const { parts, buttons } = cellsOf(entry.picked);
    entry.cells = buttons;
    inside.append(...parts);
    if (entry.picked.length === 1) buttons.get(entry.picked[0]).click();
  });
}

function openCell(id) {
  const row = rows.find((one) => rowId(one) === id);
  const entry = row && row.entry;
  if (!entry?.picked.includes(row)) return;
  if (entry.button.getAttribute("aria-expanded") !== "true") openEntry(entry);
  if (!opened.has(row)) entry.cells.get(row).click();
}

// Filters: cells that do not match leave the counts, empty claims and models the table.
function haystack(row) {
  const claim = claims[row.claim];
  row.searched ??= [claim.id, titleOf(claim), claim.sentence, claim.source, models[row.model].name, text(row.dataset), text(row.reason),
    text(row.note), testOf(row), ...effectsOf(row).map((effect) => text(effect.name))].join("\n").toLowerCase();
  return row.searched;
}

function chosen() {
  return Object.fromEntries(STATE.map((name) => [name, field("by-" + name).value.trim()]));
}

function matching() {
  const by = chosen();
  const sought = by.text.toLowerCase();
  return rows.filter((row) =>
    (!by.verdict || (by.verdict === "unexpected" ? row.unexpected : data.verdicts[row.verdict] === by.verdict)) &&
    (!by.kind || models[row.model].kind === by.kind) && (!by.model || models[row.model].name === by.model) &&
    (!by.dataset || text(row.dataset) === by.dataset) && (!by.paper || claims[row.claim].papers.includes(by.paper)) &&
    (!sought || haystack(row).includes(sought)));
}

let shown;
function filter() {
  [...open].forEach((button) => button.shut?.());
  opened.clear();
  shown = matching();
  const before = new Map(entries.map((entry) => [entry, entry.picked]));
  for (const entry of entries) entry.picked = [];
  for (const row of shown) row.entry.picked.push(row);
  const used = new Set();
  for (const [entry, old] of before) {
    const { picked, column } = entry;
    if (picked.length !== old.length || picked.some((row, i) => row !== old[i])) stale.add(entry);
    if (picked.length) used.add(column);
  }
  for (const { body, own } of lines) body.hidden = !own.some((entry) => entry.picked.length);
  hideHeadings();
  hideColumns(used);
  redrawSeen();
  field("shown").textContent = shown.length + " of " + rows.length + " cells shown";
  countSet();
  link();
}

// On a narrow screen the filters are folded; the button says how many are set.
function countSet() {
  const n = Object.values(chosen()).filter(Boolean).length;
  field("fold").textContent = "Filters" + (n ? " (" + n + " set)" : "");
}

// Entries whose cells have changed. Those on the screen are drawn at once, the others
// when there is time.
const stale = new Set();
let waiting;
function redrawSeen() {
  const seen = lines.filter(({ body }) => !body.hidden).filter(({ line }) => {
    const { top, bottom } = line.getBoundingClientRect();
    return bottom >= 0 && top <= innerHeight;
  });
  for (const { own } of seen) own.filter((entry) => stale.has(entry)).forEach(redraw);
  redrawOthers();
}

function redrawOthers() {
  clearTimeout(waiting);
  if (!stale.size) return;
  waiting = setTimeout(() => {
    const end = performance.now() + 10;
    for (const entry of stale) {
      redraw(entry);
      if (performance.now() > end) break;
    }
    redrawOthers();
  });
}

function redraw(entry) {
  const { button, picked } = entry;
  stale.delete(entry);
  button.hidden = !picked.length;
  button.title = "";
  if (!picked.length) return;
  drawEntry(button, picked);
  describeEntry(button, picked);
}

// A heading is shown if a line of its group is.
function hideHeadings() {
  let isUsed = false;
  for (const body of [...table.tBodies].reverse()) {
    if (body.className !== "group") isUsed ||= !body.hidden;
    else {
      body.hidden = !isUsed;
      isUsed = false;
    }
  }
}

// The order in which the page came is by kind of network; others are made here.
let asItCame;
const RANKS = ["supported", "inconclusive", "refuted", "not judged"];
function verdictOf(picked) {
  const judged = picked.filter((row) => isJudged(row) && !row.identity);
  if (!judged.length) return "not judged";
  const kind = Math.min(...judged.map((row) => row.model));
  const own = judged.filter((row) => models[row.model].kind === models[kind].kind).map((row) => data.verdicts[row.verdict]);
  return ["refuted", "inconclusive", "supported"].find((verdict) => own.includes(verdict));
}

const GROUPS = {
  paper: (own) => claims[own[0].claim].papers[0],
  verdict: verdictOf,
  file: (own) => text(own[0].file),
};

let orderedBy = "";
function order(by) {
  if (by === orderedBy) return;
  orderedBy = by;
  [...open].forEach((button) => button.shut?.());
  for (const body of [...table.tBodies]) if (body.className === "group") body.remove();
  if (!by) {
    table.append(...asItCame);
    return;
  }
  const groups = new Map();
  for (const { body, all, index } of lines) {
    const name = GROUPS[by](all);
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push([index, body]);
  }
  const rank = (name) => (by === "verdict" ? RANKS.indexOf(name) : by === "file" ? groups.get(name)[0][0] : 0);
  const names = [...groups.keys()].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
  for (const name of names) {
    const head = make("th", { scope: "rowgroup", colspan: models.length + 1 }, make("span", {}, name));
    table.append(make("tbody", { class: "group" }, make("tr", {}, head)),
      ...groups.get(name).sort((a, b) => a[0] - b[0]).map(([, body]) => body));
  }
}

const hidden = new Set();
function hideColumns(used) {
  const [kinds, names] = table.tHead.rows, columns = table.querySelectorAll("col");
  for (let column = 0; column < models.length; column++) {
    if (used.has(column) !== hidden.has(column)) continue;
    hidden[used.has(column) ? "delete" : "add"](column);
    names.cells[column + 1].hidden = columns[column + 1].hidden = !used.has(column);
    for (const { line } of lines) line.cells[column + 1].hidden = !used.has(column);
  }
  for (const kind of [...kinds.cells].slice(1)) {
    const own = [...names.cells].filter((cell) => cell.dataset.kind === kind.dataset.kind && !cell.hidden);
    kind.hidden = !own.length;
    kind.colSpan = own.length || 1;
  }
}

// The state of the page is its address: filters and open cells.
let isRestoring = false;
function link() {
  if (isRestoring) return;
  const state = new URLSearchParams(Object.entries(chosen()).filter(([, value]) => value));
  for (const row of opened.keys()) state.append("cell", rowId(row));
  history.replaceState(null, "", "#" + state);
}

function restore() {
  isRestoring = true;
  const state = new URLSearchParams(location.hash.slice(1));
  for (const name of STATE) field("by-" + name).value = state.get(name) ?? "";
  order(field("by-order").value);
  filter();
  state.getAll("cell").forEach(openCell);
  isRestoring = false;
  [...opened.values()][0]?.scrollIntoView({ block: "center" });
}

function download(name, kind, content) {
  const address = URL.createObjectURL(new Blob([content], { type: kind + ";charset=utf-8" }));
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}

function offer(name, values, label = (value) => value) {
  field("by-" + name).append(...values.map((value) => make("option", { value }, label(value))));
}

// Thousands of entries share one listener, and get their labels when there is time.
const entryOf = new Map();

// What the numbers of some cells are.
function quantities(picked) {
  return [...new Set(picked.filter(isMeasured).map((row) => quantityOf(mainEffect(row)) + targetOf(row)))].join("; or ");
}
function label(from = 0) {
  for (const { button, picked } of entries.slice(from, from + 250)) {
    if (button.getAttribute("aria-expanded") === null) button.setAttribute("aria-expanded", "false");
    if (picked.length) describeEntry(button, picked);
  }
  if (from + 250 < entries.length) setTimeout(label, 0, from + 250);
}

function start() {
  const byKey = new Map();
  for (const row of rows) {
    const key = claims[row.claim].line + "," + row.model;
    if (!byKey.has(key)) byKey.set(key, []);
    byKey.get(key).push(row);
  }
  for (const line of table.querySelectorAll("tr[data-line]")) {
    const own = [];
    for (const button of line.querySelectorAll("td > button")) {
      const column = button.parentElement.cellIndex - 1, key = line.dataset.line + "," + column;
      const entry = { button, line, column, picked: byKey.get(key), cells: new Map() };
      for (const row of entry.picked) row.entry = entry;
      entryOf.set(button, entry);
      own.push(entry);
    }
    entries.push(...own);
    const all = own.flatMap((entry) => entry.picked);
    lines.push({ line, own, all, body: line.parentElement, index: Number(line.dataset.line) });
    offerClaim(line, own);
  }
  table.addEventListener("click", ({ target }) => {
    const entry = entryOf.get(target.closest("button"));
    if (entry) openEntry(entry);
  });
  asItCame = [...table.tBodies];
  const kept = (value) => value !== "";
  offer("verdict", [...data.verdicts, "unexpected"], (verdict) => verdict.replace("_", " "));
  offer("kind", [...new Set(models.map((model) => model.kind))]);
  offer("model", models.map((model) => model.name).filter(kept));
  offer("dataset", [...new Set(rows.map((row) => text(row.dataset)))].filter(kept).sort());
  offer("paper", [...new Set(claims.flatMap((claim) => claim.papers))].filter(kept).sort());
  for (const part of document.querySelectorAll(".how:not(#how)")) part.hidden = false;
  field("fold").addEventListener("click", ({ target }) => target.setAttribute("aria-expanded", String(target.getAttribute("aria-expanded") !== "true")));
  field("by-order").addEventListener("input", () => order(field("by-order").value));
  field("filters").addEventListener("input", filter);
  field("filters").addEventListener("submit", (event) => event.preventDefault());
  field("filters").addEventListener("reset", () => setTimeout(() => (order(""), filter())));
  field("as-jsonl").addEventListener("click", () => download("rows.jsonl", "application/jsonl", asJsonl(shown)));
  field("as-csv").addEventListener("click", () => download("rows.csv", "text/csv", asCsv(shown)));
  for (const dot of document.querySelectorAll("g[data-name]")) offerDot(dot);
  // A cell may be too narrow for its range.
  table.addEventListener("mouseover", ({ target }) => {
    const button = target.closest("td button");
    const entry = entryOf.get(button);
    if (entry && !button.title) button.title = [button.textContent, quantities(entry.picked)].filter(Boolean).join(": ");
  });
  addEventListener("hashchange", restore);
  restore();
  performance.mark("ready");
  setTimeout(label);
}

// The name of a claim opens its sentence, its forest plot, and a line for each variant.
function offerClaim(line, own) {
  const button = line.cells[0].querySelector("button");
  const picked = () => own.flatMap((entry) => entry.picked);
  button.type = "button";
  button.setAttribute("aria-expanded", "false");
  button.addEventListener("click", () => expand(button, line, (inside) => {
    const shownRows = picked(), { name, title, sentence, source } = claims[shownRows[0].claim];
    const drawn = claimFigures(shownRows, Math.min(roomIn(inside), 900));
    const none = make("p", {}, "No cell of this claim has an effect to draw.");
    inside.append(make("h3", {}, title, " ", make("code", {}, name)), make("p", { class: "sentence" }, sentence), make("p", { class: "source" }, source),
      make("details", {}, make("summary", {}, "Forest plot of all its cells"), make("div", { class: "figures" }, drawn.length ? drawn : none)));
  }, variantRows(picked())));
}

function variantRows(picked) {
  const ids = [...new Set(picked.map((row) => row.claim))];
  if (ids.length < 2) return [];
  return ids.map((claim) => {
    const line = make("tr", { class: "variant" }, make("th", { scope: "row", title: claims[claim].id }, claims[claim].variantWords));
    for (let model = 0; model < models.length; model++) {
      const own = picked.filter((row) => row.claim === claim && row.model === model);
      const cell = make("td", {});
      cell.hidden = hidden.has(model);
      if (own.length) cell.append(entryButton(line, own));
      line.append(cell);
    }
    return line;
  });
}

function entryButton(line, picked) {
  const button = make("button", { type: "button", "aria-expanded": "false" });
  drawEntry(button, picked);
  describeEntry(button, picked);
  button.addEventListener("click", () => openEntry({ button, line, picked }));
  return button;
}

// A dot of the chart points to its line.
function offerDot(dot) {
  const found = lines.find(({ all }) => claims[all[0].claim].name === dot.dataset.name);
  if (!found) return;
  for (const [event, isLit] of [["mouseenter", true], ["mouseleave", false]]) {
    dot.addEventListener(event, () => found.line.classList.toggle("lit", isLit));
  }
  dot.addEventListener("click", () => found.line.cells[0].querySelector("button").click());
}

load().then(start, (error) => {
  field("how").hidden = false;
  field("how").textContent = "The numbers of the cells cannot be unpacked (" + error +
    "). Expected a browser of 2023 or later. The letters are complete; all numbers are in results.jsonl in the same folder.";
});
