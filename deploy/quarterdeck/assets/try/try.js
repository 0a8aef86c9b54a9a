// The try-out: what happens in the guild appears by itself, and the line offers what may be typed next.
(() => {
  const guild = document.getElementById("guild"), form = document.getElementById("line"), hints = document.getElementById("hints");
  const text = form.elements.text;
  const busy = () => guild.contains(document.activeElement) && ["INPUT", "TEXTAREA"].includes(document.activeElement.tagName);
  let waiting = "", version = Number(guild.dataset.version);
  // What is new takes the place of what was: threads stay open, and what is typed in them stays typed.
  const renew = (html) => {
    const open = new Set([...guild.querySelectorAll("details[open]")].map((each) => each.dataset.key));
    const kept = [...guild.querySelectorAll("[data-keep]")].filter((each) => each.elements.text.value || each.elements.file.value);
    guild.innerHTML = html;
    for (const each of guild.querySelectorAll("details[data-key]")) each.open = open.has(each.dataset.key);
    for (const each of kept) guild.querySelector(`[data-keep="${each.dataset.keep}"]`)?.replaceWith(each);
  };
  const follow = async () => {
    for (;;) {
      try {
        const answer = await fetch(`/try/fragment?as=${form.elements.as.value}&since=${version}`);
        if (!answer.ok) throw new Error(answer.status);
        const html = await answer.text();
        version = Number(answer.headers.get("x-version"));
        waiting = busy() ? html : "";
        if (!waiting) renew(html);
      } catch { await new Promise((again) => setTimeout(again, 1000)); }
    }
  };
  guild.addEventListener("focusout", () => setTimeout(() => { if (waiting && !busy()) { renew(waiting); waiting = ""; } }, 200));
  let typing;
  const offer = () => {
    clearTimeout(typing);
    typing = setTimeout(async () => {
      const line = text.value;
      const query = new URLSearchParams({ as: form.elements.as.value, channel: form.elements.channel.value, text: line });
      const answer = await fetch(`/try/hints?${query}`);
      if (!answer.ok || text.value !== line) return;
      hints.replaceChildren(...(await answer.json()).map((hint) => {
        const button = document.createElement("button"), word = document.createElement("b"), says = document.createElement("span");
        button.type = "button";
        word.textContent = hint.line;
        says.className = "soft";
        says.textContent = hint.says;
        button.append(word, says);
        button.addEventListener("click", () => { text.value = hint.line; text.focus(); offer(); });
        return button;
      }));
    }, 120);
  };
  text.addEventListener("input", offer);
  text.addEventListener("focus", offer);
  // Forms are sent beside the page, so that what is typed in another one stays.
  document.addEventListener("submit", async (event) => {
    if (event.target.method !== "post") return;
    event.preventDefault();
    const fields = new FormData(event.target, event.submitter), file = fields.get("file");
    fields.delete("file");
    const words = new URLSearchParams(fields), accept = "text/plain";
    if (document.activeElement) document.activeElement.blur();
    const answer = file?.size
      ? await fetch(`/try/attach?${words}&name=${encodeURIComponent(file.name)}`, { method: "POST", body: file, headers: { accept, "content-type": file.type } })
      : await fetch(event.target.action, { method: "POST", body: words, headers: { accept } });
    if (answer.ok && event.target.dataset.keep) event.target.reset();
    const said = document.getElementById("said");
    said.textContent = answer.ok ? "" : await answer.text();
    if (answer.ok && event.target === form) { text.value = ""; hints.replaceChildren(); }
  });
  follow();
})();
