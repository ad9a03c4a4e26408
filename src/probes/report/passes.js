// Order sensitivity over passes, as `probes report figures` draws it: one line for the
// learner, one for ICL, each with its intervals. The server reads the points and says
// them in words (pass_curves.py).

// The curves of a cell: {label, points: [{n, value, low, high}]}; empty if it has none.
function passCurvesOf(row) {
  const effects = effectsOf(row);
  const lines = row.over_passes === null ? [] : row.over_passes[1];
  return lines.map(([name, points]) => ({ label: text(name), points: points.map(([n, i]) => ({ n, ...effects[i] })) }));
}

// Effects that the curves show are no arms of their own.
function outsidePassCurves(row) {
  const drawn = new Set((row.over_passes?.[1] ?? []).flatMap(([, points]) => points.map(([, i]) => i)));
  return effectsOf(row).filter((_, i) => i > 0 && !drawn.has(i));
}

function passesFigure(row) {
  const lines = passCurvesOf(row);
  if (!lines.length) return null;
  const caption = text(row.over_passes[0]) + " Bands: intervals. At 0 the order changes nothing. All in the same few orders, which " +
    "show less than the orders of the verdict. The rate is the chosen one; the axis of passes is logarithmic. This decides nothing.";
  return figure("Order sensitivity over passes", drawPasses(lines), caption);
}

function drawPasses(lines) {
  const width = 420, height = 210, left = 46, top = 10, foot = height - 34, right = width - 110;
  const points = lines.flatMap((line) => line.points);
  const most = Math.max(...points.map(({ n }) => n));
  const powers = Array.from({ length: Math.floor(Math.log2(most)) + 1 }, (_, k) => 2 ** k);
  const x = axis(points.map(({ n }) => n), left, right, true);
  const y = axis([0, ...points.flatMap(({ value, low, high }) => [value, low, high])], foot, top, false);
  const said = lines.map(({ label, points: own }) => label + ": " +
    own.map((one) => one.n + (one.n === 1 ? " pass " : " passes ") + show(one.value, 3) + (isBounded(one) ? " " + interval(one) : "")).join(", "));
  const svg = canvas(width, height, said.join("; ").slice(0, FULL));
  for (const n of powers) svg.add("text", { class: "tick", x: x(n), y: foot + 14, "text-anchor": "middle" }, String(n));
  for (const tick of y.ticks(6)) {
    svg.line("grid", left, y(tick), right, y(tick));
    svg.add("text", { class: "tick", x: left - 4, y: y(tick) + 4, "text-anchor": "end" }, show(tick, 2));
  }
  svg.line("axis", left, foot, right, foot);
  svg.add("text", { class: "tick", x: (left + right) / 2, y: height - 4, "text-anchor": "middle" }, "passes over the demonstrations");
  const ends = apart(lines.map(({ points: own }) => y(own[own.length - 1].value)));
  lines.forEach((line, i) => passLine(svg, line, { x, y, kind: line.label.startsWith("ICL") ? "icl" : "gd", end: ends[i] }));
  return svg;
}

function passLine(svg, { label, points }, { x, y, kind, end }) {
  const band = [...points.map(({ n, value, high }) => [n, high ?? value]), ...points.map(({ n, value, low }) => [n, low ?? value]).reverse()];
  svg.add("polygon", { class: "band " + kind, points: band.map(([n, v]) => x(n) + "," + y(v)).join(" ") });
  svg.add("polyline", { class: "curve " + kind, points: points.map(({ n, value }) => x(n) + "," + y(value)).join(" ") });
  for (const { n, value } of points) svg.add("circle", { class: kind, cx: x(n), cy: y(value), r: 3.5 });
  const last = x(points[points.length - 1].n);
  const name = svg.add("text", { x: last + 8, y: end + 4 }, clip(label, 100));
  name.append(draw("title", {}, label));
}

// Moves labels down until a line of text is between them.
function apart(places, least = 14) {
  const order = places.map((_, i) => i).sort((a, b) => places[a] - places[b]);
  const moved = [...places];
  order.forEach((i, k) => { if (k) moved[i] = Math.max(moved[i], moved[order[k - 1]] + least); });
  return moved;
}
