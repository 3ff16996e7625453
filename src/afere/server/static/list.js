// The list of traces: counts beside it, a part of the time chosen by dragging, new traces as they come.
// Without this file the list is complete as it was when it was asked for; counts have a page of their own.
import { one, toast, typing } from "./app.js";

const second = 1000;

// ---- the first span of a new project turns the page into the list
const waiting = one("[data-waiting]");
if (waiting) {
  const look = setInterval(async () => {
    if (document.hidden) return;
    const answer = await fetch(waiting.dataset.waiting).catch(() => null);
    if (answer?.ok && (await answer.json()).items.length) clearInterval(look), location.reload();
  }, 2 * second);
}

// ---- counts over time and by field, read after the list is there
const over = one("[data-over]");
async function count() {
  const answer = await fetch(over.dataset.over, { headers: { accept: "text/html" } }).catch(() => null);
  if (!answer?.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const section = one("[data-over-section]", page);
  const facets = one("[data-facets]", section);
  if (facets) {
    facets.open = localStorage.getItem("afere-facets") === "open";
    facets.addEventListener("toggle", () => localStorage.setItem("afere-facets", facets.open ? "open" : ""));
  }
  over.replaceChildren(document.adoptNode(section));
  over.dataset.counted = "yes";
  one("[data-verdict]").textContent = one("[data-verdict]", page).textContent;
  if (one("[data-histogram]")) drag(one("[data-histogram]"));
}

function drag(chart) {
  const figure = one("svg", chart);
  const since = Number(chart.dataset.since) / 1e6, before = Number(chart.dataset.before) / 1e6; // milliseconds
  const slots = 48;
  let from = null;
  const mark = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  for (const [name, value] of Object.entries({ class: "chosen", y: 0, height: 100, width: 0, x: 0 })) mark.setAttribute(name, value);
  figure.append(mark);
  const share = (event) => Math.min(Math.max((event.clientX - figure.getBoundingClientRect().left) / figure.getBoundingClientRect().width, 0), 1);
  figure.addEventListener("pointerdown", (event) => {
    from = share(event);
    figure.setPointerCapture(event.pointerId);
  });
  figure.addEventListener("pointermove", (event) => {
    if (from === null) return;
    const [low, high] = [from, share(event)].sort((a, b) => a - b);
    mark.setAttribute("x", low * 1000);
    mark.setAttribute("width", (high - low) * 1000);
  });
  figure.addEventListener("pointercancel", () => ((from = null), mark.setAttribute("width", 0)));
  figure.addEventListener("pointerup", (event) => {
    if (from === null) return;
    let [low, high] = [from, share(event)].sort((a, b) => a - b);
    if (high - low < 1 / slots / 2) (low = Math.floor(low * slots) / slots), (high = low + 1 / slots); // a click: that bar
    from = null;
    const at = (part) => new Date(since + (before - since) * part).toISOString();
    const until = high >= 1 ? "" : ` before:${at(high)}`;
    const query = new URLSearchParams(location.search);
    query.delete("cursor");
    query.delete("view");
    query.set("q", `${chart.dataset.rest} since:${at(low)}${until}`.trim());
    location.search = query;
  });
}

// ---- live: what came since is asked for every two seconds while somebody looks, 50 traces at most
const list = one("[data-list]");
const button = one("[data-live]");
const most = 300; // rows on the page
let newest = list?.dataset.newest, counted = Date.now(), came = 0, busy = false;

async function look() {
  if (busy || document.hidden || button.ariaPressed !== "true") return;
  const body = one("[data-rows]", list);
  const watched = [...list.querySelectorAll("tr[data-running]")].map((row) => row.dataset.trace).slice(0, 20);
  const query = new URLSearchParams({ q: list.dataset.q, after: newest, watch: watched.join(","), slowest: Math.round(Number(list.dataset.slowest) * 1000) });
  busy = true;
  try {
    const answer = await fetch(`${list.dataset.new}?${query}`, { headers: { accept: "text/html" } });
    if (!answer.ok) throw new Error(answer.statusText);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (button.ariaPressed !== "true") return;
    if (!body) return page.querySelector("tr[data-trace]") ? location.reload() : null;
    show(body, page);
  } catch {
    live(false);
    toast("New traces could not be read. Is the server still running?", "alert");
  } finally {
    busy = false;
  }
}

function show(body, page) {
  newest = one("table", page).dataset.newest;
  for (const row of page.querySelectorAll("[data-again] tr")) body.querySelector(`[data-trace="${CSS.escape(row.dataset.trace)}"]`)?.replaceWith(document.adoptNode(row));
  const fresh = [...page.querySelectorAll("[data-new] tr")].filter((row) => !body.querySelector(`[data-trace="${CSS.escape(row.dataset.trace)}"]`));
  if (!fresh.length) return;
  const height = document.documentElement.scrollHeight, low = scrollY > 400;
  for (const row of fresh.reverse()) {
    const start = BigInt(row.dataset.start);
    const below = [...body.rows].find((other) => BigInt(other.dataset.start) < start) ?? null;
    row.classList.add("came");
    body.insertBefore(document.adoptNode(row), below);
  }
  while (body.rows.length > most) body.rows[body.rows.length - 1].remove();
  if (low) scrollBy(0, document.documentElement.scrollHeight - height); // what is being read stays where it is
  came += fresh.length;
  const more = one("table", page).dataset.more ? ", and more than fit here: reload for all" : "";
  one("[data-came]", list).textContent = `${came} came while you looked${more}`;
  one("[data-shown]", list).textContent = `${body.rows.length} traces`;
  if (Date.now() - counted > 15 * second) (counted = Date.now()), count();
}

function live(on) {
  button.ariaPressed = on;
  one("span", button).textContent = on ? "Live" : "Paused";
  sessionStorage.setItem("afere-live", on ? "" : "paused");
}

if (over) count();
if (button && list) {
  button.hidden = false;
  live(sessionStorage.getItem("afere-live") !== "paused");
  button.addEventListener("click", () => live(button.ariaPressed !== "true"));
  document.addEventListener("keydown", (event) => {
    if (event.key === "l" && !event.ctrlKey && !event.metaKey && !event.altKey && !typing(event.target) && !one("dialog[open]")) live(button.ariaPressed !== "true");
  });
  setInterval(look, 2 * second);
}
