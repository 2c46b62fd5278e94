// The graph in layers of equal depth; blocks fold into one box and unfold again.
const MOST_UNITS = 4000, FIRST_UNITS = 600; // and how many are drawn before anybody asks for more
function graphView(m, box) {
  const { reads, inputs } = m.graph, open = new Set(), BOX = 200, TALL = 38, GAPX = 26, GAPY = 40;
  const scroll = el("div", { class: "graph", role: "group", "aria-label": "graph of " + m.model, tabindex: -1 }), bar = el("div", { class: "tools" }), said = el("span", { class: "soft", role: "status" });
  let most = FIRST_UNITS;
  const changed = new Set();
  for (const i of m.changed || []) for (let p = i; p >= 0; p = m.parent[p]) changed.add(p);
  const unit = (i) => { let found = i; for (let p = m.parent[i]; p >= 0; p = m.parent[p]) if (!open.has(p)) found = p; return found; };
  function units() { const seen = new Set(); for (let i = 0; i < m.n; i++) if (!m.isBlock(i)) seen.add(unit(i)); return seen.size; }
  // Unfold from the outside in, while it stays readable.
  for (let level = 0; level < 8; level++) {
    const here = []; for (let i = 0; i < m.n; i++) if (m.isBlock(i) && m.rows.level[i] === level) here.push(i);
    here.forEach((i) => open.add(i));
    if (!here.length || units() > 40) { here.forEach((i) => open.delete(i)); break; }
  }
  function show(focus) {
    const order = new Map(), edges = new Map(), isUnit = [];
    inputs.forEach((_, k) => { order.set(-1 - k, isUnit.length); isUnit.push(-1 - k); });
    for (const i of m.order) { const u = unit(i); if (!order.has(u) && isUnit.length < most) { order.set(u, isUnit.length); isUnit.push(u); } }
    for (const i of m.order) for (const source of reads[i] || []) {
      const from = source < 0 ? source : unit(source), to = unit(i);
      if (from !== to && order.has(from) && order.has(to)) edges.set(order.get(from) + ">" + order.get(to), [order.get(from), order.get(to), m.shapes[source < 0 ? m.graph.given[-1 - source] : m.rows.shape[source]]]);
    }
    const list = [...edges.values()], rank = isUnit.map(() => 0), into = isUnit.map(() => []);
    for (const e of list) into[e[1]].push(e[0]);
    isUnit.forEach((_, u) => { for (const v of into[u]) if (v < u) rank[u] = Math.max(rank[u], rank[v] + 1); });
    const levels = []; rank.forEach((r, u) => (levels[r] = levels[r] || []).push(u));
    const x = [], y = [];
    levels.forEach((row, r) => {
      const want = (u) => { const above = into[u].filter((v) => x[v] !== undefined); return above.length ? above.reduce((s, v) => s + x[v], 0) / above.length : 0; };
      row.map((u) => [want(u), u]).sort((a, b) => a[0] - b[0]).forEach(([, u], k, all) => { x[u] = (k - (all.length - 1) / 2) * (BOX + GAPX) + (all.length === 1 ? all[0][0] : 0); y[u] = r * (TALL + GAPY); });
    });
    const low = x.reduce((a, b) => Math.min(a, b), 0) - BOX / 2 - 20, high = x.reduce((a, b) => Math.max(a, b), 0) + BOX / 2 + 20;
    let reach = high;
    // A shape stands where it covers no box and no other shape; else its layer says it when it is opened.
    const row = (v) => Math.floor(v / (TALL + GAPY)), taken = new Map(); // by rows of boxes, as only what is near can be covered
    const take = (b) => { for (let r = row(b[1]); r <= row(b[3]); r++) { if (!taken.has(r)) taken.set(r, []); taken.get(r).push(b); } };
    const covers = (b) => { for (let r = row(b[1]); r <= row(b[3]); r++) for (const o of taken.get(r) || []) if (o[0] < b[2] && b[0] < o[2] && o[1] < b[3] && b[1] < o[3]) return true; return false; };
    isUnit.forEach((_, u) => take([x[u] - BOX / 2, y[u], x[u] + BOX / 2, y[u] + TALL]));
    const shaped = (g, shape, at, middle) => {
      const box = [at, middle - 11, at + 6.6 * shape.length, middle + 3];
      if (!shape || covers(box)) return;
      take(box); reach = Math.max(reach, box[2] + 6);
      g.append(draw("text", { x: at, y: middle, "font-size": 11 }, shape));
    };
    const lines = list.map(([a, b, shape]) => {
      const x1 = x[a], y1 = y[a] + TALL, x2 = x[b], y2 = y[b], span = rank[b] - rank[a];
      const g = draw("g", {});
      if (span === 1) { g.append(draw("path", { class: "edge", d: `M${x1} ${y1}C${x1} ${y1 + GAPY / 2} ${x2} ${y2 - GAPY / 2} ${x2} ${y2}`, "marker-end": "url(#arrow)" })); shaped(g, shape, (x1 + x2) / 2 + 5, (y1 + y2) / 2 + 4); }
      else { const side = Math.max(x1, x2) + BOX / 2 + 14 + 10 * Math.min(Math.abs(span), 9); reach = Math.max(reach, side + 12); g.append(draw("path", { class: "edge", d: `M${x1 + BOX / 2} ${y1 - TALL / 2}C${side} ${y1 - TALL / 2} ${side} ${y1} ${side} ${(y1 + y2) / 2}S${side} ${y2 + TALL / 2} ${x2 + BOX / 2} ${y2 + TALL / 2}`, "marker-end": "url(#arrow)" })); shaped(g, shape, side + 3, (y1 + y2) / 2 + 4); }
      return g;
    });
    const boxes = isUnit.map((u, k) => {
      const isBlock = u >= 0 && m.isBlock(u), label = u < 0 ? inputs[-1 - u] : m.name[u], second = u < 0 ? "input" : isBlock ? (m.modules[m.rows.module[u]] || "block") + ", " + m.rows.layers[u] + " layers" : m.kind(u);
      const short = fitted((isBlock ? "▸ " : "") + label, BOX - 16, 600);
      const act = () => { unhint(); if (isBlock) { if (units() + m.rows.layers[u] > MOST_UNITS) { said.textContent = "too many boxes; fold others first"; return; } open.add(u); most = MOST_UNITS; show(u); } else if (u >= 0) inspect(m, u); };
      return draw("g", { tabindex: 0, role: "button", "data-unit": u, "aria-label": label + ", " + second + (changed.has(u) ? ", changed" : "") + (isBlock ? ", unfold" : ""), onclick: act,
        onkeydown: (e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); act(); } else if ((e.key === "Backspace" || e.key === "ArrowLeft") && u >= 0 && m.parent[u] >= 0) { e.preventDefault(); open.delete(m.parent[u]); show(m.parent[u]); } },
        onpointermove: (e) => hint(e, label + "\n" + second + (isBlock ? "\nclick to unfold" : "")), onpointerleave: unhint },
        draw("rect", { class: "unit" + (isBlock ? " closed" : "") + (changed.has(u) ? " changed" : ""), x: x[k] - BOX / 2, y: y[k], width: BOX, height: TALL, rx: 6 }), u >= 0 && !isBlock ? draw("rect", { x: x[k] - BOX / 2, y: y[k], width: 5, height: TALL, rx: 2, fill: m.colour(u) }) : null,
        draw("text", { class: "strong", x: x[k], y: y[k] + 16, "text-anchor": "middle" }, short), draw("text", { x: x[k], y: y[k] + 31, "text-anchor": "middle", "font-size": 11 }, fitted(second, BOX - 16)));
    });
    const width = reach - low, height = Math.max(levels.length, 1) * (TALL + GAPY);
    scroll.replaceChildren(draw("svg", { width, height, viewBox: `${low} -4 ${width} ${height + 8}` }, draw("defs", {}, draw("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" }, draw("path", { d: "M0 0L8 4L0 8Z", fill: "#8a919b" }))), ...lines, ...boxes));
    if (scroll.scrollWidth > scroll.clientWidth) scroll.scrollLeft = Math.max(0, -low - scroll.clientWidth / 2);
    const all = units() + inputs.length;
    said.textContent = (isUnit.length < all ? "the first " + isUnit.length.toLocaleString("en") + " of " : "") + all.toLocaleString("en") + " boxes";
    const innermost = [...open].filter((i) => ![...open].some((k) => m.parent[k] === i));
    bar.replaceChildren(
      el("button", { type: "button", onclick: () => { if (m.graph.layers > MOST_UNITS) { most = MOST_UNITS; show(); if (said.textContent.startsWith("the first")) return; said.textContent = "more than " + MOST_UNITS.toLocaleString("en") + " layers: unfold blocks one by one"; return; } for (let i = 0; i < m.n; i++) if (m.isBlock(i)) open.add(i); most = MOST_UNITS; show(); } }, "unfold all"),
      el("button", { type: "button", onclick: () => { open.clear(); show(); } }, "fold all"),
      ...innermost.slice(0, 10).map((i) => el("button", { type: "button", title: "fold " + m.name[i], onclick: () => { open.delete(i); show(i); } }, "▾ " + fitted(m.name[i], 220))), said);
    const again = focus !== undefined && scroll.querySelector(`[data-unit="${open.has(focus) ? m.inside[focus][0] : focus}"]`);
    if (again) again.focus();
  }
  box.replaceChildren(bar, scroll);
  show();
}
