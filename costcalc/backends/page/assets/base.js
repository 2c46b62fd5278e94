"use strict";
// What all views share. Names are only ever put into text, never into markup.
const DATA = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
// Told apart also by who does not see red, green or blue; dark letters can be read on each.
const INK = ["#4a80f0", "#db994c", "#15ac89", "#d05558", "#f9da41", "#5ae1fe", "#a388b6", "#bce7a5"];
const OTHER = "#cbcbcb";

function put(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(node.style, value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value !== true ? value : name.startsWith("aria-") ? "true" : "");
  }
  for (const child of children) if (child !== null && child !== undefined) node.append(child);
  return node;
}
const el = (tag, attributes, ...children) => put(document.createElement(tag), attributes, children);
const draw = (tag, attributes, ...children) => put(document.createElementNS(SVG, tag), attributes, children);
// Pictures are as wide as there is room when they are drawn, so that their words can be read on a phone.
const widthIn = (box, most) => Math.round(Math.max(320, Math.min(most, box.clientWidth || most)));
const pen = document.createElement("canvas").getContext("2d"), FAMILY = getComputedStyle(document.body).fontFamily;
const wide = (text, weight) => { pen.font = `${weight || 400} 12px ${FAMILY}`; return pen.measureText(text).width; };
// A name is whole, or both its ends, of which the last tells one from the next; or it is left out.
function fitted(text, room, weight) {
  if (wide(text, weight) <= room) return text;
  for (let keep = Math.min(text.length - 1, 200); keep >= 5; keep--) {
    const cut = text.slice(0, Math.ceil(keep / 2)) + "…" + text.slice(text.length - Math.floor(keep / 2));
    if (wide(cut, weight) <= room) return cut;
  }
  return "";
}
// The same by letters, where a name may have several lines.
const NARROW = matchMedia("(max-width: 48rem)").matches, MOST_LETTERS = NARROW ? 44 : 120;
const shortened = (text) => (text.length <= MOST_LETTERS ? text : text.slice(0, MOST_LETTERS / 2 - 1) + "…" + text.slice(-MOST_LETTERS / 2));
// A picture that takes keys: for who hears the page they go to it, and not to the reader.
const CHART = { role: "application", "aria-roledescription": "chart", tabindex: 0 };
const $ = (selector) => document.querySelector(selector);

// -- figures as people read them: three digits and a unit ------------------------------------------
const three = (v) => (v ? v.toFixed(v < 9.995 ? 2 : v < 99.95 ? 1 : 0) : "0");
function scaled(n, base, units) {
  let step = 0, v = Math.abs(n);
  while (v >= base - 0.5 && step < units.length - 1) { v /= base; step++; }
  return (n < 0 ? "-" : "") + three(v) + " " + units[step];
}
const count = (n) => (Math.abs(n) < 1000 ? String(n) : scaled(n, 1000, ["", "k", "M", "G", "T", "P", "E", "Z", "Y"]));
function size(bits) {
  const bytes = bits / 8;
  return Math.abs(bytes) < 1024 ? bytes + " B" : scaled(bytes, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]);
}
function small(t, unit) {
  let step = 0;
  while (t && t < 0.9995 && step < 5) { t *= 1000; step++; }
  return three(t) + " " + ["", "m", "µ", "n", "p", "f"][step] + unit;
}
const seconds = (t) => small(t, "s");
const rate = (v, unit) => scaled(v, 1000, ["", "k", "M", "G", "T", "P", "E"]) + unit;
const percent = (part, whole) => { const p = 100 * part / whole; return !whole ? "–" : p >= 0.05 ? p.toFixed(1) + "%" : p ? "<0.1%" : "0%"; };
const UNITS = { count, bits: size, seconds, joules: (e) => small(e, "J"), ratio: (v) => v.toFixed(1) };
const shown = (figure, value) => (value === null || value === undefined ? "" : typeof value === "string" ? value : UNITS[figure.unit](value));
function exact(figure, value) {
  if (typeof value !== "number") return value || "";
  if (figure.unit === "bits") return (value / 8).toLocaleString("en") + " bytes";
  return figure.unit === "count" && Number.isSafeInteger(value) ? value.toLocaleString("en") + " " + figure.title : shown(figure, value);
}

// -- a model: its rows as a tree --------------------------------------------------------------------
function model(data) {
  const { rows } = data, n = rows.label.length, path = [];
  const m = { ...data, n, name: [], parent: [], inside: [], top: [] };
  for (let i = 0; i < n; i++) {
    const level = rows.level[i], above = level ? path[level - 1] : -1;
    m.parent.push(above); m.inside.push([]);
    m.name.push(above < 0 ? rows.label[i] : m.name[above] + "." + rows.label[i]);
    (above < 0 ? m.top : m.inside[above]).push(i);
    path[level] = i;
  }
  m.isBlock = (i) => rows.block[i] === 1;
  m.kind = (i) => data.kinds[rows.kind[i]];
  m.value = (figure, i) => rows.values[figure][i];
  // By its layers, so that areas add up: what several share counts in each.
  m.sums = (figure) => {
    const sums = rows.values[figure].map((v, i) => (m.isBlock(i) || typeof v !== "number" ? 0 : v));
    for (let i = n - 1; i >= 0; i--) if (m.parent[i] >= 0) sums[m.parent[i]] += sums[i];
    return sums;
  };
  m.maps = [...data.figures, ...(data.mapped || [])]; // treemaps are also of what no table has
  m.figure = Object.fromEntries(m.maps.map((f) => [f.name, f]));
  m.lead = m.figure.time ? "time" : "macs";
  const by = new Map();
  for (let i = 0; i < n; i++) if (!m.isBlock(i)) by.set(m.kind(i), (by.get(m.kind(i)) || 0) + (Number(m.value(m.lead, i)) || 0) / (Number(data.total[m.lead]) || 1));
  m.shares = by;
  m.colour = (i) => INK[m.legend.indexOf(m.kind(i))] || OTHER;
  return m;
}
// Models on one page have the same colours: the kinds of layer of which all together have most.
function colours(models) {
  const by = new Map();
  for (const m of models) for (const [kind, share] of m.shares) by.set(kind, (by.get(kind) || 0) + share);
  const ranked = [...by.entries()].sort((a, b) => b[1] - a[1]).map((e) => e[0]).slice(0, INK.length);
  for (const m of models) m.legend = ranked;
}
function legend(m) {
  const items = m.legend.map((kind, i) => el("li", {}, el("i", { style: { background: INK[i] } }), kind)).filter((_, i) => m.shares.has(m.legend[i]));
  return el("ul", { class: "legend", "aria-label": "colours" }, ...items);
}

// -- what is told of a layer -------------------------------------------------------------------------
const tip = el("div", { id: "tip", role: "tooltip", hidden: true });
document.body.append(tip);
function hint(event, text) {
  tip.textContent = text; tip.hidden = false;
  const box = tip.getBoundingClientRect(), x = event.clientX, y = event.clientY;
  tip.style.left = Math.max(4, Math.min(x + 14, innerWidth - box.width - 6)) + "px";
  tip.style.top = (y + 18 + box.height > innerHeight ? y - box.height - 10 : y + 18) + "px";
}
const unhint = () => { tip.hidden = true; };
const inspector = $("#inspector");
let before = null;
function inspect(m, i) {
  if (inspector.hidden) before = document.activeElement;
  const lines = [];
  const add = (name, ...texts) => lines.push(el("dt", {}, name), el("dd", {}, ...texts.filter(Boolean).map((t) => el("div", {}, t))));
  const told = m.explanations[m.rows.explanation[i]];
  if (!told) for (const f of m.figures) {
    const v = m.value(f.name, i);
    if (v) add(f.title, exact(f, v) === shown(f, v) ? "" : exact(f, v), shown(f, v));
  }
  for (const [name, letters, numbers, value] of told || []) add(name, letters, numbers && "= " + numbers, (letters ? "= " : "") + value);
  const module = m.modules[m.rows.module[i]];
  const about = [m.kind(i), module, m.shapes[m.rows.shape[i]]].filter(Boolean).join(" · ");
  const share = m.figure[m.lead], part = m.value(m.lead, i);
  inspector.replaceChildren(
    el("button", { class: "close", "aria-label": "close", onclick: leave }, "×"), el("h2", {}, m.name[i]), el("p", { class: "soft" }, about),
    typeof part === "number" ? el("p", {}, percent(part, m.total[m.lead]) + " of the " + share.title) : null, el("dl", {}, ...lines));
  inspector.hidden = false; inspector.scrollTop = 0;
}
function leave() { inspector.hidden = true; if (before && before.isConnected) before.focus(); }
document.addEventListener("keydown", (e) => { if (e.key === "Escape" && !inspector.hidden) { leave(); e.stopPropagation(); } }, true);
const brief = (m, i, ...more) => {
  const told = (m.explanations[m.rows.explanation[i]] || []).filter((line) => line[1]), first = told.find((line) => line[0] === "MACs") || told.find((line) => line[0] === "ops") || told[0];
  return [m.name[i], m.kind(i), ...more, first && `${first[0]} ${first[1]}\n= ${first[2]}\n= ${first[3]}`].filter(Boolean).join("\n");
};
function choice(label, options, chosen, then) {
  const buttons = options.map(([value, title]) => el("button", { type: "button", "aria-pressed": String(value === chosen), onclick: () => {
    buttons.forEach((b, k) => b.setAttribute("aria-pressed", String(options[k][0] === value))); then(value); } }, title));
  return el("div", { role: "group", "aria-label": label, class: "tools" }, ...buttons);
}
