// Every page: the theme, relative times, keys that stand beside their buttons. Works without it, too.
(() => {
  const root = document.documentElement;
  const stored = localStorage.getItem("theme");
  if (stored) root.dataset.theme = stored;
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const relative = (date) => {
    const seconds = Math.max(0, Math.round((Date.now() - date) / 1000));
    if (seconds < 1) return "now";
    if (seconds < 60) return `${seconds} s ago`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
    if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
    return `${Math.floor(seconds / 86400)} d ago`;
  };
  const tick = () => {
    document.querySelectorAll("time[data-relative]").forEach((time) => {
      const date = new Date(time.dateTime);
      time.title = date.toLocaleString();
      time.textContent = relative(date);
    });
    document.querySelectorAll("time[data-moment]").forEach((time) => { time.textContent = new Date(time.dateTime).toLocaleString(); });
  };
  const stale = (is) => {
    const old = document.querySelector(".stale");
    if (!is) { old?.remove(); return; }
    if (old) return;
    const note = document.createElement("div");
    note.className = "stale";
    note.setAttribute("role", "status");
    note.textContent = `Stale since ${new Date().toTimeString().slice(0, 5)}: the team does not answer.`;
    document.body.append(note);
  };
  // The event stream, while the page is looked at. A page that was left may be kept for the back button, and would keep
  // its connection: a browser has six for each host, and the next page would wait for one.
  const follow = (base, seq, seen) => {
    let source, last = seq;
    const open = () => {
      source = new EventSource(`${base}api/v1/events?after=${last}`);
      source.addEventListener("event", (event) => { last = event.lastEventId || last; seen(JSON.parse(event.data)); });
      source.addEventListener("snapshot", (event) => { last = event.lastEventId || last; });
      source.onopen = () => { stale(false); seen(null); };
      source.onerror = () => stale(true);
    };
    open();
    addEventListener("pagehide", () => source.close());
    addEventListener("pageshow", (event) => { if (event.persisted) open(); });
  };
  window.quarterdeck = { tick, stale, follow };
  addEventListener("DOMContentLoaded", () => {
    tick();
    setInterval(tick, 5000);
    document.querySelector("[data-theme-switch]")?.addEventListener("click", () => {
      root.dataset.theme = dark() ? "light" : "dark";
      localStorage.setItem("theme", root.dataset.theme);
    });
  });
  // On the document, not on the parts: a part that was read again works like the one before it.
  addEventListener("click", (event) => {
    document.querySelectorAll("details.pop[open]").forEach((pop) => { if (!pop.contains(event.target)) pop.open = false; });
    const dialog = document.getElementById(event.target.closest("[data-open]")?.dataset.open);
    if (!dialog) return;
    event.preventDefault();
    dialog.showModal();
  });
  addEventListener("submit", (event) => {
    const text = event.target.dataset.confirm;
    if (text && !confirm(text)) event.preventDefault();
  });
  addEventListener("change", async (event) => {
    const { attach } = event.target.dataset, file = event.target.files?.[0];
    if (!attach || !file) return;
    const headers = { "content-type": "application/octet-stream" };
    const kept = await fetch(`${attach}?name=${encodeURIComponent(file.name)}`, { method: "POST", headers, body: file });
    if (kept.ok) return location.reload();
    const problem = await kept.json().catch(() => ({ detail: "The team does not answer." }));
    event.target.value = "";
    alert([problem.detail, problem.hint].filter(Boolean).join(" "));
  });
  addEventListener("toggle", (event) => {
    if (event.target.open) event.target.querySelector("[data-focus]")?.focus();
  }, true);
  addEventListener("keydown", (event) => {
    const pop = event.key === "Escape" && event.target.closest("details.pop[open]");
    if (pop) { pop.open = false; pop.querySelector("summary").focus(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog[open]")) return;
    const key = CSS.escape(event.key);
    const targets = [
      ...(event.target.closest("[data-row]")?.querySelectorAll(`[data-row-key="${key}"]`) ?? []),
      ...document.querySelectorAll(`[data-key="${key}"]:not([disabled])`),
    ];
    const target = targets.find((each) => each.checkVisibility());
    if (!target) return;
    event.preventDefault();
    if (target.matches("input, textarea")) target.focus(); else target.click();
  });
})();
