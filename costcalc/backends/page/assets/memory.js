// What an engine holds at each step, who is alive, and where each tensor lies if it has a place.
function memoryView(m, box, ceiling) {
  const { steps, held, tensors, peak } = m.memory, n = held.length, W = widthIn(box, 900) > 700 ? 760 : widthIn(box, 900), H = Math.round(Math.max(260, W * 0.4)), left = 74, right = 10, top = 18, bottom = 34;
  if (!n) { box.replaceChildren(el("p", {}, "Nothing is held.")); return; }
  const placed = tensors.offset.length > 0, high = Math.max(ceiling || 0, ...held, ...(placed ? tensors.bytes.map((b, k) => b + tensors.offset[k]) : [0]), 1);
  const X = (s) => left + (W - left - right) * s / n, Y = (b) => H - bottom - (H - top - bottom) * b / high;
  const called = (k) => m.memory.names[k], layer = (s) => (typeof steps[s] === "number" ? m.name[steps[s]] : steps[s]);
  const picture = draw("svg", { viewBox: `0 0 ${W} ${H}`, ...CHART, "aria-label": "memory step by step: arrow keys go from step to step" });
  let step = 1; // round numbers of a unit: 1, 2, 4 … 512 of bytes, KiB, MiB
  while (high / step > 6) step *= 2;
  for (let b = 0; b <= high; b += step) picture.append(draw("line", { class: "axis", x1: left, x2: W - right, y1: Y(b), y2: Y(b) }), draw("text", { x: left - 6, y: Y(b) + 4, "text-anchor": "end" }, size(8 * b).replace(/\.0+(?= )/, "")));
  let d = `M${X(0)} ${Y(0)}`;
  held.forEach((b, s) => { d += `V${Y(b)}H${X(s + 1)}`; });
  picture.append(draw("path", { class: "step", d: d + `V${Y(0)}Z` }));
  const lives = [];
  if (placed) tensors.bytes.forEach((b, k) => { const r = draw("rect", { class: "life", x: X(tensors.first[k]), width: Math.max(X(tensors.last[k] + 1) - X(tensors.first[k]), 1), y: Y(tensors.offset[k] + b), height: Math.max(Y(tensors.offset[k]) - Y(tensors.offset[k] + b), 0.5) }); lives.push(r); picture.append(r); });
  const cursor = draw("line", { class: "mark", y1: top, y2: H - bottom });
  picture.append(cursor, draw("text", { class: "strong", x: Math.min(Math.max(X(peak + 0.5), left + 60), W - 70), y: top - 5, "text-anchor": "middle" }, "peak " + size(8 * held[peak])), draw("text", { x: left, y: H - 12 }, "step 1"), draw("text", { x: W - right, y: H - 12, "text-anchor": "end" }, "step " + n.toLocaleString("en")));
  const body = el("tbody", {}), head = el("h3", { "aria-live": "polite" });
  let current = peak;
  function show(s) {
    current = s; cursor.setAttribute("x1", X(s + 0.5)); cursor.setAttribute("x2", X(s + 0.5));
    const alive = []; for (let k = 0; k < tensors.bytes.length; k++) if (tensors.first[k] <= s && s <= tensors.last[k]) alive.push(k);
    alive.sort((a, b) => tensors.bytes[b] - tensors.bytes[a]);
    if (placed) { const there = new Set(alive); lives.forEach((r, k) => r.classList.toggle("on", there.has(k))); }
    head.textContent = `Alive at step ${s + 1}, ${layer(s)}: ${size(8 * held[s])}${s === peak ? ", the peak" : ""}`;
    body.replaceChildren(...alive.slice(0, 14).map((k) => el("tr", {}, el("td", { class: "n", title: called(k) }, shortened(called(k))), el("td", { class: "b" }, el("i", { style: { width: 100 * tensors.bytes[k] / held[s] + "%" } }), el("span", {}, size(8 * tensors.bytes[k]))), el("td", {}, percent(tensors.bytes[k], held[s])), el("td", {}, `${tensors.first[k] + 1}–${tensors.last[k] + 1}`))),
      ...(alive.length > 14 ? [el("tr", {}, el("td", { colspan: 4 }, `and ${alive.length - 14} smaller`))] : []));
  }
  const where = (e) => { const r = picture.getBoundingClientRect(); return Math.max(0, Math.min(n - 1, Math.floor(((e.clientX - r.left) / r.width * W - left) / (W - left - right) * n))); };
  picture.addEventListener("pointermove", (e) => { const s = where(e); hint(e, `step ${s + 1}, ${layer(s)}\n${size(8 * held[s])} alive`); });
  picture.addEventListener("pointerleave", unhint);
  picture.addEventListener("click", (e) => show(where(e)));
  picture.addEventListener("keydown", (e) => { const by = { ArrowRight: 1, ArrowLeft: -1, PageDown: 10, PageUp: -10 }[e.key]; if (!by && e.key !== "Home") return; e.preventDefault(); show(e.key === "Home" ? peak : Math.max(0, Math.min(n - 1, current + by))); });
  const table = el("table", {}, el("thead", {}, el("tr", {}, ...["tensor", "size", "share", "steps"].map((t) => el("th", { scope: "col" }, t)))), body);
  box.replaceChildren(el("div", { class: "two" }, el("div", {}, picture, el("p", { class: "soft" }, (placed ? "Boxes are tensors, as long as they live, at their places in the block. " : "") + "Click a step, or use the arrow keys; Home is the peak.")), el("div", { class: "wide" }, head, table)));
  show(peak);
}
