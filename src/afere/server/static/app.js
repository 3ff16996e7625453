// afere in the browser. Everything works without this file; it adds speed for hands that know the keys.
// No dependency, no inline handler, no eval: fits script-src 'self'.

const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const one = (selector, root = document) => root.querySelector(selector);
const typing = (target) => target.closest("input, textarea, select, [contenteditable]");
const base = document.body.dataset.base ?? "";
const icons = new URL("icons.svg", import.meta.url).pathname;

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `${icons}#${name}`);
  svg.append(use);
  return svg;
}

// ---- theme: system, light, dark, in a cookie; the server writes data-theme from it, so nothing flashes
const themes = ["system", "light", "dark"];
function nextTheme() {
  const now = document.documentElement.dataset.theme ?? "system";
  const chosen = themes[(themes.indexOf(now) + 1) % 3];
  if (chosen === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  const age = chosen === "system" ? 0 : 31536000;
  document.cookie = `afere-theme=${chosen}; path=/; max-age=${age}; samesite=strict`;
  const after = themes[(themes.indexOf(chosen) + 1) % 3];
  for (const button of all("[data-theme-toggle]")) {
    button.value = after;
    button.title = button.ariaLabel = `Theme: ${chosen}. Press for ${after}.`;
  }
  toast(`Theme: ${chosen}`);
}

// ---- toasts: what happened, in one line
function toast(text, mark = "check") {
  const holder = one(".toasts") ?? document.body.appendChild(make("div", { class: "toasts", role: "status" }));
  const item = make("div", { class: "toast" }, icon(mark), make("span", {}, text));
  holder.append(item);
  setTimeout(() => item.remove(), 4000);
}

// ---- copy
async function copy(button) {
  const text = button.dataset.copy ?? one(button.dataset.copyFrom)?.textContent ?? "";
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied");
  } catch {
    toast("The browser refused to copy. Select the text instead.", "alert");
  }
}

// ---- tabs: one panel of a group, by id. Without script the style sheet shows all panels.
function choose(tab) {
  for (const other of all("[role=tab]", tab.closest("[role=tablist]"))) {
    const on = other === tab;
    other.setAttribute("aria-selected", on);
    other.tabIndex = on ? 0 : -1;
    const panel = document.getElementById(other.getAttribute("aria-controls"));
    if (panel) panel.hidden = !on;
  }
}

function walk(group, from, step) {
  const items = all("[role=tab]", group);
  const next = items[Math.max(0, Math.min(items.length - 1, items.indexOf(from) + step))];
  if (next !== from) choose(next), next.focus();
}

// ---- rows: j and k move, Enter opens
let at = -1;
function moveRow(step) {
  const rows = all("[data-rows] tr:has(a), [data-rows] > li:has(a), details.case");
  if (!rows.length) return;
  const here = rows.indexOf(document.activeElement.closest("tr, li, details.case")); // rows may have come above
  at = Math.max(0, Math.min(rows.length - 1, (here >= 0 ? here : at) + step));
  one("a, summary", rows[at]).focus({ preventScroll: true });
  rows[at].scrollIntoView({ block: "nearest" });
}

// ---- command palette: the pages of the navigation, then the text of traces
function palette() {
  let dialog = one("dialog.palette");
  if (!dialog) {
    const input = make("input", { type: "search", placeholder: "Go to a page, a trace id, a name, or search traces", "aria-label": "Search" });
    const list = make("ul", { role: "listbox", "aria-label": "Results" });
    dialog = make("dialog", { class: "palette", "aria-label": "Search and commands" }, input, list,
      make("div", { class: "foot" }, make("kbd", {}, "↑"), make("kbd", {}, "↓"), " choose ", make("kbd", {}, "Enter"), " open ", make("kbd", {}, "Esc"), " close"));
    document.body.append(dialog);
    const pages = all(".nav a[href]:not(.nav-shut)").map((a) => [one("use", a).getAttribute("href").split("#")[1], one("span", a).textContent, a.getAttribute("href"), "Page"]);
    pages.push(["theme", "Switch theme", "#theme", "Command"], ["keyboard", "Show keyboard shortcuts", "#keys", "Command"]);
    const found = (text) => {
      const words = text.toLowerCase().split(/\s+/).filter(Boolean);
      const list = pages.filter((entry) => words.every((word) => entry[1].toLowerCase().includes(word)));
      if (/^[0-9a-f]{6,32}$/.test(text)) list.push(["trace", `trace ${text}`, `${base}/traces/${text}`, "Open by id"]);
      if (/^([a-z]+:)?[a-z0-9._-]+([@~][a-z0-9_-]+)?$/.test(text)) list.push(["lineage", text, `${base}/artifacts/${encodeURIComponent(text)}`, "Artifact"]);
      if (text) list.push(["search", `Traces with ${text}`, `${base}/traces?${new URLSearchParams({ q: /[:"<>]/.test(text) ? text : `"${text}"` })}`, "Search"]);
      return list;
    };
    dialog.refresh = () => list.replaceChildren(...found(input.value.trim()).map(([mark, text, href, where], index) =>
      make("li", { role: "presentation" }, make("a", { href, role: "option", "aria-selected": index === 0 }, icon(mark), text, make("span", { class: "quiet" }, where)))));
    input.addEventListener("input", dialog.refresh);
    list.addEventListener("click", (event) => {
      const link = event.target.closest("a");
      if (link?.hash === "#theme" || link?.hash === "#keys") event.preventDefault(), dialog.close(), link.hash === "#theme" ? nextTheme() : keys();
    });
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("keydown", (event) => {
      const links = all("a", list), now = links.findIndex((a) => a.ariaSelected === "true");
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step && links.length) {
        event.preventDefault();
        links[now].ariaSelected = "false";
        const next = links[(now + step + links.length) % links.length];
        next.ariaSelected = "true";
        next.scrollIntoView({ block: "nearest" });
      } else if (event.key === "Enter" && links[now]) event.preventDefault(), links[now].click();
    });
  }
  if (!dialog.open) dialog.showModal();
  one("input", dialog).value = "";
  dialog.refresh();
}

// ---- keyboard help
const places = { h: "", t: "/traces", s: "/sessions", u: "/users", e: "/experiments", p: "/prompts", d: "/datasets" };
function keys() {
  const known = [["/", "the filter, or search"], ["Ctrl K", "search and commands"], ["g then h t s u e p d", "home, traces, sessions, users, experiments, prompts, datasets"], ["j k", "next, previous row"],
    ["↑ ↓ ← →", "through the steps of a trace; fold and unfold"], ["e", "next failed step of a trace"], ["l", "pause or go on with new traces"], ["?", "this list"]];
  const rows = known.flatMap(([key, what]) => [make("dt", {}, make("kbd", {}, key)), make("dd", {}, what)]);
  const dialog = make("dialog", { "aria-label": "Keyboard shortcuts" }, make("header", {}, make("h2", {}, "Keyboard")),
    make("div", { class: "body" }, make("dl", { class: "pairs" }, ...rows)));
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
}

// ---- one listener per kind of event
document.addEventListener("click", (event) => {
  if (!event.target.closest(".switch")) for (const menu of all(".switch[open]")) menu.open = false;
  const target = event.target.closest("button, a");
  if (!target || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (target.matches("[data-theme-toggle]")) event.preventDefault(), nextTheme();
  else if (target.matches("[data-find]")) event.preventDefault(), palette();
  else if (target.matches("[data-copy], [data-copy-from]")) copy(target);
  else if (target.matches("[role=tab]")) choose(target);
  else if (target.dataset.open) event.preventDefault(), document.getElementById(target.dataset.open)?.showModal();
  else if (target.matches("[data-close]")) event.preventDefault(), target.closest("dialog").close();
});

let prefix = "";
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "k") return event.preventDefault(), palette();
  const group = event.target.closest("[role=tablist]");
  const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
  if (group && step) return event.preventDefault(), walk(group, event.target, step);
  if (event.key === "Escape" && location.hash === "#nav") location.hash = "page";
  if (event.ctrlKey || event.metaKey || event.altKey || one("dialog[open]") || typing(event.target)) return;
  if (prefix === "g" && event.key in places) location.href = `${base}${places[event.key]}`;
  prefix = event.key === "g" ? "g" : "";
  if (event.key === "/") event.preventDefault(), one("[data-filter]") ? one("[data-filter]").focus() : palette();
  else if (event.key === "?") keys();
  else if (event.key === "j") moveRow(1);
  else if (event.key === "k") moveRow(-1);
});

// ---- a form whose answer takes long says what is going on, and for how long, until the next page is there
document.addEventListener("submit", (event) => {
  const form = event.target;
  const waits = event.submitter?.dataset.waits ?? form.dataset.waits;
  if (event.defaultPrevented || !waits) return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "yes";
  const file = one("input[type=file]", form)?.files[0];
  const what = file ? `${waits}: ${file.name}, ${(file.size / 1048576).toFixed(1)} MB` : waits;
  const seconds = make("span", { class: "num", "aria-hidden": "true" });
  const state = make("p", { class: "waiting", role: "status" }, make("span", {}, `${what} `), seconds, make("progress", { "aria-label": waits }));
  form.append(state);
  form.ariaBusy = "true";
  const begun = Date.now();
  const ticking = setInterval(() => (seconds.textContent = `${Math.round((Date.now() - begun) / 1000)} s`), 1000);
  window.addEventListener("pageshow", () => {
    clearInterval(ticking);
    state.remove();
    delete form.dataset.sent;
    form.ariaBusy = null;
  }, { once: true });
});

// ---- a look that takes long: its value comes when it is done, and then the page is ready
async function looked() {
  const answer = await fetch(location.href);
  if (answer.status === 202) return setTimeout(looked, 1000);
  if (answer.ok) return location.reload();
  const said = new DOMParser().parseFromString(await answer.text(), "text/html"); // to load it again would be to look again
  one("#page").replaceWith(said.querySelector("#page"));
  document.title = said.title;
}
if (one("[data-looking]")) looked().catch(() => {});

export { all, one, make, icon, toast, typing, base };
