// The channels: messages are edited in place; a command's answer is shown to the one who typed it.
(() => {
  const channels = document.getElementById("channels"), said = document.getElementById("said"), text = document.getElementById("text");
  let timer;
  new EventSource("/console/events").addEventListener("change", () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const answer = await fetch("/console/fragment");
      if (!answer.ok) return;
      channels.innerHTML = await answer.text();
      window.quarterdeck.tick();
    }, 120);
  });
  const send = async (command) => {
    const answer = await fetch("/console/command", {
      method: "POST", headers: { accept: "text/plain" }, body: new URLSearchParams({ text: command }),
    });
    said.hidden = false;
    said.textContent = await answer.text();
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
