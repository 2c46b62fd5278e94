// Blocks as areas, squarified (Bruls, Huizing, van Wijk 2000): each as large as its part of a figure.
function squarify(items, x, y, w, h, place) {
  let rest = items.slice(), left = rest.reduce((s, it) => s + it.v, 0);
  while (rest.length && left > 0 && w > 0 && h > 0) {
    const short = Math.min(w, h), scale = (w * h) / left;
    let row = [], sum = 0, worst = Infinity;
    while (row.length < rest.length) {
      const v = rest[row.length].v, s = sum + v, side = (s * scale) / short;
      const big = Math.max(row.length ? row[0].v : v, v), small = v;
      const ratio = Math.max((big * scale) / (side * side), (side * side) / Math.max(small * scale, 1e-12));
      if (row.length && ratio > worst) break;
      row.push(rest[row.length]); sum = s; worst = ratio;
    }
    const thick = (sum * scale) / short;
    let at = 0;
    for (const item of row) {
      const long = short * item.v / sum;
      if (w >= h) place(item, x, y + at, thick, long); else place(item, x + at, y, long, thick);
      at += long;
    }
    if (w >= h) { x += thick; w -= thick; } else { y += thick; h -= thick; }
    left -= sum; rest = rest.slice(row.length);
  }
}
function treemap(m, box, { figure, whole, follow } = {}) {
  let by = figure || m.lead, root = -1;
  const map = el("div", { class: "map", role: "group", "aria-label": "treemap of " + m.model }), crumbs = el("div", { class: "tools crumbs", role: "group", "aria-label": "blocks around" });
  function show(focus) {
    const sums = m.sums(by), f = m.figure[by], total = m.top.reduce((s, i) => s + sums[i], 0), W = map.clientWidth, H = map.clientHeight;
    const shrink = whole && root < 0 ? Math.sqrt(Math.min(1, total / whole(by))) : 1;
    const cells = [], under = (i) => (i < 0 ? m.top : m.inside[i]).filter((k) => sums[k] > 0).sort((a, b) => sums[b] - sums[a]).map((k) => ({ i: k, v: sums[k] }));
    const cell = (i, x, y, w, h, group) => {
      const b = el("button", { type: "button", class: group ? "group" : null, style: { left: x + "px", top: y + "px", width: Math.max(w - 1, 1) + "px", height: Math.max(h - 1, 1) + "px", background: group ? "" : m.colour(i) },
        "aria-label": m.name[i] + ", " + shown(f, sums[i]) + ", " + percent(sums[i], total), tabindex: w * h > 900 ? 0 : -1,
        onclick: () => { unhint(); if (group) { root = i; show(true); } else inspect(m, i); },
        onpointermove: (e) => hint(e, brief(m, i, exact(f, sums[i]) + ", " + percent(sums[i], total), group ? "click to zoom" : "")), onpointerleave: unhint });
      const room = w > 34 && h > 15;
      const called = room ? fitted(root < 0 || group ? m.rows.label[i] : m.name[i].slice(m.name[root].length + 1), w - 11, group ? 650 : 400) : "";
      if (called) b.append(called);
      if (called && h > 32 && !group && wide(shown(f, sums[i])) <= w - 11) b.append(el("small", {}, shown(f, sums[i])));
      if (called && group && w > 120) b.append(" ", el("span", { class: "soft" }, percent(sums[i], total)));
      cells.push(b);
    };
    const lay = (i, x, y, w, h) => squarify(under(i), x, y, w, h, (it, ax, ay, aw, ah) => {
      const inner = m.isBlock(it.i) && under(it.i).length;
      if (aw * ah < 6) return;
      if (!inner) { cell(it.i, ax, ay, aw, ah, false); return; }
      if (aw < 26 || ah < 30) { cell(it.i, ax, ay, aw, ah, true); return; }
      cell(it.i, ax, ay, aw, ah, true);
      lay(it.i, ax + 2, ay + 17, aw - 5, ah - 20);
    });
    lay(root, 0, 0, W * shrink, H * shrink);
    map.replaceChildren(...cells);
    const path = []; for (let p = root; p >= 0; p = m.parent[p]) path.unshift(p);
    crumbs.replaceChildren(...[-1, ...path].map((p, k, all) => el("button", { type: "button", "aria-current": k === all.length - 1 ? "true" : null, onclick: () => { root = p; show(true); } }, p < 0 ? m.model : m.rows.label[p])), el("span", { class: "soft" }, shown(f, root < 0 ? total : sums[root])));
    if (focus && cells[0]) cells[0].focus({ preventScroll: true });
  }
  map.addEventListener("keydown", (e) => { if ((e.key === "Escape" || e.key === "Backspace") && root >= 0) { root = m.parent[root]; e.preventDefault(); show(true); } });
  const options = m.maps.filter((f) => m.sums(f.name).some((v) => v > 0)).map((f) => [f.name, f.title]);
  const change = (name) => { by = name; show(); };
  box.replaceChildren(...(follow ? [] : [choice("figure of the treemap", options, by, change)]), crumbs, map, legend(m));
  new ResizeObserver(() => show()).observe(map);
  return change;
}
