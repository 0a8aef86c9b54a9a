// The channels: messages are edited in place; a command's answer is shown to the one who typed it.
(() => {
  const channels = document.getElementById("channels"), said = document.getElementById("said"), text = document.getElementById("text");
  let timer;
  const source = new EventSource("/console/events");
  source.addEventListener("change", () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const answer = await fetch("/console/fragment");
      if (!answer.ok) return;
      channels.innerHTML = await answer.text();
      window.quarterdeck.tick();
    }, 120);
  });
  // A page that is kept for the back button would keep one of the six connections that a browser has for a host.
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  const send = async (command) => {
    const answer = await fetch("/console/command", {
      method: "POST", headers: { accept: "text/plain" }, body: new URLSearchParams({ text: command }),
    });
    said.hidden = false;
    said.textContent = await answer.text();
    said.scrollIntoView({ block: "nearest" });
  };
  document.getElementById("command").addEventListener("submit", (event) => {
    event.preventDefault();
    send(text.value).then(() => { text.value = ""; });
  });
  channels.addEventListener("submit", (event) => {
    event.preventDefault();
    send(event.submitter.value);
  });
})();
