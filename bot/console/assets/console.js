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
      const fresh = await answer.text();
      // What somebody is typing under a message stays.
      const place = (input) => input.closest("[data-message]").dataset.message;
      const typed = [...channels.querySelectorAll("input[name=words]")].map((input) => [place(input), input.value, input === document.activeElement]);
      channels.innerHTML = fresh;
      for (const [message, value, focused] of typed) {
        const input = channels.querySelector(`[data-message="${message}"] input[name=words]`);
        if (input && value) input.value = value;
        if (input && focused) input.focus();
      }
      window.quarterdeck.tick();
    }, 120);
  });
  // A page that is kept for the back button would keep one of the six connections that a browser has for a host.
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  const send = async (fields) => {
    const answer = await fetch("/console/command", {
      method: "POST", headers: { accept: "text/plain" }, body: new URLSearchParams(fields),
    });
    said.hidden = false;
    said.textContent = await answer.text();
    said.scrollIntoView({ block: "nearest" });
  };
  document.getElementById("command").addEventListener("submit", (event) => {
    event.preventDefault();
    send({ text: text.value }).then(() => { text.value = ""; });
  });
  channels.addEventListener("submit", (event) => {
    event.preventDefault();
    send(new FormData(event.target, event.submitter));
  });
})();
