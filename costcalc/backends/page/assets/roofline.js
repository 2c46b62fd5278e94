// Powers of ten between two numbers; where these are few, twice and five times as much too.
function decades(low, high) {
  const found = [], some = Math.log10(high / low) > 2.5 ? [1] : [1, 2, 5];
  for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high); e++) for (const k of some) { const v = Number(`${k}e${e}`); if (v >= low && v <= high) found.push(v); }
  return found;
}
// MACs a second over MACs per byte, both logarithmic; each layer a point under the roof.
function roofline(m, box, range) {
  const { peak, bandwidth, title, points } = m.roofline, W = widthIn(box, 900), H = Math.round(Math.max(300, W * 0.53)), left = 66, right = 16, top = 16, bottom = 44;
  if (!points.length) { box.replaceChildren(el("p", {}, "No layer multiplies and moves anything.")); return; }
  // Layers that do the same are one point, with the time of all.
  const alike = new Map();
  for (const i of points) {
    const macs = m.value("macs", i), bytes = m.value("traffic", i) / 8, key = [m.rows.kind[i], macs, bytes, m.rows.bound[i]].join(), one = alike.get(key);
    if (one) { one.many++; one.time += m.value("time", i); } else alike.set(key, { i, macs, bytes, many: 1, time: m.value("time", i) });
  }
  const at = [...alike.values()];
  for (const p of at) { p.x = p.macs / p.bytes; p.y = Math.min(peak, p.x * bandwidth); }
  const ridge = peak / bandwidth, xs = at.map((p) => p.x);
  const [x0, x1] = range || [Math.min(...xs, ridge) / 2, Math.max(...xs, ridge) * 2.5], y1 = peak * 2, y0 = Math.min(x0 * bandwidth, peak / 10);
  const X = (x) => left + (W - left - right) * Math.log(x / x0) / Math.log(x1 / x0), Y = (y) => H - bottom - (H - top - bottom) * Math.log(y / y0) / Math.log(y1 / y0);
  const picture = draw("svg", { viewBox: `0 0 ${W} ${H}`, ...CHART, "aria-label": "Roofline of " + m.model + " on " + title + ": arrow keys go from layer to layer, the slowest first" });
  for (const x of decades(x0, x1)) picture.append(draw("line", { class: "axis", x1: X(x), x2: X(x), y1: top, y2: H - bottom }), draw("text", { x: X(x), y: H - bottom + 16, "text-anchor": "middle" }, x >= 0.01 && x < 1e5 ? String(x) : x.toExponential(0).replace("+", "")));
  for (const y of decades(y0, y1)) picture.append(draw("line", { class: "axis", x1: left, x2: W - right, y1: Y(y), y2: Y(y) }), draw("text", { x: left - 6, y: Y(y) + 4, "text-anchor": "end" }, rate(y, "").replace(/\.0+(?= )/, "")));
  picture.append(draw("text", { x: (left + W - right) / 2, y: H - 8, "text-anchor": "middle" }, "MACs per byte of traffic"), draw("text", { x: 12, y: (top + H - bottom) / 2, transform: `rotate(-90 12 ${(top + H - bottom) / 2})`, "text-anchor": "middle" }, "MACs a second"));
  picture.append(draw("path", { class: "roof", d: `M${X(x0)} ${Y(Math.min(x0 * bandwidth, peak))}L${X(Math.min(Math.max(ridge, x0), x1))} ${Y(Math.min(peak, Math.max(ridge, x0) * bandwidth))}L${X(x1)} ${Y(Math.min(peak, x1 * bandwidth))}` }));
  put(picture, {}, [draw("text", { class: "strong", x: W - right - 6, y: Y(peak) - (at.some((p) => X(p.x) > W - 130 && p.y > peak / 2) ? 24 : 8), "text-anchor": "end" }, rate(peak, " MACs/s")), draw("line", { class: "mark", x1: X(ridge), x2: X(ridge), y1: Y(peak), y2: H - bottom }),
    X(ridge) - left < 90 ? null : draw("text", { x: X(ridge) - 6, y: H - bottom - 8, "text-anchor": "end" }, "memory binds"), X(ridge) + 100 > W ? null : draw("text", { x: X(ridge) + 6, y: H - bottom - 8 }, "arithmetic binds")]);
  const slope = Math.atan2(Y(x0 * bandwidth) - Y(x0 * 10 * bandwidth), X(x0 * 10) - X(x0)) * 180 / Math.PI;
  // The bandwidth stands at the slope where fewest layers are.
  const clear = (x) => Math.min(...at.map((p) => Math.hypot(X(p.x) - X(x), Y(p.y) - Y(x * bandwidth))));
  const mid = [0.5, 0.4, 0.6, 0.3, 0.7, 0.2].map((part) => x0 * (ridge / x0) ** part).reduce((a, b) => (clear(a) > 50 || clear(a) >= clear(b) ? a : b));
  if (ridge > x0 * 4) picture.append(draw("text", { class: "strong", x: X(mid), y: Y(mid * bandwidth) - 8, transform: `rotate(${-slope} ${X(mid)} ${Y(mid * bandwidth) - 8})`, "text-anchor": "middle" }, rate(bandwidth, "B/s")));
  const total = m.total.time || 1, dots = new Map();
  at.sort((a, b) => b.time - a.time);
  for (const p of at) {
    const dot = draw("circle", { class: "dot", cx: X(p.x), cy: Y(p.y), r: 3 + 16 * Math.sqrt(Math.max(p.time, 0) / total), fill: m.colour(p.i), "fill-opacity": 0.8,
      onpointermove: (e) => hint(e, says(p)), onpointerleave: unhint, onclick: () => { mark(at.indexOf(p)); inspect(m, p.i); } });
    dots.set(p, dot); picture.append(dot);
  }
  const says = (p) => brief(m, p.i, count(p.macs) + " MACs / " + size(8 * p.bytes) + " = " + three(p.x) + " MACs/B", (p.many > 1 ? `with ${p.many - 1} like it: ` : "") + seconds(p.time) + ", " + percent(p.time, total) + ", bound by " + ["", "memory", "compute"][m.rows.bound[p.i]]);
  const line = el("p", { class: "soft", "aria-live": "polite" }, "Hover or tap a layer, or go through them with the arrow keys; larger is slower.");
  let current = -1;
  function mark(k) { if (current >= 0) dots.get(at[current]).classList.remove("on"); current = k; dots.get(at[k]).classList.add("on"); line.textContent = says(at[k]).replaceAll("\n", " · "); }
  picture.addEventListener("keydown", (e) => {
    if (e.key === "ArrowRight" || e.key === "ArrowDown") mark((current + 1) % at.length); else if (e.key === "ArrowLeft" || e.key === "ArrowUp") mark((current + at.length - (current < 0 ? 0 : 1)) % at.length);
    else if (e.key === "Enter" && current >= 0) inspect(m, at[current].i); else return;
    e.preventDefault();
  });
  box.replaceChildren(picture, line, legend(m), timeLine(m, total, W, line));
}
// The layers one after another, each as wide as its time.
function timeLine(m, total, W, line) {
  const picture = draw("svg", { viewBox: `0 0 ${W} 46`, ...CHART, "aria-label": "time, layer by layer, in the model's order: arrow keys go from layer to layer" });
  // Of very many layers those that share half a pixel are one box, of the colour of the slowest.
  const timed = m.order.filter((i) => m.value("time", i)), boxes = [];
  for (const i of timed) {
    const t = m.value("time", i), last = boxes[boxes.length - 1];
    if (last && W * last.time / total < 0.5) { last.time += t; last.many++; if (t > m.value("time", last.i)) last.i = i; } else boxes.push({ i, time: t, many: 1 });
  }
  const says = ({ i, time, many }) => brief(m, i, (many > 1 ? `with ${many - 1} beside it: ` : "") + seconds(time) + ", " + percent(time, total));
  let x = 0, current = -1;
  for (const one of boxes) {
    const w = W * one.time / total;
    one.box = draw("rect", { class: "spent", x, y: 0, width: Math.max(w - (w > 2 ? 0.4 : 0), 0.2), height: 26, fill: m.colour(one.i), onclick: () => inspect(m, one.i), onpointermove: (e) => hint(e, says(one)), onpointerleave: unhint });
    picture.append(one.box);
    x += w;
  }
  picture.addEventListener("keydown", (e) => {
    const by = { ArrowRight: 1, ArrowLeft: -1, Home: -boxes.length, End: boxes.length }[e.key];
    if (e.key === "Enter" && current >= 0) inspect(m, boxes[current].i); else if (by && boxes.length) {
      if (current >= 0) boxes[current].box.classList.remove("on");
      current = Math.max(0, Math.min(boxes.length - 1, current + by)); boxes[current].box.classList.add("on");
      line.textContent = says(boxes[current]).replaceAll("\n", " · ");
    } else return;
    e.preventDefault();
  });
  picture.append(draw("text", { x: 0, y: 41 }, "0"), draw("text", { x: W, y: 41, "text-anchor": "end" }, seconds(total)), draw("text", { x: W / 2, y: 41, "text-anchor": "middle" }, "time, layer by layer"));
  return picture;
}
