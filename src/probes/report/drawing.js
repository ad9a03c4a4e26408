// Elements and inline SVG: scales, forest plots, curves and bars.

// Everything is built from text nodes: no text of a row is ever read as HTML.
function make(tag, options, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(options ?? {})) element.setAttribute(name, value);
  element.append(...children.flat().filter((child) => child !== null));
  return element;
}

function draw(tag, attributes, content) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (content !== undefined) element.textContent = content;
  return element;
}

let titles = 0;
function canvas(width, height, said) {
  const id = "drawing-" + ++titles;
  const svg = draw("svg", { viewBox: [0, 0, width, height].join(" "), width, height, role: "img", "aria-labelledby": id });
  svg.append(draw("title", { id }, said));
  svg.add = (tag, attributes, content) => svg.appendChild(draw(tag, attributes, content));
  svg.line = (kind, x1, y1, x2, y2) => svg.add("line", { class: kind, x1, x2, y1, y2 });
  return svg;
}

const LETTER = 6.9; // the width of a letter of a label, roughly
// Labels that begin alike often differ at the end, so the middle goes.
const clip = (label, width) => {
  const most = Math.max(4, Math.floor(width / LETTER)), end = Math.floor(most / 2);
  return label.length > most ? label.slice(0, most - 1 - end) + "…" + label.slice(-end) : label;
};

// Places values between two ends. On a logarithmic axis, 0 and less have a place of their
// own, a tenth of the least positive value, so that 0 is never drawn on the margin.
function axis(points, from, to, isLog) {
  const known = points.filter((x) => x !== null && Number.isFinite(x));
  const positive = known.filter((x) => x > 0);
  const least = positive.reduce((a, b) => Math.min(a, b), positive.length ? Infinity : 1);
  const hasZero = isLog && positive.length < known.length;
  const bend = isLog ? (x) => Math.log10(x > 0 ? Math.max(x, least) : least / 10) : (x) => x;
  const bent = known.map(bend);
  let low = bent.reduce((a, b) => Math.min(a, b), Infinity);
  let high = bent.reduce((a, b) => Math.max(a, b), -Infinity);
  if (low === high) [low, high] = [low - (isLog ? 1 : Math.abs(low) / 2 || 1), high + (isLog ? 1 : Math.abs(high) / 2 || 1)];
  const room = 0.05 * (high - low);
  [low, high] = [low - room, high + room];
  const at = (x) => from + ((to - from) * (bend(x) - low)) / (high - low);
  at.ticks = (most) => {
    if (!isLog) return ticksOf(low, high, false, most);
    const from = hasZero ? Math.log10(least / 10) + (0.7 * (high - low)) / most : -Infinity;
    const ticks = logTicks(low, high, most).filter((x) => x > least * (1 - 1e-9) && Math.log10(x) > from);
    return hasZero ? [0, ...ticks] : ticks;
  };
  return at;
}

// Ticks at powers of ten; at 1, 2 and 5 times them, or in even steps, where those are few.
function logTicks(low, high, most) {
  const powers = ticksOf(low, high, true, most);
  if (high - low < 0.4) return ticksOf(10 ** low, 10 ** high, false, most);
  if (powers.length > 2) return powers;
  const finer = [];
  for (let k = Math.floor(low); k <= high; k++) finer.push(...[1, 2, 5].map((m) => Number((m * 10 ** k).toPrecision(1))));
  const inside = finer.filter((x) => Math.log10(x) >= low && Math.log10(x) <= high);
  return inside.length > most ? powers : inside;
}

function ticksOf(low, high, isLog, most) {
  const rough = (high - low) / most;
  let step = Math.max(1, Math.ceil(rough));
  if (!isLog) {
    const size = 10 ** Math.floor(Math.log10(rough));
    step = size * [1, 2, 5, 10].find((k) => k * size >= rough);
  }
  const ticks = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++) ticks.push(isLog ? 10 ** (k * step) : k * step);
  return ticks;
}

// Where the effect of a cell lies between what would support and what would refute.
function scaleOf(row, effect) {
  const kind = text(row.scale);
  const m = effect.margin;
  const scale = { kind, marks: [], zone: null, isLog: false };
  if (kind === "share") {
    scale.marks.push([0, "no learning (" + show(effect.floor, 3) + ")"], [1, "ICL (" + show(effect.ceiling, 3) + ")"]);
    scale.marks.push([1 - m, "target: from " + show(1 - m)]);
    scale.zone = [1 - m, null];
  } else if (kind === "raw") {
    scale.marks.push([effect.floor, "no learning (" + show(effect.floor, 3) + ")"], [effect.ceiling, "ICL (" + show(effect.ceiling, 3) + ")"]);
  } else if (kind === "below") {
    scale.marks.push([m, "margin " + show(m)]);
    scale.zone = [null, m];
    scale.isLog = effect.level === null;
  } else if (kind === "above") {
    scale.marks.push([m, "margin " + show(m)]);
    scale.zone = [m, null];
  } else if (kind === "within") {
    scale.marks.push([-m, "margin " + show(-m)], [m, "margin " + show(m)]);
    scale.zone = [-m, m];
  }
  if (scale.zone && !scale.isLog && kind !== "share") scale.marks.push([0, ""]);
  return scale;
}

// Labels under the axis, in as many levels as keep them apart.
function placed(marks, x, width) {
  const ends = [];
  const named = marks.filter(([, label]) => label).sort((a, b) => a[0] - b[0]);
  return named.map(([value, label]) => {
    const half = label.length * 3.2 + 4;
    const middle = Math.min(Math.max(x(value), half), width - half);
    let level = ends.findIndex((end) => middle - half > end);
    if (level < 0) level = ends.length;
    ends[level] = middle + half;
    return { at: x(value), middle, label, level };
  });
}

const FULL = 5000; // characters of a drawing's description
const described = (lines) => lines.map((line) => [line.label, line.verdict === undefined ? "" : words(line.verdict),
  line.value === null ? "no effect" : show(line.value) + (isBounded(line) ? " " + interval(line) : "")]
  .filter(Boolean).join(" ")).join("; ").slice(0, FULL);

// Effects with their intervals, one line each, on one axis.
// A line: {label, value, low, high} with, if wanted, verdict, sets, isThis.
function forest(lines, { width, marks = [], zone = null, isLog = false, said = "" }) {
  const labelled = lines.some((line) => line.label);
  const inColumn = labelled && width >= 430;
  const longest = lines.reduce((most, line) => Math.max(most, line.label.length), 0);
  const left = inColumn ? Math.round(Math.min(LETTER * longest + 26, width * 0.45)) : 4;
  const tall = (line) => (labelled && !inColumn ? 36 : 20) + (line.sets ? 16 : 0);
  const points = lines.flatMap((line) => [line.value, line.low, line.high, ...(line.sets ?? []), ...(line.wider ?? []).slice(0, 2)]);
  const x = axis([...points, ...marks.map(([value]) => value)], left + 8, width - 12, isLog);
  const labels = placed(marks, x, width);
  const top = zone ? 18 : 6;
  const foot = top + lines.reduce((sum, line) => sum + tall(line), 0);
  const levels = labels.reduce((most, label) => Math.max(most, label.level + 1), 0);
  const svg = canvas(width, foot + 20 + 15 * levels, [said, described(lines)].filter(Boolean).join(": "));
  if (zone) {
    const from = zone[0] === null ? left : x(zone[0]), to = zone[1] === null ? width : x(zone[1]);
    svg.add("rect", { class: "zone", x: from, y: top, width: Math.max(to - from, 0), height: foot - top });
    svg.add("text", { class: "tick", x: Math.min(Math.max((from + to) / 2, left + 30), width - 30), y: 12, "text-anchor": "middle" }, "supported");
  }
  for (const tick of x.ticks(Math.max(4, Math.floor((width - left) / 70)))) {
    svg.line("grid", x(tick), top, x(tick), foot);
    const label = show(tick, 3), half = 3.2 * label.length + 1;
    svg.add("text", { class: "tick", x: Math.min(Math.max(x(tick), half), width - half), y: foot + 14, "text-anchor": "middle" }, label);
  }
  svg.line("axis", left, foot, width, foot);
  for (const { at, middle, label, level } of labels) {
    svg.line("bound", at, top, at, foot + 4);
    svg.add("text", { x: middle, y: foot + 30 + 15 * level, "text-anchor": "middle" }, label);
  }
  let y = top;
  for (const line of lines) {
    forestLine(svg, line, { x, left: inColumn ? left : width, top: y, stacked: labelled && !inColumn, edge: [left, width] });
    y += tall(line);
  }
  return svg;
}

function forestLine(svg, line, { x, left, top, stacked, edge }) {
  const hasLetter = line.verdict !== undefined;
  const start = hasLetter ? 20 : 2;
  if (hasLetter) {
    const kind = classOf(line.verdict);
    svg.add("rect", { class: "box " + kind, x: 1, y: top + 3, width: 15, height: 14, rx: 2 });
    svg.add("text", { class: "letter " + kind, x: 8.5, y: top + 14, "text-anchor": "middle" }, data.letters[line.verdict]);
  }
  if (line.label) {
    const label = svg.add("text", { class: line.isThis ? "this" : "", x: start, y: top + 14 }, clip(line.label, left - start));
    label.append(draw("title", {}, line.label));
  }
  const y = top + (stacked ? 26 : 10);
  if (line.value === null) return;
  if (isBounded(line)) {
    const low = line.low === null ? edge[0] : x(line.low), high = line.high === null ? edge[1] : x(line.high);
    svg.line("interval", low, y, high, y);
    if (line.low !== null) svg.line("interval", low, y - 4, low, y + 4);
    if (line.high !== null) svg.line("interval", high, y - 4, high, y + 4);
  }
  if (line.wider) {
    const [low, high] = line.wider;
    svg.line("path", x(low), y, x(high), y);
    for (const end of [low, high]) svg.line("path", x(end), y - 4, x(end), y + 4);
  }
  svg.add("circle", { class: "dot " + (hasLetter ? classOf(line.verdict) : ""), cx: x(line.value), cy: y, r: 5 });
  for (const value of line.sets ?? []) svg.add("circle", { class: "set", cx: x(value), cy: y + 16, r: 3 });
}

// One small panel for each series: the effect against the number of demonstrations.
// A series: {label, points: [{n, value, low, high, verdict, isThis}]}.
function curves(series, { marks = [], zone = null, isLog = false }) {
  const points = series.flatMap((one) => one.points);
  const sizes = [...new Set(points.map((point) => point.n))].sort((a, b) => a - b);
  const width = Math.max(150, 76 + 34 * sizes.length), height = 150, left = 52, top = 20, foot = height - 20;
  const values = points.flatMap((point) => [point.value, point.low, point.high]);
  const y = axis([...values, ...marks.map(([value]) => value)], foot, top, isLog);
  const x = (n) => left + ((width - left) * (sizes.indexOf(n) + 0.5)) / sizes.length;
  return series.map(({ label, points: own }) => {
    const lines = own.map((point) => ({ ...point, label: demonstrations(point.n) }));
    const svg = canvas(width, height, label + ": " + described(lines));
    svg.add("text", { x: 0, y: 12 }, clip(label, width));
    if (zone) {
      const from = zone[1] === null ? top : y(zone[1]), to = zone[0] === null ? foot : y(zone[0]);
      svg.add("rect", { class: "zone", x: left, y: from, width: width - left, height: Math.max(to - from, 0) });
    }
    for (const tick of y.ticks(4)) {
      svg.line("grid", left, y(tick), width, y(tick));
      svg.add("text", { class: "tick", x: left - 4, y: y(tick) + 4, "text-anchor": "end" }, show(tick, 2));
    }
    for (const [value, name] of marks) svg.line(name ? "bound" : "grid", left, y(value), width, y(value));
    svg.line("axis", left, foot, width, foot);
    for (const n of sizes) svg.add("text", { class: "tick", x: x(n), y: height - 5, "text-anchor": "middle" }, String(n));
    const known = own.filter((point) => point.value !== null);
    svg.add("polyline", { class: "path", points: known.map((point) => x(point.n) + "," + y(point.value)).join(" ") });
    for (const point of known) {
      if (point.low !== null && point.high !== null) svg.line("interval", x(point.n), y(point.low), x(point.n), y(point.high));
      if (point.isThis) svg.add("circle", { class: "here", cx: x(point.n), cy: y(point.value), r: 9 });
      svg.add("circle", { class: "dot " + (point.verdict === undefined ? "" : classOf(point.verdict)), cx: x(point.n), cy: y(point.value), r: 5 });
    }
    return svg;
  });
}

// A criterion against the number of passes, a line for each rate. The ring marks the choice.
function searchCurves(walks, [rate, passes, value]) {
  const width = 420, height = 220, left = 56, top = 10, foot = height - 34, right = width - 70;
  const points = walks.flatMap(([, own]) => own);
  const x = axis(points.map(([n]) => n), left, right, true);
  // A rate that diverges would flatten all other curves.
  const most = 4 * Math.max(...walks.map(([, own]) => own[0][1] ?? 0), value);
  const inside = (y) => y !== null && y > 0 && y <= most;
  const y = axis([...points.map(([, v]) => v).filter(inside), value > 0 ? value : null], foot, top, true);
  const said = walks.map(([r, own]) => "rate " + show(r) + ": " + own.map(([n, v]) => n + " passes " + show(v, 3)).join(", ")).join("; ");
  const svg = canvas(width, height, said.slice(0, FULL));
  for (const tick of x.ticks(6).filter(Number.isInteger)) svg.add("text", { class: "tick", x: x(tick), y: foot + 14, "text-anchor": "middle" }, show(tick, 3));
  for (const tick of y.ticks(4)) {
    svg.line("grid", left, y(tick), right, y(tick));
    svg.add("text", { class: "tick", x: left - 4, y: y(tick) + 4, "text-anchor": "end" }, show(tick, 2));
  }
  svg.line("axis", left, foot, right, foot);
  svg.add("text", { class: "tick", x: (left + right) / 2, y: height - 4, "text-anchor": "middle" }, "passes");
  const ends = [];
  for (const [r, own] of walks) {
    const known = own.filter(([, v]) => inside(v));
    if (!known.length) continue;
    svg.add("polyline", { class: "path" + (r === rate ? " this" : ""), points: known.map(([n, v]) => x(n) + "," + y(v)).join(" ") });
    const [n, v] = known[known.length - 1];
    ends.push({ label: show(r), x: x(n) + 4, y: y(v) + 4, isFirst: r === rate });
  }
  for (const { label, x: at, y: base } of apartOrNot(ends, top + 8, foot - 2)) svg.add("text", { class: "tick", x: at, y: base }, label);
  if (value > 0) svg.add("circle", { class: "here", cx: x(passes), cy: y(value), r: 8 });
  return svg;
}

// Labels that have room where they are or a line above or below; others are left out.
function apartOrNot(labels, highest, lowest) {
  const placed = [];
  for (const one of [...labels].sort((a, b) => b.isFirst - a.isFirst)) {
    const overlaps = (y) => placed.some((other) => Math.abs(other.y - y) < 12 &&
      one.x < other.x + 6.6 * other.label.length && other.x < one.x + 6.6 * one.label.length);
    const y = [one.y, one.y + 12, one.y - 12].find((y) => y >= highest && y <= lowest && !overlaps(y));
    if (y !== undefined) placed.push({ ...one, y });
  }
  return placed;
}

function bar(kind, share) {
  const svg = draw("svg", { width: 120, height: 12, "aria-hidden": "true" });
  svg.append(draw("rect", { class: kind, x: 0, y: 1, height: 10, width: Math.max(0.5, 120 * Math.min(share, 1)), rx: 1.5 }));
  return svg;
}

