// Labels by keyboard: 1 to 9 say a word, arrows and s move, u goes back to the last one said, x takes it back. The page works without this file.
import { all, one, typing } from "./app.js";

const form = one("[data-label]");
document.addEventListener("keydown", (event) => {
  if (!form || event.ctrlKey || event.metaKey || event.altKey || event.repeat || one("dialog[open]")) return;
  if (event.key === "Escape" && typing(event.target)) return event.target.blur();
  if (typing(event.target)) return;
  const target = all("[data-key]", form).find((element) => element.dataset.key.split(" ").includes(event.key));
  if (!target) return;
  event.preventDefault();
  target.click();
});
