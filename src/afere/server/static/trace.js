// The steps of a trace: only the rows that are in sight are in the page, so that 30,000 steps scroll like 30.
// Without this file the server's own rows, 500 a page, do the same work by links.
import { icon, make, one, toast, typing } from "./app.js";

const tree = one("[data-steps]");
const view = tree.parentElement;
const height = 34; // of a row, as in the style sheet
const spare = 12; // rows beyond each edge
const svg = "http://www.w3.org/2000/svg";
const failing = new Set(["error", "died"]);

let rows = []; // {id, level, name, kind, model, start, seconds, wait, state, critical, late, parent, more}
let seconds = 1; // of the whole run
const places = new Map(); // span id -> row
const folded = new Set();
let seen = []; // rows that are not folded away
let shown = new Map(); // row -> its element
let at = -1; // the selected row
let hits = new Set();

async function load() {
  const answer = await fetch(tree.dataset.steps);
  if (!answer.ok) throw new Error(answer.statusText);
  const table = await answer.json();
  const above = [];
  rows = table.rows.map(([id, level, name, kind, model, start, took, first, state, critical, late], place) => {
    places.set(id, place);
    return { id, level, name, kind, model, start, seconds: took, first, state, critical, late, parent: -1, more: false, place };
  });
  for (const row of rows) {
    if (row.late) continue; // what came after the answer stands apart, and cannot be folded
    above.length = row.level;
    row.parent = above[row.level - 1] ?? -1;
    if (row.parent >= 0) rows[row.parent].more = true;
    above[row.level] = row.place;
  }
  seconds = table.seconds;
}

function fold() {
  seen = [];
  let under = Infinity;
  for (const row of rows) {
    if (!row.late && row.level > under) continue;
    under = folded.has(row.place) ? row.level : Infinity;
    seen.push(row.place);
  }
  tree.style.height = `${seen.length * height}px`;
  for (const element of shown.values()) element.remove();
  shown = new Map();
  draw();
}

// ---- drawing
function draw() {
  const own = view.scrollHeight > view.clientHeight + 1;
  const top = own ? view.scrollTop : Math.max(0, -tree.getBoundingClientRect().top);
  const room = own ? view.clientHeight : innerHeight;
  const first = Math.max(0, Math.floor(top / height) - spare);
  const last = Math.min(seen.length, Math.ceil((top + room) / height) + spare);
  const wanted = new Set();
  for (let nth = first; nth < last; nth += 1) wanted.add(seen[nth]);
  if (at >= 0 && tree.contains(document.activeElement)) wanted.add(at); // focus is never taken away by scrolling
  for (const [place, element] of shown) if (!wanted.has(place)) element.remove(), shown.delete(place);
  for (const place of wanted) if (!shown.has(place)) add(place);
}

function add(place) {
  const nth = position(place);
  if (nth < 0) return;
  const element = item(rows[place]);
  element.style.top = `${nth * height}px`;
  shown.set(place, element);
  let next = null; // in the order of the tree, for those who hear the page
  for (const [other, there] of shown) if (other > place && (next === null || other < next[0])) next = [other, there];
  tree.insertBefore(element, next ? next[1] : null);
}

function position(place) {
  let low = 0, high = seen.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (seen[middle] === place) return middle;
    if (seen[middle] < place) low = middle + 1; else high = middle - 1;
  }
  return -1;
}

function item(row) {
  const link = make("a", { role: "treeitem", "aria-level": row.level + 1, "aria-setsize": rows.length, "aria-posinset": row.place + 1, "aria-selected": row.place === at,
    tabindex: row.place === at ? 0 : -1, href: `#${row.id}`, "data-span": row.id, title: row.name });
  if (row.more) link.setAttribute("aria-expanded", !folded.has(row.place));
  const note = [row.kind, row.model].filter(Boolean).join(", ");
  const name = make("span", {}, `${row.name} `, make("small", {}, note));
  const step = make("span", { class: `step d${Math.min(row.level, 12)}` }, name);
  if (row.more) step.prepend(make("span", { class: "fold", "data-fold": "" }, icon("right")));
  link.append(step, row.late ? make("span", { class: "quiet small fall" }, "after the answer") : bar(row));
  const took = make("span", { class: "num" }, row.seconds === null ? row.state : said(row.seconds));
  if (failing.has(row.state)) took.prepend(make("span", { class: "sr" }, "failed, "));
  link.append(took);
  const classes = [`k-${row.kind}`, row.late && "late", failing.has(row.state) && "fail", row.critical && "critical", hits.has(row.place) && "hit"];
  return make("li", { role: "none", class: classes.filter(Boolean).join(" ") }, link);
}

function bar(row) {
  const scale = 1000 / seconds, left = Math.min(Math.max(row.start * scale, 0), 998);
  const whole = Math.min((row.seconds ?? 0) * scale, 1000 - left), wait = Math.min((row.first ?? 0) * scale, whole);
  const figure = document.createElementNS(svg, "svg");
  const attributes = { class: "fall", viewBox: "0 0 1000 12", preserveAspectRatio: "none", "aria-hidden": "true" };
  for (const [name, value] of Object.entries(attributes)) figure.setAttribute(name, value);
  figure.append(rect("lane", 0, 1000));
  if (wait) figure.append(rect("wait", left, wait));
  figure.append(rect("", left + wait, Math.max(whole - wait, 2)));
  if (row.critical) figure.append(rect("path", left, Math.max(whole, 2), 14, 2));
  return figure;
}

function rect(kind, x, width, y = 0, tall = 12) {
  const made = document.createElementNS(svg, "rect");
  for (const [name, value] of Object.entries({ class: kind, x, width, y, height: tall })) made.setAttribute(name, value);
  return made;
}

function said(value) {
  if (value < 0.0995) return value >= 0.00095 || value === 0 ? `${Number((value * 1000).toPrecision(3))} ms` : `${Math.round(value * 1e6)} µs`;
  if (value < 0.9995) return `${Math.round(value * 1000)} ms`;
  if (value < 59.95) return `${value.toFixed(value < 9.995 ? 2 : 1)} s`;
  const all = Math.round(value), minutes = Math.floor(all / 60), hours = Math.floor(minutes / 60);
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours} h ${two(minutes % 60)} min` : `${minutes} min ${two(all % 60)} s`;
}

// ---- choosing a step, and fetching what it held
function choose(place, { focus = true, open = true } = {}) {
  if (place < 0 || place >= rows.length) return;
  let unfolded = false;
  for (let above = rows[place].parent; above >= 0; above = rows[above].parent) unfolded = folded.delete(above) || unfolded;
  const before = shown.get(at);
  at = place;
  if (before) one("a", before).ariaSelected = "false", one("a", before).tabIndex = -1;
  if (unfolded) fold();
  reveal(place);
  if (!shown.has(place)) draw();
  if (!shown.has(place)) add(place);
  const link = one("a", shown.get(place));
  link.ariaSelected = "true";
  link.tabIndex = 0;
  if (focus) link.focus({ preventScroll: true });
  if (open) openSoon(rows[place].id);
}

function reveal(place) {
  const top = position(place) * height;
  if (view.scrollHeight > view.clientHeight + 1) {
    if (top < view.scrollTop) view.scrollTop = top;
    else if (top + height > view.scrollTop + view.clientHeight) view.scrollTop = top + height - view.clientHeight;
  }
  draw();
}

let waiting = 0, asked = 0;
function openSoon(id) {
  history.replaceState(null, "", `#${id}`);
  clearTimeout(waiting);
  waiting = setTimeout(open, 60, id); // walking with a held key asks for the last one only
}

async function open(id) {
  const place = one("[data-span-panel]");
  const mine = (asked += 1);
  place.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(`${tree.dataset.here}/spans/${id}`, { headers: { accept: "text/html" } });
    const section = one("[data-span-section]", new DOMParser().parseFromString(await answer.text(), "text/html"));
    if (mine !== asked) return;
    if (!answer.ok || !section) throw new Error(answer.statusText);
    place.replaceChildren(document.adoptNode(section));
    place.scrollTop = 0;
  } catch {
    if (mine === asked) toast("This span could not be read. Is the server still running?", "alert");
  } finally {
    if (mine === asked) place.removeAttribute("aria-busy");
  }
}

function toggle(place, closed = !folded.has(place)) {
  if (!rows[place].more) return;
  if (closed) folded.add(place); else folded.delete(place);
  const inside = tree.contains(document.activeElement);
  fold();
  choose(place, { focus: inside, open: false });
}

// ---- search within the trace: names at once, contents by the server
const count = one("[data-tree-count]");
let searching = 0;
function search(text) {
  clearTimeout(searching);
  const wanted = text.trim().toLowerCase();
  hits = new Set(wanted ? rows.filter((row) => `${row.name} ${row.kind} ${row.model ?? ""}`.toLowerCase().includes(wanted)).map((row) => row.place) : []);
  tell(wanted);
  if (wanted.length > 1) searching = setTimeout(inside, 250, text.trim(), wanted);
}

async function inside(text, wanted) {
  const quoted = /[:<>"]/.test(text) ? text : `"${text}"`;
  const query = new URLSearchParams({ q: `trace:${tree.dataset.trace} ${quoted}`, limit: 1000 });
  const answer = await fetch(`${tree.dataset.spans}?${query}`).catch(() => null);
  if (!answer?.ok || one("[data-tree-find]").value.trim().toLowerCase() !== wanted) return;
  for (const span of (await answer.json()).items) if (places.has(span.span_id)) hits.add(places.get(span.span_id));
  tell(wanted);
}

function tell(wanted) {
  count.textContent = wanted ? `${hits.size.toLocaleString("en")} found` : "";
  for (const [place, element] of shown) element.classList.toggle("hit", hits.has(place));
}

function next(matches, step = 1) {
  for (let far = 1; far <= rows.length; far += 1) {
    const place = (((at + step * far) % rows.length) + rows.length) % rows.length;
    if (matches(place)) return choose(place, { focus: document.activeElement !== one("[data-tree-find]") });
  }
  toast("There is none.", "alert");
}
const nextError = () => next((place) => failing.has(rows[place].state));

function keys(event) {
  if (event.key.startsWith("Arrow")) event.preventDefault();
  ready.then(() => walk(event));
}

function walk(event) {
  const from = places.get(event.target.closest("[role=treeitem]")?.dataset.span) ?? at;
  if (from !== at) choose(from, { open: false }); // focus can stand on another row than the selection
  const row = rows[at];
  if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
  const nth = position(at);
  const moves = {
    ArrowDown: () => choose(seen[Math.min(nth + 1, seen.length - 1)]),
    ArrowUp: () => choose(seen[Math.max(nth - 1, 0)]),
    PageDown: () => choose(seen[Math.min(nth + 15, seen.length - 1)]),
    PageUp: () => choose(seen[Math.max(nth - 15, 0)]),
    Home: () => choose(seen[0]),
    End: () => choose(seen[seen.length - 1]),
    ArrowRight: () => (row.more ? (folded.has(at) ? toggle(at, false) : choose(at + 1)) : null),
    ArrowLeft: () => (row.more && !folded.has(at) ? toggle(at, true) : row.parent >= 0 ? choose(row.parent) : null),
  };
  if (moves[event.key]) event.preventDefault(), moves[event.key]();
}

function begin() {
  const held = document.activeElement.closest?.("[data-steps] [role=treeitem]")?.dataset.span; // focus outlives the change of rows
  tree.classList.add("drawn");
  tree.replaceChildren();
  one("[data-tree-pages]")?.remove();
  const range = one("[data-tree-range]");
  if (range) range.textContent = `${rows.length.toLocaleString("en")}`;
  one("[data-tree-tools]").hidden = false;
  const wanted = places.get(location.hash.slice(1));
  at = places.get(held) ?? wanted ?? places.get(tree.dataset.selected) ?? 0;
  fold();
  choose(at, { focus: held !== undefined, open: wanted !== undefined && rows[at].id !== tree.dataset.selected });
  view.addEventListener("scroll", soon, { passive: true });
  addEventListener("scroll", soon, { passive: true });
  addEventListener("resize", soon);
  tree.addEventListener("click", (event) => {
    const link = event.target.closest("[role=treeitem]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const place = places.get(link.dataset.span);
    if (event.target.closest("[data-fold]")) return toggle(place);
    choose(place);
    if (innerWidth < 1100) one("[data-span-panel]").scrollIntoView({ block: "start" });
  });
  addEventListener("hashchange", () => {
    const place = places.get(location.hash.slice(1));
    if (place !== undefined) choose(place, { focus: false });
  });
  const find = one("[data-tree-find]");
  find.addEventListener("input", () => search(find.value));
  find.addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault(), next((place) => hits.has(place), event.shiftKey ? -1 : 1);
  });
  one("[data-tree-error]")?.addEventListener("click", nextError);
  one("[data-tree-fold]").addEventListener("click", (event) => {
    const close = folded.size === 0;
    folded.clear();
    if (close) for (const row of rows) if (row.more && row.level > 0) folded.add(row.place);
    event.currentTarget.setAttribute("aria-pressed", close);
    fold();
    choose(close ? 0 : at, { focus: false, open: false });
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "e" && !event.ctrlKey && !event.metaKey && !typing(event.target) && !one("dialog[open]")) nextError();
  });
  document.documentElement.dataset.steps = rows.length; // drawn: for those who watch from outside
}

let drawing = false;
function soon() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => ((drawing = false), draw()));
}

const ready = load().then(begin, () => toast("The steps could not be read; those of the page are shown.", "alert"));
tree.addEventListener("keydown", keys);
