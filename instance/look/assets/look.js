// Every page: the theme, relative times, keys that stand beside their buttons. Works without it, too.
(() => {
  const root = document.documentElement;
  const stored = localStorage.getItem("theme");
  if (stored) root.dataset.theme = stored;
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const relative = (date) => {
    const seconds = Math.max(0, Math.round((Date.now() - date) / 1000));
    if (seconds < 60) return `${seconds} s ago`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
    if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
    return `${Math.floor(seconds / 86400)} d ago`;
  };
  const tick = () => document.querySelectorAll("time[data-relative]").forEach((time) => {
    const date = new Date(time.dateTime);
    time.title = date.toLocaleString();
    time.textContent = relative(date);
  });
  window.quarterdeck = { tick };
  addEventListener("DOMContentLoaded", () => {
    tick();
    setInterval(tick, 5000);
    document.querySelector("[data-theme-switch]")?.addEventListener("click", () => {
      root.dataset.theme = dark() ? "light" : "dark";
      localStorage.setItem("theme", root.dataset.theme);
    });
    document.querySelectorAll("[data-open]").forEach((button) => button.addEventListener("click", (event) => {
      const dialog = document.getElementById(button.dataset.open);
      if (!dialog) return;
      event.preventDefault();
      dialog.showModal();
    }));
    document.querySelectorAll("[data-confirm]").forEach((form) => form.addEventListener("submit", (event) => {
      if (!confirm(form.dataset.confirm)) event.preventDefault();
    }));
  });
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog[open]")) return;
    const target = document.querySelector(`[data-key="${CSS.escape(event.key)}"]:not([disabled])`);
    if (!target) return;
    event.preventDefault();
    if (target.matches("input, textarea")) target.focus(); else target.click();
  });
})();
