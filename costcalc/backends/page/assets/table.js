// The layers as a tree: sorted, searched, folded, by keyboard too.
const MOST_ROWS = 400;
function layerTable(m, box) {
  const figures = m.figures.map((f) => [f.name, f.title]), about = [["kind", "kind"], ["shape", "output"]], bound = m.roofline ? [["bound", "bound"]] : [];
  if (NARROW) figures.sort((a, b) => (b[0] === m.lead) - (a[0] === m.lead));
  const columns = NARROW ? [...figures, ...bound, ...about, ["field", "RF"]] : [...about, ...figures, ...bound, ["field", "RF"]];
  const open = new Set(), state = { sort: "", down: true, find: "", flat: false, most: MOST_ROWS, at: 0 };
  const few = m.n <= 60;
  for (let i = 0; i < m.n; i++) if (m.isBlock(i) && (few || m.rows.level[i] < (m.n < 400 ? 1 : 0))) open.add(i);
  const text = (name, i) => {
    if (name === "kind") return m.isBlock(i) ? (m.modules[m.rows.module[i]] || m.rows.layers[i] + " layers") : m.kind(i);
    if (name === "shape") return m.shapes[m.rows.shape[i]];
    if (name === "field") return m.fields[m.rows.field[i]];
    if (name === "bound") return ["", "memory", "compute"][m.rows.bound[i]];
    return shown(m.figure[name], m.value(name, i));
  };
  const key = (name, i) => (m.figure[name] ? m.value(name, i) : name === "name" ? m.name[i] : text(name, i));
  const compare = (a, b) => {
    const x = key(state.sort, a), y = key(state.sort, b), way = state.down ? -1 : 1;
    if (typeof x === "number" && typeof y === "number") return way * (x - y);
    return typeof x === "number" ? -1 : typeof y === "number" ? 1 : -way * String(x ?? "").localeCompare(String(y ?? ""), "en", { numeric: true });
  };
  const most = Object.fromEntries(m.figures.map((f) => [f.name, Math.max(...m.top.map((i) => Number(m.value(f.name, i)) || 0), 0)]));
  const body = el("tbody", {}), said = el("span", { class: "soft", role: "status" }), more = el("button", { type: "button", hidden: true, onclick: () => { state.most *= 4; show(); } });
  let visible = [];
  function chosen() {
    const words = state.find.toLowerCase().split(/\s+/).filter(Boolean);
    const hits = (i) => { const t = (m.name[i] + " " + m.kind(i) + " " + (m.modules[m.rows.module[i]] || "")).toLowerCase(); return words.every((w) => t.includes(w)); };
    if (state.flat) {
      const all = [];
      for (let i = 0; i < m.n; i++) if (!m.isBlock(i) && hits(i)) all.push(i);
      return state.sort ? all.sort(compare) : all;
    }
    const keep = words.length ? new Set() : null;
    if (keep) for (let i = 0; i < m.n; i++) if (hits(i)) for (let p = i; p >= 0 && !keep.has(p); p = m.parent[p]) keep.add(p);
    const out = [], stack = [];
    const push = (list) => { const some = list.filter((i) => !keep || keep.has(i)); if (state.sort) some.sort(compare); for (let k = some.length; k--;) stack.push(some[k]); };
    push(m.top);
    while (stack.length) { const i = stack.pop(); out.push(i); if (keep ? true : open.has(i)) push(m.inside[i]); }
    return out;
  }
  function row(i, at) {
    const block = m.isBlock(i), unfolded = open.has(i) || state.find;
    const label = state.flat ? m.name[i] : m.rows.label[i];
    const mark = block ? el("button", { class: "fold", tabindex: -1, "aria-hidden": true, onclick: (e) => { e.stopPropagation(); fold(i); } }, unfolded ? "▾" : "▸") : el("span", { class: "fold" });
    return el("tr", { class: block ? "h" : null, role: "row", tabindex: at === state.at ? 0 : -1, "aria-level": state.flat ? 1 : m.rows.level[i] + 1, "aria-expanded": block ? String(Boolean(unfolded)) : null,
      onclick: () => { state.at = at; if (block) fold(i); else inspect(m, i); } },
      el("td", { class: "n", title: m.name[i], role: "gridcell" }, mark, shortened(label)),
      ...columns.map(([name]) => {
        const f = m.figure[name], v = f && m.value(name, i), t = text(name, i);
        if (!f) return el("td", { class: (name === "kind" ? "l" : "") + (name === "bound" ? " bound-" + t : ""), role: "gridcell" }, t);
        const width = typeof v === "number" && most[name] ? 100 * v / most[name] : 0;
        return el("td", { class: "b", title: exact(f, v), role: "gridcell" }, width > 0.3 ? el("i", { style: { width: "calc(" + Math.min(width, 100) + "% - 4px)" } }) : null, el("span", {}, t));
      }));
  }
  function show(focus) {
    visible = chosen();
    state.at = Math.min(state.at, Math.max(visible.length - 1, 0));
    if (state.at >= state.most) state.most = state.at + MOST_ROWS;
    const drawn = visible.slice(0, state.most);
    body.replaceChildren(...drawn.map((i, at) => { const r = row(i, at); r.firstChild.style.setProperty("--l", state.flat ? 0 : m.rows.level[i]); return r; }));
    more.hidden = visible.length <= drawn.length; more.textContent = "show more of " + visible.length.toLocaleString("en") + " rows";
    said.textContent = state.find || state.flat ? visible.filter((i) => !m.isBlock(i)).length.toLocaleString("en") + " layers" : "";
    heads.forEach(([name, th]) => { th.setAttribute("aria-sort", name !== state.sort ? "none" : state.down ? "descending" : "ascending"); th.querySelector("em").textContent = name !== state.sort ? "" : state.down ? " ↓" : " ↑"; });
    if (focus && body.children[state.at]) body.children[state.at].focus();
  }
  function fold(i) { if (open.has(i)) open.delete(i); else open.add(i); state.at = Math.max(visible.indexOf(i), 0); show(true); }
  const heads = [["name", "layer"], ...columns].map(([name, title]) => [name, el("th", { scope: "col", class: name === "kind" ? "l" : null }, el("button", { type: "button", onclick: () => {
    const first = Boolean(m.figure[name]);
    if (state.sort !== name) Object.assign(state, { sort: name, down: first }); else if (state.down === first) state.down = !first; else state.sort = "";
    state.at = 0; show(); } }, title, el("em", { "aria-hidden": true })))]);
  body.addEventListener("focusin", (e) => { const at = [...body.children].indexOf(e.target.closest("tr")); if (at >= 0) state.at = at; });
  body.addEventListener("keydown", (e) => {
    const i = visible[state.at]; let to = null;
    if (e.key === "ArrowDown") to = state.at + 1; else if (e.key === "ArrowUp") to = state.at - 1; else if (e.key === "Home") to = 0; else if (e.key === "End") to = visible.length - 1;
    else if (e.key === "ArrowRight" && m.isBlock(i)) { if (!open.has(i)) fold(i); else to = state.at + 1; }
    else if (e.key === "ArrowLeft") { if (m.isBlock(i) && open.has(i)) fold(i); else if (m.parent[i] >= 0) to = visible.indexOf(m.parent[i]); }
    else if (e.key === "Enter" || e.key === " ") { inspect(m, i); } else return;
    e.preventDefault();
    if (to === null || to < 0 || to >= visible.length) return;
    if (body.children[state.at]) body.children[state.at].tabIndex = -1;
    state.at = to;
    if (!body.children[to]) { show(true); return; }
    body.children[to].tabIndex = 0; body.children[to].focus();
  });
  let wait = 0;
  const search = el("input", { type: "search", placeholder: "search names, kinds, classes", "aria-label": "search layers", oninput: () => { clearTimeout(wait); wait = setTimeout(() => { state.find = search.value; state.at = 0; state.most = MOST_ROWS; show(); }, 60); } });
  const flat = el("button", { type: "button", "aria-pressed": "false", onclick: () => { state.flat = !state.flat; flat.setAttribute("aria-pressed", String(state.flat)); if (state.flat && !state.sort) Object.assign(state, { sort: m.lead, down: true }); show(); } }, "layers only");
  const all = (on) => () => { open.clear(); if (on) for (let i = 0; i < m.n; i++) if (m.isBlock(i)) open.add(i); show(); };
  // Room for the longest name, as far as there is any; a longer one has several lines.
  box.style.setProperty("--n", Math.min(m.rows.label.reduce((most, label, i) => Math.max(most, label.length + 2 * m.rows.level[i]), 0) + 5, 36) + "ch");
  box.replaceChildren(
    el("div", { class: "tools" }, search, flat, el("button", { type: "button", onclick: all(true) }, "unfold all"), el("button", { type: "button", onclick: all(false) }, "fold all"), said),
    el("div", { class: "scroll", role: "group", "aria-label": "layers", tabindex: -1 }, el("table", { role: "treegrid", "aria-label": "layers of " + m.model }, el("thead", {}, el("tr", { role: "row" }, ...heads.map((h) => h[1]))), body)),
    el("div", { class: "tools" }, more));
  show();
}
