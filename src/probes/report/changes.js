"use strict";
// The page of changes: filters, and an address that brings them back.

const field = (id) => document.getElementById(id);
const FILTERS = ["kind", "model", "text"];
const lines = [...field("changes").tBodies[0].rows];
const searched = new Map(lines.map((line) => [line, line.textContent.toLowerCase()]));

const chosen = () => Object.fromEntries(FILTERS.map((name) => [name, field("by-" + name).value.trim()]));

function filter() {
  const by = chosen(), sought = by.text.toLowerCase();
  let n = 0;
  for (const line of lines) {
    line.hidden = !((!by.kind || line.dataset.kind === by.kind) && (!by.model || line.dataset.model === by.model) &&
      (!sought || searched.get(line).includes(sought)));
    n += line.hidden ? 0 : 1;
  }
  field("shown").textContent = n + " of " + lines.length + " changes shown";
  history.replaceState(null, "", "#" + new URLSearchParams(Object.entries(by).filter(([, value]) => value)));
}

function restore() {
  const state = new URLSearchParams(location.hash.slice(1));
  for (const name of FILTERS) field("by-" + name).value = state.get(name) ?? "";
  filter();
}

function offer(name, values) {
  for (const value of new Set(values)) {
    const option = document.createElement("option");
    option.value = option.textContent = value;
    field("by-" + name).append(option);
  }
}

offer("kind", lines.map((line) => line.dataset.kind));
offer("model", lines.map((line) => line.dataset.model).filter((name) => name).sort());
for (const part of document.querySelectorAll(".how")) part.hidden = false;
field("filters").addEventListener("input", filter);
field("filters").addEventListener("submit", (event) => event.preventDefault());
field("filters").addEventListener("reset", () => setTimeout(filter));
addEventListener("hashchange", restore);
restore();
performance.mark("ready");
