// A run: its transcript as it is written, and its facts as they change.
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
  let timer;
  const source = new EventSource(`${base}api/v1/events?after=${log.dataset.seq}`);
  source.addEventListener("event", (event) => {
    if (JSON.parse(event.data).run !== log.dataset.run) return;
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const page = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
      for (const id of ["steps", "facts", "ask", "sentence"]) {
        const now = page.getElementById(id), here = document.getElementById(id);
        if (now && here && now.innerHTML !== here.innerHTML && !here.contains(document.activeElement)) here.innerHTML = now.innerHTML;
      }
    }, 150);
  });
})();
