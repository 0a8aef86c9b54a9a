// A page that is open stays true: its parts marked data-live are read again when something happened, unless somebody is
// writing in one. And j and k walk the rows of its lists.
(() => {
  const { events: base, seq, page, run, every } = document.querySelector("[data-events]").dataset;
  const { tick, stale, follow } = window.quarterdeck;
  const parts = () => [...document.querySelectorAll("[data-live]")];
  // As they were sent: the times in them are worded anew all the while.
  const sent = new Map(parts().map((part) => [part.id, part.innerHTML]));
  const writing = (part) => part.querySelector("details:not(.more, .diff)[open] form")
    || (part.contains(document.activeElement) && document.activeElement.matches("input, textarea, select"));
  let timer, loading = false, again = false;

  const refresh = async () => {
    if (loading) { again = true; return; }
    loading = true;
    const text = await fetch(page).then((answer) => answer.ok && answer.text()).catch(() => false);
    loading = false;
    stale(text === false);
    if (text === false) setTimeout(soon, 3000);
    else show(new DOMParser().parseFromString(text, "text/html"));
    if (again) { again = false; soon(); }
  };
  const show = (now) => {
    for (const part of parts()) {
      const html = now.getElementById(part.id)?.innerHTML;
      if (html === undefined || html === sent.get(part.id) || writing(part)) continue;
      const focus = part.contains(document.activeElement) ? document.activeElement : null;
      const row = focus?.closest("[data-row]")?.dataset.row;
      const open = [...part.querySelectorAll("details")].map((each) => each.open);
      part.innerHTML = html;
      sent.set(part.id, html);
      const folds = [...part.querySelectorAll("details")];
      if (folds.length === open.length) folds.forEach((each, index) => { each.open = open[index]; });
      if (row) walk(part.querySelector(`[data-row="${row}"]`));
      else if (focus?.dataset.key) part.querySelector(`[data-key="${CSS.escape(focus.dataset.key)}"]`)?.focus();
    }
    tick();
  };
  // Not put off by what happens next: a busy team is shown, too.
  const soon = () => { timer ??= setTimeout(() => { timer = null; refresh(); }, 150); };
  follow(base, seq, (event) => { if (!run || !event || event.run === run) soon(); });
  // Some things take time without a word in the log.
  if (every) setInterval(() => { if (!document.hidden) soon(); }, every * 1000);

  const walk = (row) => row?.querySelector("a, [tabindex]")?.focus();
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog[open]")) return;
    const step = { j: 1, k: -1, ArrowDown: 1, ArrowUp: -1 }[event.key];
    const rows = [...document.querySelectorAll("[data-row]")];
    if (!step || !rows.length || (event.key.startsWith("Arrow") && !event.target.closest("[data-row]"))) return;
    event.preventDefault();
    const here = rows.indexOf(event.target.closest("[data-row]"));
    walk(here < 0 ? rows[0] : rows[here + step]);
  });
})();
