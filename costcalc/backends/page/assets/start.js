// Each drawing has its place in the document, and draws what the document's data has of it.
const MODELS = DATA.models.map(model);
colours(MODELS);
function start() {
  document.querySelectorAll(".scripted").forEach((box) => { box.hidden = false; });
  const one = (name, draw) => document.querySelectorAll(`[data-drawing=${name}]`).forEach((box) => draw(MODELS[Number(box.dataset.model)], box));
  const follow = MODELS.length > 1;
  // What is compared is on one scale: all models of the page, or those of one change.
  const largest = (with_) => (figure) => Math.max(...MODELS.filter((m) => m.scale === with_.scale).map((m) => { const sums = m.sums(figure); return m.top.reduce((s, i) => s + sums[i], 0); }));
  const changes = [];
  one("treemap", (m, box) => changes.push(treemap(m, box, follow ? { figure: "macs", whole: largest(m), follow } : {})));
  const bar = $("[data-choice=treemap]");
  if (bar && MODELS.length) bar.append(choice("figure of the treemaps", MODELS[0].figures.map((f) => [f.name, f.title]), "macs", (name) => changes.forEach((change) => change(name))));
  one("layers", layerTable);
  one("roofline", (m, box) => roofline(m, box, range));
  one("memory", (m, box) => memoryView(m, box, follow ? Math.max(...MODELS.filter((o) => o.memory).flatMap((o) => o.memory.held)) : 0));
  one("growth", growthView);
  one("graph", graphView);
  document.querySelectorAll("[data-layer]").forEach((link) => link.addEventListener("click", (e) => { e.preventDefault(); inspect(MODELS[Number(link.dataset.model || 0)], Number(link.dataset.layer)); }));
}
// Several models' rooflines have the same axes.
const range = (() => {
  const lit = MODELS.filter((m) => m.roofline);
  if (MODELS.length < 2 || !lit.length) return null;
  const xs = lit.flatMap((m) => [m.roofline.peak / m.roofline.bandwidth, ...m.roofline.points.map((i) => (8 * m.value("macs", i)) / m.value("traffic", i))]);
  return [xs.reduce((a, b) => Math.min(a, b)) / 2, xs.reduce((a, b) => Math.max(a, b)) * 2.5];
})();
start();
