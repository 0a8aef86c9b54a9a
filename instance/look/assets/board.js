// The board: cards move as things happen, and the keyboard walks them.
(() => {
  const live = document.getElementById("live");
  const { base, seq } = live.dataset;
  const { stale, follow } = window.quarterdeck;
  // The columns come with every answer: what is found once is gone with the next.
  const board = () => document.getElementById("board");
  const cards = () => [...live.querySelectorAll(".card")];
  const places = () => new Map(cards().map((card) => [card.dataset.id, card.dataset.stage + card.textContent]));
  let timer, loading = false, again = false;

  const refresh = async () => {
    if (loading) { again = true; return; }
    loading = true;
    const answer = await fetch(`${base}fragment/board`).catch(() => null);
    const text = answer?.ok ? await answer.text().catch(() => null) : null;
    loading = false;
    stale(text === null);
    if (text === null) setTimeout(soon, 3000);
    else show(text, Number(answer.headers.get("x-asks")));
    if (again) { again = false; soon(); }
  };
  const show = (text, count) => {
    const before = places(), focus = document.activeElement?.closest?.(".card")?.dataset.id, left = board().scrollLeft;
    live.innerHTML = text;
    asks(count);
    board().scrollLeft = left;
    for (const card of cards()) {
      if (before.get(card.dataset.id) !== card.dataset.stage + card.textContent) card.classList.add("moved");
      if (card.dataset.id === focus) card.querySelector("h3 a").focus();
    }
    filter();
  };
  const asks = (count) => document.querySelectorAll("a[href$='/inbox']").forEach((link) => {
    link.querySelector(".badge")?.remove();
    if (count) link.append(Object.assign(document.createElement("span"), { className: "badge", textContent: count }));
  });
  // Not put off by what happens next: a busy team is shown, too.
  const soon = () => { timer ??= setTimeout(() => { timer = null; refresh(); }, 120); };

  follow(base, seq, soon);

  const box = document.getElementById("filter");
  const filter = () => {
    const words = box.value.toLowerCase().split(/\s+/);
    for (const card of cards()) {
      const text = `${card.textContent} ${card.dataset.find}`.toLowerCase();
      card.hidden = !words.every((word) => text.includes(word));
    }
  };
  box.addEventListener("input", filter);
  box.addEventListener("keydown", (event) => { if (event.key === "Escape") { box.value = ""; filter(); box.blur(); } });

  const walk = (columns, rows) => {
    const here = document.activeElement?.closest?.(".card");
    if (!here) { board().querySelector(".card:not([hidden]) h3 a")?.focus(); return; }
    const all = [...board().querySelectorAll(".col")].map((col) => [...col.querySelectorAll(".card:not([hidden])")]);
    let column = all.findIndex((col) => col.includes(here)), row = all[column].indexOf(here);
    if (rows) row += rows;
    else do column += columns; while (all[column] && !all[column].length);
    const target = all[column]?.[Math.min(row, all[column].length - 1)];
    target?.querySelector("h3 a").focus();
  };
  const act = async (verb, body) => {
    const card = document.activeElement?.closest?.(".card");
    if (!card || (verb === "cancel" && !confirm(`Cancel ${card.dataset.id}?`))) return;
    const answer = await fetch(`${base}api/v1/features/${card.dataset.id}/${verb}`, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
    });
    if (!answer.ok) alert((await answer.json()).detail);
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog[open]")) return;
    const key = { ArrowDown: "j", ArrowUp: "k", ArrowLeft: "h", ArrowRight: "l" }[event.key] || event.key;
    const doing = { j: () => walk(0, 1), k: () => walk(0, -1), h: () => walk(-1, 0), l: () => walk(1, 0),
      r: () => act("move", { stage: "ready" }), b: () => act("move", { stage: "backlog" }), c: () => act("cancel", null) }[key];
    if (doing) { event.preventDefault(); doing(); }
  });
})();
