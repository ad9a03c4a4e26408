// The matrix: opening, filtering, linking, downloading.

const field = (id) => document.getElementById(id);
const FILTERS = ["verdict", "kind", "model", "dataset", "paper", "text"];
const table = field("matrix");
const scroll = document.querySelector(".scroll");
const entries = []; // one for each button of the matrix
const lines = []; // one for each line of the matrix

function chips(picked) {
  const counts = counted(picked);
  const drawn = counts.map(([n, v]) => make("b", { class: classOf(v) }, data.letters[v] + (counts.length > 1 ? n : "")));
  const said = counts.map(([n, v]) => n + " " + words(v)).join(", ");
  const isUnexpected = picked.some((row) => row.unexpected);
  if (isUnexpected) drawn.push(make("i", {}, "!"));
  return { drawn, said: said + (isUnexpected ? ", unexpected" : "") };
}

// An open panel is below its line. Its button or Escape closes it.
const open = new Set();
let panels = 0;
const roomIn = (element) => {
  const style = getComputedStyle(element);
  return element.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
};

function expand(button, line, fill) {
  if (button.getAttribute("aria-expanded") === "true") return button.shut();
  const id = "panel-" + ++panels;
  const inside = make("div", { class: "inside" });
  const panel = make("tr", { class: "panel", id }, make("td", { colspan: models.length + 1 }, inside));
  button.setAttribute("aria-expanded", "true");
  button.setAttribute("aria-controls", id);
  button.shut = () => {
    panel.remove();
    button.setAttribute("aria-expanded", "false");
    button.removeAttribute("aria-controls");
    open.delete(button);
    link();
  };
  panel.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    button.shut();
    button.focus();
  });
  open.add(button);
  line.after(panel);
  fill(inside);
  return link();
}

const opened = new Map(); // cells that show their numbers, with the buttons that opened them
function cellButton(row, details) {
  const { drawn, said } = chips([row]);
  const name = data.letters[row.verdict] + ": " + said.replace(/^1 /, "") + ", " + text(row.dataset) + ", " + demonstrations(row.n_demonstrations);
  const button = make("button", { type: "button", "aria-expanded": "false", "aria-label": name }, drawn);
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

function cellsOf(picked) {
  const datasets = [...new Set(picked.map((row) => row.dataset))];
  const sizes = [...new Set(picked.map((row) => row.n_demonstrations))].sort((a, b) => a - b);
  const details = make("div", {});
  const buttons = new Map(picked.map((row) => [row, cellButton(row, details)]));
  const head = make("tr", {}, make("th", { scope: "col" }, "dataset"),
    sizes.map((n) => make("th", { scope: "col" }, demonstrations(n))));
  const body = datasets.map((dataset) => make("tr", {}, make("th", { scope: "row" }, text(dataset)),
    sizes.map((n) => make("td", {},
      picked.filter((row) => row.dataset === dataset && row.n_demonstrations === n).map((row) => buttons.get(row))))));
  const grid = make("table", { class: "cells" }, make("thead", {}, head), make("tbody", {}, body));
  const title = make("h3", {}, make("code", {}, claims[picked[0].claim].id), " on " + models[picked[0].model].name);
  return { parts: [title, make("div", { class: "sideways" }, grid), details], buttons };
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
  const entry = row && entries.find((one) => one.picked.includes(row));
  if (!entry) return;
  if (entry.button.getAttribute("aria-expanded") !== "true") openEntry(entry);
  if (!opened.has(row)) entry.cells.get(row).click();
}

// Filters: cells that do not match leave the counts, empty claims and models the table.
function haystack(row) {
  const claim = claims[row.claim];
  row.searched ??= [claim.id, claim.sentence, claim.source, models[row.model].name, text(row.dataset), text(row.reason),
    text(row.note), testOf(row), ...effectsOf(row).map((effect) => text(effect.name))].join("\n").toLowerCase();
  return row.searched;
}

function chosen() {
  return Object.fromEntries(FILTERS.map((name) => [name, field("by-" + name).value.trim()]));
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
  [...open].forEach((button) => button.shut());
  opened.clear();
  shown = matching();
  const byEntry = new Map(entries.map((entry) => [entry, []]));
  const entryOf = new Map(entries.map((entry) => [entry.key, entry]));
  for (const row of shown) byEntry.get(entryOf.get(row.claim + "," + row.model)).push(row);
  const used = new Set();
  for (const [entry, own] of byEntry) {
    if (own.length !== entry.picked.length || own.some((row, i) => row !== entry.picked[i])) redraw(entry, own);
    if (own.length) used.add(entry.column);
  }
  for (const { line, own } of lines) line.hidden = !own.some((entry) => entry.picked.length);
  for (const group of table.tBodies) group.hidden = ![...group.querySelectorAll("tr[data-claim]")].some((line) => !line.hidden);
  hideColumns(used);
  field("shown").textContent = shown.length + " of " + rows.length + " cells shown";
  link();
}

function redraw(entry, picked) {
  entry.picked = picked;
  entry.button.hidden = !picked.length;
  if (!picked.length) return;
  const { drawn, said } = chips(picked);
  entry.button.replaceChildren(...drawn);
  entry.button.setAttribute("aria-label", entry.button.textContent + ": " + said);
}

const hidden = new Set();
function hideColumns(used) {
  const [kinds, names] = table.tHead.rows;
  for (let column = 0; column < models.length; column++) {
    if (used.has(column) !== hidden.has(column)) continue;
    hidden[used.has(column) ? "delete" : "add"](column);
    names.cells[column + 1].hidden = !used.has(column);
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
  for (const name of FILTERS) field("by-" + name).value = state.get(name) ?? "";
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

function start() {
  const byKey = new Map();
  for (const row of rows) {
    const key = row.claim + "," + row.model;
    if (!byKey.has(key)) byKey.set(key, []);
    byKey.get(key).push(row);
  }
  for (const line of table.querySelectorAll("tr[data-claim]")) {
    const own = [];
    for (const button of line.querySelectorAll("td > button")) {
      const column = button.parentElement.cellIndex - 1, key = line.dataset.claim + "," + column;
      const entry = { button, line, column, key, picked: byKey.get(key), cells: new Map() };
      button.type = "button";
      button.setAttribute("aria-expanded", "false");
      button.setAttribute("aria-label", button.textContent + ": " + chips(entry.picked).said);
      button.addEventListener("click", () => openEntry(entry));
      own.push(entry);
    }
    entries.push(...own);
    lines.push({ line, own });
    offerForest(line, own);
  }
  const kept = (value) => value !== "";
  offer("verdict", [...data.verdicts, "unexpected"], (verdict) => verdict.replace("_", " "));
  offer("kind", [...new Set(models.map((model) => model.kind))]);
  offer("model", models.map((model) => model.name).filter(kept));
  offer("dataset", [...new Set(rows.map((row) => text(row.dataset)))].filter(kept).sort());
  offer("paper", [...new Set(claims.flatMap((claim) => claim.papers))].filter(kept).sort());
  for (const part of document.querySelectorAll(".how")) part.hidden = false;
  field("controls").open = matchMedia("(min-width: 44rem)").matches || location.hash.length > 1;
  field("filters").addEventListener("input", filter);
  field("filters").addEventListener("submit", (event) => event.preventDefault());
  field("filters").addEventListener("reset", () => setTimeout(filter));
  field("as-jsonl").addEventListener("click", () => download("rows.jsonl", "application/jsonl", asJsonl(shown)));
  field("as-csv").addEventListener("click", () => download("rows.csv", "text/csv", asCsv(shown)));
  addEventListener("hashchange", restore);
  restore();
  performance.mark("ready");
}

function offerForest(line, own) {
  const claim = claims[line.dataset.claim];
  const button = make("button", { type: "button", class: "forest", "aria-expanded": "false", "aria-label": "Forest plot of " + claim.id }, "forest plot");
  button.addEventListener("click", () => expand(button, line, (inside) => {
    const drawn = claimFigures(own.flatMap((entry) => entry.picked), Math.min(roomIn(inside), 900));
    const none = make("p", {}, "No cell of this claim has an effect to draw.");
    inside.append(make("h3", {}, make("code", {}, claim.id), ": all its cells"), make("div", { class: "figures" }, drawn.length ? drawn : none));
  }));
  (line.cells[0].querySelector(".claim > code") ?? line.cells[0]).append(" ", button);
}

load().then(start, (error) => {
  field("how").hidden = false;
  field("how").textContent = "The numbers of the cells cannot be unpacked (" + error +
    "). Expected a browser of 2023 or later. The letters are complete; all numbers are in results.jsonl in the same folder.";
});
