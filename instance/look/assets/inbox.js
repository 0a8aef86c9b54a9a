// The inbox: looks again when something was asked or decided, unless a reason is being written.
(() => {
  const inbox = document.getElementById("inbox");
  let timer;
  const source = new EventSource(`${inbox.dataset.base}api/v1/events?after=${inbox.dataset.seq}`);
  source.addEventListener("event", (event) => {
    if (!["approval", "vote"].includes(JSON.parse(event.data).kind)) return;
    clearTimeout(timer);
    timer = setTimeout(async () => {
      if (inbox.querySelector("details[open]")) return;
      const page = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
      inbox.innerHTML = page.getElementById("inbox").innerHTML;
      window.quarterdeck.tick();
    }, 120);
  });
})();
