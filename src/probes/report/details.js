// What a cell shows when it is opened.

const figure = (title, drawing, caption, kind = "") =>
  make("figure", { class: kind }, make("h5", {}, title), drawing, caption ? make("figcaption", {}, caption) : null);

// Some texts set off within a caption.
const strong = (said) => make("strong", {}, said);

function lineOf(row, label, extra = {}) {
  const effect = mainEffect(row) ?? { value: null, low: null, high: null };
  return { label, value: effect.value, low: effect.low, high: effect.high, verdict: row.verdict, ...extra };
}

// Only effects on the same scale can share an axis.
function shareAxis(row, other) {
  const [ours, theirs] = [mainEffect(row), mainEffect(other)];
  return Boolean(ours && theirs) && row.scale === other.scale && ours.unit === theirs.unit && ours.margin === theirs.margin;
}

const percent = (level) => show(level * 100) + " % interval ";

function inWords(row, effect) {
  const parts = [nameOf(effect) + ": ", strong(show(effect.value) + " " + text(effect.unit))];
  if (isBounded(effect)) parts.push(", " + (effect.level ? percent(effect.level) : "interval ") + interval(effect));
  for (const [name, said] of [["floor", "no learning"], ["ceiling", "ICL"], ["margin", "margin"]]) {
    if (effect[name] !== null) parts.push(", " + said + " " + show(effect[name]));
  }
  parts.push(targetOf(row));
  if (row.refuting) {
    const [low, high, level] = row.refuting;
    parts.push(". Thin line: to be refuted, the " + percent(level) + interval({ low, high }) + " must lie outside the margin");
  }
  return parts;
}

function effectFigure(row, width) {
  const effect = mainEffect(row);
  const scale = scaleOf(row, effect);
  const caption = inWords(row, effect);
  if (effect.sets) caption.push(". Circles: the " + effect.sets.length + " demonstration sets, each " + (effect.level === null ? "by its largest value" : "averaged over its queries") + ".");
  if (scale.isLog) caption.push(" Logarithmic axis.");
  if (effect.value === null || (!scale.marks.length && !isBounded(effect))) return make("p", {}, caption);
  const line = { label: "", ...effect, sets: effect.sets, wider: row.refuting };
  return figure("Effect", forest([line], { ...scale, width, said: nameOf(effect) }), caption, "whole");
}

// What ICL, GD and the others reach with each number of demonstrations: the first measure with arms.
function armsFigure(row) {
  const armed = (effect) => /^(label accuracy|accuracy|order sensitivity): /.test(text(effect.name));
  const first = outsidePassCurves(row).find(armed);
  if (!first) return null;
  const [measure] = text(first.name).split(": ");
  const own = siblings(row, [3]).filter((other) => other.effects.length);
  if (new Set(own.map((other) => other.n_demonstrations)).size < 2) return null;
  const series = new Map();
  for (const other of own) {
    for (const effect of outsidePassCurves(other)) {
      const [name, ...arm] = text(effect.name).split(": ");
      if (name !== measure || !arm.length) continue;
      const label = arm.join(": ");
      if (!series.has(label)) series.set(label, []);
      series.get(label).push({ n: other.n_demonstrations, value: effect.value, low: effect.low, high: effect.high, isThis: other === row });
    }
  }
  const drawn = [...series].map(([label, points]) => ({ label, points: points.sort((a, b) => a.n - b.n) }));
  return figure("Arms by number of demonstrations: " + measure, make("div", { class: "curves" }, curves(drawn, {})), "One panel for each arm, on one axis.", drawn.length > 3 ? "whole" : "");
}

function demonstrationsFigure(row) {
  const picked = siblings(row, [2, 3]).filter((other) => shareAxis(row, other));
  if (new Set(picked.map((other) => other.n_demonstrations)).size < 2) return null;
  const point = (other) => ({ n: other.n_demonstrations, ...lineOf(other, ""), isThis: other === row });
  const datasets = [row.dataset, ...new Set(picked.map((other) => other.dataset).filter((i) => i !== row.dataset))];
  const series = datasets.map((i) => ({
    label: text(i),
    points: picked.filter((other) => other.dataset === i).map(point).sort((a, b) => a.n - b.n),
  }));
  const drawn = make("div", { class: "curves" }, curves(series, scaleOf(row, mainEffect(row))));
  return figure("By number of demonstrations", drawn,
    "One panel for each dataset, on one axis. The ring marks this cell. In the band, the claim is supported.", datasets.length > 2 ? "whole" : "");
}

// Finds the cell whose effect favours the claim most.
function nearest(picked) {
  const distance = (row) => (["share", "above"].includes(text(row.scale)) ? -mainEffect(row).value : Math.abs(mainEffect(row).value));
  return picked.reduce((best, row) => (distance(row) < distance(best) ? row : best));
}

function learnersFigure(row, width) {
  const name = claims[row.claim].name;
  const cell = (other) => keyOf(other).every((part, i) => i === 0 || part === keyOf(row)[i]);
  const picked = rows.filter((other) => claims[other.claim].name === name && cell(other) && shareAxis(row, other));
  if (picked.length < 2) return null;
  const lines = picked.map((other) => lineOf(other, claims[other.claim].variantWords, { isThis: other === row }));
  const best = nearest(picked);
  return figure("Competing learners", forest(lines, { ...scaleOf(row, mainEffect(row)), width, said: "The same cell for each learner" }),
    ["Nearest to the claim: ", strong(claims[best.claim].variantWords), ", " + show(mainEffect(best).value) + "."]);
}

function networksFigure(row, width) {
  const picked = siblings(row, [1]);
  if (picked.length < 2) return null;
  const lines = picked.sort((a, b) => a.model - b.model).map((other) => {
    const line = lineOf(other, models[other.model].name, { isThis: other === row });
    return shareAxis(row, other) ? line : { ...line, value: null };
  });
  const isCut = lines.some((line) => line.value === null);
  return figure("The same cell on other networks: controls", forest(lines, { ...scaleOf(row, mainEffect(row)), width, said: "The same cell on each network" }),
    "An untrained or spoiled network must not reach the region of support." + (isCut ? " No dot: judged on another scale, or nothing to judge." : ""));
}

// Effects named "measure: arm" belong together.
function armFigures(row, width) {
  const groups = new Map();
  for (const effect of outsidePassCurves(row)) {
    const [measure, ...arm] = nameOf(effect).split(": ");
    const key = measure + "|" + text(effect.unit);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push({ ...effect, label: arm.join(": ") || measure });
  }
  return [...groups].filter(([, lines]) => lines.length > 1).map(([key, lines]) => {
    if (new Set(lines.map((line) => line.label)).size < lines.length) lines.forEach((line, i) => (line.label += ", " + (i + 1)));
    const values = lines.map((line) => line.value).filter((x) => x > 0);
    const isLog = values.length === lines.length && Math.max(...values) > 50 * Math.min(...values);
    const [measure, unit] = key.split("|");
    const plain = isLog ? lines.map((line) => (line.low > 0 ? line : { ...line, low: null, high: null })) : lines;
    return figure("Arms: " + measure, forest(plain, { width, isLog, said: measure }),
      unit + (isLog ? ", logarithmic axis" : "") + ". These decide nothing by themselves.");
  });
}

// The papers' own picture: what both learners would say next.
function exampleFigure([prompt, answer, icl, gd], number) {
  const tokens = [...new Set([...icl, ...gd].map(([token]) => token))];
  const chance = (list, token) => list.find(([name]) => name === token)?.[1] ?? null;
  const cell = (kind, p) => (p === null ? make("td", { class: "beyond" }, "not among its ten")
    : make("td", {}, make("span", {}, show(p, 3)), bar(kind, p)));
  const lines = tokens.map((token) => make("tr", {},
    make("th", { scope: "row" }, token.replace(/^[▁Ġ]/, "␣") + (token === answer ? " ✓" : "")),
    cell("icl", chance(icl, token)), cell("gd", chance(gd, token))));
  const head = make("tr", {}, ["next token", "ICL", "GD"].map((name) => make("th", { scope: "col" }, name)));
  const table = make("table", { class: "tokens" }, make("thead", {}, head), make("tbody", {}, lines));
  return figure("Example query " + number, make("div", {}, make("pre", {}, prompt), make("div", { class: "sideways" }, table)),
    "The end of the prompt, and the ten likeliest next tokens of each learner; ✓ is the right answer.");
}

// How GD's rate and passes were chosen: the criterion's curve at each rate.
function searchFigure([criterion, edge, rate, passes, value, gain, walks]) {
  const drawn = searchCurves(walks.filter(([, points]) => points.some(([, y]) => y !== null)), [rate, passes, value]);
  const end = edge ? "Not finished: " + edge + ". The last doubling of the passes gained " + show(gain, 3) + "."
    : "Rates on both sides and twice as many passes are no better.";
  return figure("GD's rate and passes, by " + criterion.replaceAll("_", " "), drawn,
    ["Chosen: ", strong("rate " + show(rate) + ", " + passes + (passes === 1 ? " pass" : " passes")),
      ", " + show(value) + " on calibration queries, lower is better. " + end + " One line for each rate, named where there is room; the chosen one is coloured. Both axes are logarithmic."]);
}

// Only the first effect carries the verdict, so only that one has a target.
function numbers(row) {
  const effects = effectsOf(row);
  const heads = ["measured", "value", "target", "interval", "unit", "no learning (floor)", "ICL (ceiling)", "margin", "sets × queries", "p", "p adjusted"];
  const lines = effects.map((effect, i) => make("tr", {},
    make("th", { scope: "row" }, nameOf(effect)),
    [show(effect.value), (i === 0 && targetOf(row, "")) || "–", interval(effect), text(effect.unit), show(effect.floor), show(effect.ceiling),
      show(effect.margin), effect.n_sets + " × " + effect.n_queries, show(effect.p, 3), show(effect.p_adjusted, 3),
    ].map((cell) => make("td", {}, cell))));
  const head = make("tr", {}, heads.map((name) => make("th", { scope: "col" }, name)));
  const table = make("table", { class: "numbers" }, make("thead", {}, head), make("tbody", {}, lines));
  return make("div", { class: "sideways", tabindex: 0, role: "region", "aria-label": "All effects of the cell" }, table);
}

// What the margin is, and why it is as large as it is.
function marginText(row) {
  if (!isMeasured(row)) return null;
  const effect = mainEffect(row);
  const { why } = claims[row.claim];
  const from = why ? why + "." : "The claim says why, in " + text(row.file) + ".";
  return make("p", { class: "margin" }, strong("Why a margin of " + shortNumber(effect.margin) + targetOf(row, " (target: ", ")") + ": "),
    from[0].toUpperCase() + from.slice(1) + " It was fixed before the run.");
}

function facts(row) {
  const pairs = [];
  const effect = mainEffect(row);
  if (row.identity) pairs.push(["identity", "it holds for any network, so it is no evidence"]);
  if (row.alone !== null) pairs.push(["uncorrected", words(row.alone) + ", before correction over the cells of the matrix"]);
  if (row.expected !== null) pairs.push(["recorded", words(row.expected) + (row.unexpected ? " – unexpected" : "")]);
  if (effect && effect.p !== null) pairs.push(["p", show(effect.p, 3) + " raw, " + show(effect.p_adjusted, 3) + " adjusted"]);
  if (row.p_supported !== null) pairs.push(["p of each verdict", "supported " + show(row.p_supported, 3) + ", refuted " + show(row.p_refuted, 3)]);
  if (effect && effect.sets) pairs.push(["effect in each set", effect.sets.map((x) => show(x)).join(", ")]);
  pairs.push(["source", claims[row.claim].source]);
  if (row.observations.length) pairs.push(["observations", make("code", {}, row.observations.map(text).join(" "))]);
  if (row.provenance !== null) pairs.push(["provenance that differs from the run", differences(row)]);
  pairs.push(["seconds", show(row.seconds, 3)]);
  return make("dl", { class: "facts" }, pairs.map(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]).flat());
}

function differences(row) {
  const run = data.provenances[0];
  const said = (value) => (value === null ? "unknown" : typeof value === "object" ? JSON.stringify(value) : String(value));
  return Object.entries(provenanceOf(row)).filter(([name, value]) => said(value) !== said(run[name] ?? null))
    .map(([name, value]) => name.replaceAll("_", " ") + " " + said(value)).join(", ");
}

function detail(row, room) {
  const width = Math.round(Math.min(760, room));
  const half = room > 992 ? Math.round(Math.min(560, (room - 32) / 2)) : width;
  const effects = effectsOf(row);
  const head = make("h4", {}, make("span", { class: "chip " + classOf(row.verdict) }, data.letters[row.verdict]),
    " " + words(row.verdict) + ": " + text(row.dataset) + ", " + demonstrations(row.n_demonstrations));
  const reason = row.reason === null || text(row.words).toLowerCase().includes(text(row.reason).toLowerCase()) ? null : text(row.reason);
  const drawn = effects.length
    ? [effectFigure(row, width), demonstrationsFigure(row), armsFigure(row), passesFigure(row), learnersFigure(row, half), networksFigure(row, half), ...armFigures(row, half)]
    : [];
  if (row.searches !== null) drawn.push(...row.searches.map((i) => searchFigure(data.searches[i])));
  const shown = row.example === null ? [] : data.examples[row.example].map((query, i) => exampleFigure(query, i + 1));
  return [head,
    make("p", { class: "said verdict" }, text(row.words)),
    reason === null ? null : make("p", { class: "said" }, reason[0].toUpperCase() + reason.slice(1) + "."),
    marginText(row),
    row.advice === null ? null : make("p", {}, strong("What would decide it: "), text(row.advice)),
    make("p", {}, strong("Run it again: "), make("code", { class: "keep" }, commandOf(row))),
    make("div", { class: "figures" }, drawn),
    shown.length ? make("div", { class: "figures" }, shown) : null,
    row.note === null ? null : make("p", { class: "said" }, "Note: " + text(row.note)),
    row.moved === null ? null : make("p", { class: "said" }, "Weights that GD moved: " + text(row.moved)),
    effects.length ? make("details", {}, make("summary", {}, "All numbers (" + effects.length + ")"), numbers(row)) : null, facts(row)];
}

// The effects of all cells of one line of the matrix; one drawing for each scale.
function claimFigures(picked, width) {
  const groups = [];
  for (const row of picked.filter(mainEffect)) {
    const group = groups.find(([first]) => shareAxis(first, row) && text(mainEffect(first).name) === text(mainEffect(row).name));
    if (group) group.push(row);
    else groups.push([row]);
  }
  return groups.map((group) => {
    const [first] = group;
    const hasVariants = new Set(group.map((row) => row.claim)).size > 1;
    const variantOf = (row) => (hasVariants ? claims[row.claim].variantWords + " · " : "");
    const lines = [...group].sort((a, b) => a.model - b.model).map((row) =>
      lineOf(row, models[row.model].name + " · " + variantOf(row) + text(row.dataset) + " · " + row.n_demonstrations));
    const scale = scaleOf(first, mainEffect(first));
    if (scale.kind === "share") scale.marks = [[0, "no learning"], [1, "ICL"], [1 - mainEffect(first).margin, "target"]];
    const name = nameOf(mainEffect(first));
    return figure(name, forest(lines, { ...scale, width, said: name }),
      text(mainEffect(first).unit) + targetOf(first) + (scale.isLog ? ", logarithmic axis" : "") + "; network · " + (hasVariants ? "variant · " : "") + "dataset · demonstrations", "whole");
  });
}

