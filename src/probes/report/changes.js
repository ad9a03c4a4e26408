"use strict";
// The page of changes: filters, an address that brings them back, a walk through dots.

const field = (id) => document.getElementById(id);
const FILTERS = ["kind", "model", "text"];
const lines = [...document.querySelectorAll("#changes tbody tr")];
const dots = [...document.querySelectorAll(".scatter .dot")];
const searched = new Map([...lines, ...dots].map((part) => [part, part.textContent.toLowerCase()]));
const lineOf = new Map(lines.map((line) => [line.dataset.cell, line]));

const chosen = () => Object.fromEntries(FILTERS.map((name) => [name, field("by-" + name).value.trim()]));

function filter() {
  const by = chosen(), sought = by.text.toLowerCase();
  const shows = (part) => (!by.kind || part.dataset.kind === by.kind) && (!by.model || part.dataset.model === by.model) &&
    (!sought || searched.get(part).includes(sought) || searched.get(lineOf.get(part.dataset.cell))?.includes(sought));
  for (const part of [...lines, ...dots]) part.toggleAttribute("hidden", !shows(part));
  const n = lines.filter((line) => !line.hidden).length;
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

// Dots are drawn from the last to the first, so that those that moved farthest lie on top.
function walkable(figure) {
  const own = [...figure.querySelectorAll(".dot")].reverse();
  const told = figure.querySelector("output"), toLine = figure.querySelector("[data-to]");
  let at = null;
  function choose(dot) {
    at?.classList.remove("chosen");
    at = dot;
    at.classList.add("chosen");
    at.parentNode.append(at);
    told.textContent = at.textContent;
    toLine.disabled = !lineOf.has(at.dataset.cell);
  }
  function step(by) {
    const shown = own.filter((dot) => !dot.hasAttribute("hidden"));
    if (!shown.length) return;
    const place = shown.indexOf(at);
    choose(shown[place < 0 ? (by > 0 ? 0 : shown.length - 1) : (place + by + shown.length) % shown.length]);
  }
  for (const button of figure.querySelectorAll("[data-step]")) button.addEventListener("click", () => step(+button.dataset.step));
  figure.addEventListener("click", (event) => { if (event.target.matches(".dot")) choose(event.target); });
  toLine.addEventListener("click", () => {
    const line = lineOf.get(at.dataset.cell);
    if (line.hidden) field("filters").reset();
    setTimeout(() => {
      line.tabIndex = -1;
      line.focus();
      line.scrollIntoView({ block: "center" });
    });
  });
}

for (const part of document.querySelectorAll(".how")) part.hidden = false;
document.querySelectorAll(".scatter").forEach(walkable);
if (lines.length) {
  offer("kind", lines.map((line) => line.dataset.kind));
  offer("model", lines.map((line) => line.dataset.model).filter((name) => name).sort());
  field("filters").addEventListener("input", filter);
  field("filters").addEventListener("submit", (event) => event.preventDefault());
  field("filters").addEventListener("reset", () => setTimeout(filter));
  addEventListener("hashchange", restore);
  restore();
}
performance.mark("ready");
