// The try-out: what happens in the guild appears by itself, and the line offers what may be typed next.
(() => {
  const guild = document.getElementById("guild"), form = document.getElementById("line"), hints = document.getElementById("hints");
  const text = form.elements.text;
  const busy = () => guild.contains(document.activeElement) && ["INPUT", "TEXTAREA"].includes(document.activeElement.tagName);
  let version = Number(guild.dataset.version);
  const follow = async () => {
    for (;;) {
      try {
        const answer = await fetch(`/try/fragment?as=${form.elements.as.value}&since=${version}`);
        if (!answer.ok) throw new Error(answer.status);
        const html = await answer.text();
        version = Number(answer.headers.get("x-version"));
        if (!busy()) guild.innerHTML = html;
      } catch { await new Promise((again) => setTimeout(again, 1000)); }
    }
  };
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
    const body = new URLSearchParams(new FormData(event.target, event.submitter));
    if (document.activeElement) document.activeElement.blur();
    const answer = await fetch(event.target.action, { method: "POST", body, headers: { accept: "text/plain" } });
    const said = document.getElementById("said");
    said.textContent = answer.ok ? "" : await answer.text();
    if (answer.ok && event.target === form) { text.value = ""; hints.replaceChildren(); }
  });
  follow();
})();
