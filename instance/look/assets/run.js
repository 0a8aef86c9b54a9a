// A run: its transcript as it is written. Its facts follow by live.js.
(() => {
  const log = document.getElementById("transcript");
  const base = log.dataset.base;
  let offset = Number(log.dataset.offset);
  const follow = async () => {
    try {
      const page = await (await fetch(`${base}api/v1/runs/${log.dataset.run}/transcript?offset=${offset}`)).json();
      const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
      for (const entry of page.entries) {
        const row = document.createElement("div");
        row.className = entry.kind;
        const time = document.createElement("time");
        time.textContent = new Date(entry.at).toTimeString().slice(0, 8);
        const text = document.createElement("span");
        text.textContent = entry.text;
        row.append(time, text);
        log.append(row);
      }
      if (page.entries.length && atEnd) log.scrollTop = log.scrollHeight;
      const caughtUp = page.next_offset === offset;
      offset = page.next_offset;
      if (page.ended && caughtUp) return;
      setTimeout(follow, caughtUp ? 700 : 50);
    } catch { setTimeout(follow, 3000); }
  };
  log.scrollTop = log.scrollHeight;
  follow();
})();
