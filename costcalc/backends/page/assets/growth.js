// What one place sees of the image, from layer to layer.
function growthView(m, box) {
  const { image, layers } = m.growth, n = layers.at.length, W = widthIn(box, 700), H = Math.round(Math.max(260, Math.min(380, W * 0.58))), left = 48, bottom = 34, top = 14, axes = image.length;
  const wide = axes > 1 ? image[axes - 1] : image[0], tall = axes > 1 ? image[axes - 2] : Math.max(1, image[0] / 12);
  const of = (k) => [axes > 1 ? layers.size[k][axes - 1] : layers.size[k][0], axes > 1 ? layers.size[k][axes - 2] : tall];
  const edge = Math.max(wide, tall), most = Math.max(edge, ...layers.size.map((s) => Math.max(...s)));
  const X = (k) => left + (W - left - 10) * (k + 0.5) / n, Y = (v) => H - bottom - (H - bottom - top) * Math.log(Math.max(v, 1)) / Math.log(Math.max(most, 2));
  const picture = draw("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", tabindex: 0, "aria-label": "receptive field, layer by layer: arrow keys go from layer to layer" });
  for (let v = 1; v <= most; v *= 4) picture.append(draw("line", { class: "axis", x1: left, x2: W - 10, y1: Y(v), y2: Y(v) }), draw("text", { x: left - 6, y: Y(v) + 4, "text-anchor": "end" }, v));
  // Where each place sees everything the line goes on at what was reached: there is no window any more.
  let d = "", reached = 1;
  for (let k = 0; k < n; k++) { reached = layers.everything[k] ? Math.max(reached, wide) : of(k)[0]; d += `${k ? "V" : "M" + X(k) + " "}${Y(reached)}${k < n - 1 ? "H" + X(k + 1) : ""}`; }
  picture.append(draw("line", { class: "mark", x1: left, x2: W - 10, y1: Y(wide), y2: Y(wide) }), draw("text", most > edge ? { class: "strong", x: W - 12, y: Y(wide) + 14, "text-anchor": "end" } : { class: "strong", x: left + 6, y: Y(wide) - 5 }, `the image, ${wide} pixels`), draw("path", { class: "step grew", d }));
  const cursor = draw("line", { class: "mark", y1: top, y2: H - bottom });
  picture.append(cursor, draw("text", { x: left, y: H - 12 }, "first layer"), draw("text", { x: W - 10, y: H - 12, "text-anchor": "end" }, "last layer"));
  const S = 300, frame = 1.6 * edge, k0 = S / frame, scene = draw("svg", { class: "scene", viewBox: `0 0 ${S} ${S + 18}`, role: "img", "aria-label": "the window over the image" });
  const rect = (w, h, c) => draw("rect", { class: c, x: S / 2 - Math.min(w, frame) * k0 / 2, y: S / 2 - Math.min(h, frame) * k0 / 2, width: Math.min(w, frame) * k0, height: Math.min(h, frame) * k0 });
  const line = el("p", { "aria-live": "polite" }), label = (k) => layers.size[k].slice(-2).join("×");
  // Rings over the image: where the window has become so much larger that its size has room above the one before.
  const rings = [], room = 13;
  for (let k = 0, last = 0; k < n; k++) {
    const h = of(k)[1] * k0 / 2;
    if (!layers.everything[k] && h > last + (last ? room : 4) && of(k)[1] <= frame && of(k)[0] <= frame && (axes > 1 || !rings.length)) { rings.push(k); last = h; }
  }
  const over1 = S / 2 - tall * k0 / 2;
  function ring(k, now) {
    const y = S / 2 - Math.min(of(k)[1], frame) * k0 / 2, clear = Math.abs(y - over1) > room;
    const b = draw("text", { class: now ? "strong" : null, x: S / 2, y: y - 2, "text-anchor": "middle", "font-size": 9 }, label(k));
    return [rect(...of(k), now ? "window" : "ring"), clear && y > 10 ? b : null];
  }
  let at = 0;
  function show(k) {
    at = k; const h = of(k)[1];
    cursor.setAttribute("x1", X(k)); cursor.setAttribute("x2", X(k));
    const mine = Math.min(h, frame) * k0 / 2, others = rings.filter((r) => Math.abs(of(r)[1] * k0 / 2 - mine) > room);
    scene.replaceChildren(rect(wide, tall, "image"));
    const called = draw("text", { class: "strong", x: S / 2, y: Math.min(S / 2 + tall * k0 / 2 + 11, S + 13), "text-anchor": "middle", "font-size": 10 }, "image " + image.join("×"));
    put(scene, {}, [...others.flatMap((r) => ring(r, false)), ...(layers.everything[k] ? [rect(wide, tall, "window")] : ring(k, true)), called]);
    line.textContent = `${m.name[layers.at[k]]}: ` + (layers.everything[k] ? "each place sees the whole image" : `${layers.bound[k] ? "at most " : ""}${layers.size[k].join("×")} pixels, every ${layers.stride[k].map((v) => +v.toFixed(3)).join("×")}` + (layers.size[k].some((v, a) => v > image[a]) ? `, of which at most ${layers.seen[k].join("×")} are in the image` : ""));
  }
  const where = (e) => { const r = picture.getBoundingClientRect(); return Math.max(0, Math.min(n - 1, Math.floor(((e.clientX - r.left) / r.width * W - left) / (W - left - 10) * n))); };
  picture.addEventListener("pointermove", (e) => show(where(e)));
  picture.addEventListener("keydown", (e) => { const by = { ArrowRight: 1, ArrowLeft: -1 }[e.key]; if (!by) return; e.preventDefault(); show(Math.max(0, Math.min(n - 1, at + by))); });
  box.replaceChildren(el("div", { class: "two" }, picture, el("div", {}, scene, line)));
  const over = layers.at.indexOf(m.growth.exceeds);
  show(over >= 0 ? over : n - 1);
}
