// What one place sees of the image, from layer to layer: a line for each axis that grows otherwise.
function growthView(m, box) {
  const { image, layers } = m.growth, n = layers.at.length, W = widthIn(box, 700), H = Math.round(Math.max(260, Math.min(380, W * 0.58))), left = 48, right = 10, bottom = 34, top = 14, axes = image.length;
  const noun = axes === 2 ? "image" : "input", edge = Math.max(...image), most = Math.max(edge, ...layers.size.map((s) => Math.max(...s)));
  const from = (k) => left + (W - left - right) * k / n, X = (k) => from(k + 0.5), Y = (v) => H - bottom - (H - bottom - top) * Math.log(Math.max(v, 1)) / Math.log(Math.max(most, 2));
  const picture = draw("svg", { viewBox: `0 0 ${W} ${H}`, ...CHART, "aria-label": "receptive field, layer by layer: arrow keys go from layer to layer" });
  for (let v = 1; v <= most; v *= 4) picture.append(draw("line", { class: "axis", x1: left, x2: W - right, y1: Y(v), y2: Y(v) }), draw("text", { x: left - 6, y: Y(v) + 4, "text-anchor": "end" }, v));
  const alike = new Map();
  image.forEach((_, a) => { const key = layers.size.map((s) => s[a]).join(); if (!alike.has(key)) alike.set(key, []); alike.get(key).push(a); });
  const lines = [...alike.values()].sort((a, b) => image[b[0]] - image[a[0]]), edges = [...new Set(image)].sort((a, b) => b - a);
  let said = Infinity; // of edges that lie close together the upper one is named, with the others
  const near = (y) => Math.abs(y - said) < 16;
  for (const size of edges) {
    const y = Y(size), text = edges.length > 1 ? `${size} pixels of the ${noun}` : `the ${noun}, ${size} pixels`, below = most > edge;
    picture.append(draw("line", { class: "mark", x1: left, x2: W - right, y1: y, y2: y }));
    if (!near(y)) { said = y; picture.append(draw("text", below ? { class: "strong", x: W - right - 2, y: y + 14, "text-anchor": "end" } : { class: "strong", x: left + 6, y: y - 5 }, text)); }
  }
  lines.forEach((which, l) => {
    // Where each place sees everything the line goes on at what was reached: there is no window any more.
    let d = "", reached = 1;
    for (let k = 0; k < n; k++) { reached = layers.everything[k] ? Math.max(reached, image[which[0]]) : layers.size[k][which[0]]; d += `${k ? "V" : "M" + from(0) + " "}${Y(reached)}H${from(k + 1)}`; }
    picture.append(draw("path", { class: "step grew", d, "stroke-dasharray": [null, "7 3", "2 3"][l] }));
  });
  const cursor = draw("line", { class: "mark", y1: top, y2: H - bottom });
  picture.append(cursor, draw("text", { x: left, y: H - 12 }, "first layer"), draw("text", { x: W - right, y: H - 12, "text-anchor": "end" }, "last layer"));
  // The window over a picture of the image; of what has one axis over a strip of it, and so is each axis before the last two.
  const S = 300, room = 13, frame = 1.6 * Math.max(...image.slice(-2)), scale = S / frame, flat = axes < 2;
  const across = image[axes - 1], down = flat ? 26 / scale : image[axes - 2], tall = flat ? 52 : Math.min(frame, Math.max(down, ...layers.size.map((s) => Math.min(s[axes - 2], frame)))) * scale + 26;
  const of = (k) => [layers.size[k][axes - 1], flat ? down : layers.size[k][axes - 2]], mid = tall / 2;
  const scene = draw("svg", { class: "scene", viewBox: `0 0 ${S} ${tall + 18}`, role: "img", "aria-label": `the window over the ${noun}` }), strips = el("div", {});
  const rect = (w, h, c) => draw("rect", { class: c, x: S / 2 - Math.min(w, frame) * scale / 2, y: mid - Math.min(h, frame) * scale / 2, width: Math.min(w, frame) * scale, height: Math.min(h, frame) * scale });
  // Something to look at: hills below a sun, or a wave.
  function seen() {
    const w = across * scale, h = down * scale, x = (part) => S / 2 + (part - 0.5) * w, y = (part) => mid + (part - 0.5) * h;
    if (!flat) return [rect(across, down, "image"), draw("circle", { class: "scenery", cx: x(0.76), cy: y(0.24), r: 0.09 * Math.min(w, h) }), draw("path", { class: "scenery", d: `M${x(0)} ${y(1)}L${x(0)} ${y(0.72)}L${x(0.3)} ${y(0.4)}L${x(0.52)} ${y(0.74)}L${x(0.68)} ${y(0.56)}L${x(1)} ${y(0.86)}L${x(1)} ${y(1)}Z` })];
    let d = "M" + x(0) + " " + y(0.5);
    for (let i = 1; i <= 120; i++) d += `L${x(i / 120)} ${y(0.5 + 0.36 * Math.sin(i * 0.9) * Math.sin(i * 0.13 + 1))}`;
    return [rect(across, down, "image"), draw("path", { class: "scenery line", d })];
  }
  const line = el("p", { "aria-live": "polite" }), label = (k) => layers.size[k].slice(-2).join("×");
  // Rings over the image: where the window has become so much larger that its size has room above the one before.
  const rings = [];
  for (let k = 0, last = 0; k < n && !flat; k++) {
    const h = of(k)[1] * scale / 2;
    if (!layers.everything[k] && h > last + (last ? room : 4) && of(k)[1] <= frame && of(k)[0] <= frame) { rings.push(k); last = h; }
  }
  const over = mid - down * scale / 2;
  function ring(k, now) {
    const y = mid - Math.min(of(k)[1], frame) * scale / 2, clear = Math.abs(y - over) > room;
    const b = draw("text", { class: now ? "strong" : null, x: S / 2, y: y - 2, "text-anchor": "middle", "font-size": 9 }, label(k));
    return [rect(...of(k), now ? "window" : "ring"), clear && y > 10 && !flat ? b : null];
  }
  let at = 0;
  function show(k) {
    at = k;
    cursor.setAttribute("x1", X(k)); cursor.setAttribute("x2", X(k));
    const mine = Math.min(of(k)[1], frame) * scale / 2, others = rings.filter((r) => Math.abs(of(r)[1] * scale / 2 - mine) > room);
    const called = draw("text", { class: "strong", x: S / 2, y: tall + 12, "text-anchor": "middle", "font-size": 10 }, `${noun} ${image.join("×")}`);
    scene.replaceChildren(); put(scene, {}, [...seen(), ...others.flatMap((r) => ring(r, false)), ...(layers.everything[k] ? [rect(across, down, "window")] : ring(k, true)), called]);
    strips.replaceChildren(...image.slice(0, -2).map((size, a) => strip(size, layers.everything[k] ? size : layers.size[k][a])));
    line.textContent = `${m.name[layers.at[k]]}: ` + (layers.everything[k] ? `each place sees the whole ${noun}` : `${layers.bound[k] ? "at most " : ""}${layers.size[k].join("×")} pixels, every ${layers.stride[k].map((v) => +v.toFixed(3)).join("×")}` + (layers.size[k].some((v, a) => v > image[a]) ? `, of which at most ${layers.seen[k].join("×")} are in the ${noun}` : ""));
  }
  function strip(size, window) {
    const k = S / 1.6 / Math.max(size, 1), bar = (v, c) => draw("rect", { class: c, x: S / 2 - Math.min(v, 1.6 * size) * k / 2, y: 2, width: Math.min(v, 1.6 * size) * k, height: 10 });
    return draw("svg", { class: "scene", viewBox: `0 0 ${S} 30`, role: "img", "aria-label": `the window along the axis of ${size}` }, bar(size, "image"), bar(window, "window"), draw("text", { x: S / 2, y: 25, "text-anchor": "middle", "font-size": 9 }, `${window} along the axis of ${size}`));
  }
  const where = (e) => { const r = picture.getBoundingClientRect(); return Math.max(0, Math.min(n - 1, Math.floor(((e.clientX - r.left) / r.width * W - left) / (W - left - right) * n))); };
  picture.addEventListener("pointermove", (e) => show(where(e)));
  picture.addEventListener("keydown", (e) => { const by = { ArrowRight: 1, ArrowLeft: -1, Home: -n, End: n }[e.key]; if (!by) return; e.preventDefault(); show(Math.max(0, Math.min(n - 1, at + by))); });
  const names = lines.length < 2 ? null : el("ul", { class: "legend", "aria-label": "lines" }, ...lines.map((which, l) => el("li", {}, draw("svg", { class: "dash", viewBox: "0 0 24 8", "aria-hidden": true }, draw("path", { class: "step grew", d: "M0 4H24", "stroke-dasharray": [null, "7 3", "2 3"][l] })), `along ${which.map((a) => image[a]).join("×")}`)));
  box.replaceChildren(el("div", { class: "two" }, el("div", {}, picture, names), el("div", {}, scene, strips, line)));
  const outgrown = layers.at.indexOf(m.growth.exceeds);
  show(outgrown >= 0 ? outgrown : n - 1);
}
