// Renews the page's content when the hub says that something changed, and sends what buttons ask for.
"use strict";

const main = document.querySelector("main[data-refresh]");
const live = document.querySelector("[data-live]");

function say(state) {
  if (live) {
    live.textContent = state;
    live.dataset.live = state;
  }
}

async function refresh() {
  const path = main.dataset.refresh;
  if (!path) return;
  const answer = await fetch(path, { headers: { Accept: "text/html" } });
  if (answer.status === 401) {
    location.assign("/login");
    return;
  }
  if (!answer.ok) throw new Error(String(answer.status));
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("main[data-refresh]") ?? page.body;
  main.replaceChildren(...fresh.childNodes);
}

if (main) {
  let busy = false;
  let again = false;
  const changed = async () => {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    do {
      again = false;
      try {
        await refresh();
        say("live");
      } catch {
        say("behind");
      }
    } while (again);
    busy = false;
  };
  const events = new EventSource("/api/v1/watch");
  events.addEventListener("change", changed);
  events.addEventListener("open", () => say("live"));
  events.addEventListener("error", () => say("behind"));
  setInterval(changed, 15000);
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-post]");
  if (!button) return;
  event.preventDefault();
  let reason = "";
  if (button.dataset.ask) {
    const given = prompt(button.dataset.ask);
    if (given === null) return;
    reason = given;
  }
  button.disabled = true;
  const answer = await post(button.dataset.post, { reason });
  button.disabled = false;
  if (!answer.ok) {
    const body = await answer.json().catch(() => ({}));
    alert(body.message ?? answer.statusText);
  }
});

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-post]");
  if (!form) return;
  event.preventDefault();
  await post(form.dataset.post, {});
  location.assign("/login");
});

function post(path, body) {
  const csrf = document.querySelector("meta[name=csrf]")?.content ?? "";
  return fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
    body: JSON.stringify(body),
  });
}
