// Keeps a page live: when the server says that something changed, the page is asked for again and its <main> put in place. What has the focus,
// what is open and where one has scrolled to stay. Without this script the page is the same, until it is loaded again.
"use strict";
(() => {
  const source = document.body.dataset.events;
  if (!source || !window.EventSource) return;
  const [live, news] = ["live", "news"].map((id) => document.getElementById(id));
  let asking = false, again = false, stream;

  // Of everything that can have it, the path by ids is kept; what has none is not looked for.
  const place = (fresh) => {
    const old = document.getElementById("main");
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    const open = [...old.querySelectorAll("details[id]")].map((details) => [details.id, details.open]);
    const scrolled = [...old.querySelectorAll("[tabindex='0']")].map((element) => [element.scrollLeft, element.scrollTop]);
    const [x, y] = [window.scrollX, window.scrollY];
    const before = old.querySelector("[data-sentence]")?.textContent;
    old.replaceWith(fresh);
    for (const [id, is] of open) {
      const details = document.getElementById(id);
      if (details) details.open = is;
    }
    [...fresh.querySelectorAll("[tabindex='0']")].forEach((element, index) => {
      [element.scrollLeft, element.scrollTop] = scrolled[index] ?? [0, 0];
    });
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    window.scrollTo(x, y);
    const now = fresh.querySelector("[data-sentence]")?.textContent;
    if (now && now !== before) news.textContent = now;
  };

  const ask = async () => {
    if (asking) { again = true; return; }
    asking = true;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (!answer.ok && answer.status !== 404) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("main");
      if (fresh) place(fresh);
    } catch { live.textContent = "not live"; }
    asking = false;
    if (again) { again = false; ask(); }
  };

  const listen = () => {
    stream?.close();
    // A browser has six connections for a place: those who are not looked at take none.
    if (document.hidden) return;
    stream = new EventSource(source);
    stream.onopen = () => { live.textContent = "live"; ask(); };
    stream.addEventListener("changed", ask);
    const own = stream;
    stream.onerror = () => {
      if (own !== stream) return;
      live.textContent = "not live";
      // Refused for good, such as when too many look: tried again later, and looked meanwhile.
      if (stream.readyState === EventSource.CLOSED) setTimeout(() => { ask(); listen(); }, 10000);
    };
  };
  listen();
  // Ages grow while nothing changes.
  setInterval(() => { if (!document.hidden && stream?.readyState === EventSource.OPEN) ask(); }, 30000);
  document.addEventListener("visibilitychange", listen);
  window.addEventListener("pagehide", () => stream?.close());
  window.addEventListener("pageshow", (event) => { if (event.persisted) listen(); });
})();
