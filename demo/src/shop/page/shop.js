// The order page: follows the order and offers the demo's wallet. Everything that comes from
// elsewhere becomes text, never markup.

const order = document.body.dataset.order;
const byId = (id) => document.getElementById(id);

function show(state) {
  byId("order-state").dataset.state = state.state;
  // A live region repeats itself when its text is set again, so only changes are written.
  for (const [id, text] of [["headline", state.headline], ["detail", state.detail]]) {
    if (byId(id).textContent !== text) byId(id).textContent = text;
  }
  const list = byId("events");
  if (list.children.length !== state.events.length) list.replaceChildren(...state.events.map(eventItem));
}

function eventItem(event) {
  const item = document.createElement("li");
  item.title = event.id;
  for (const text of [event.type, event.status ?? ""]) {
    const part = document.createElement("span");
    part.textContent = text;
    item.append(part);
  }
  return item;
}

async function follow() {
  try {
    const answer = await fetch(`/orders/${order}/state`);
    if (answer.ok) show(await answer.json());
  } catch {
    // The shop is restarting; the next round asks again.
  }
  setTimeout(follow, 700);
}

async function pay(share) {
  const answer = await fetch(`/orders/${order}/pay`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ share }),
  });
  return (await answer.json()).message;
}

const buttons = [...document.querySelectorAll("[data-share]")];
for (const button of buttons) {
  button.addEventListener("click", async () => {
    for (const each of buttons) each.disabled = true;
    byId("answer").textContent = "Sending…";
    byId("answer").textContent = await pay(button.dataset.share).catch(() => "The shop does not answer.");
    for (const each of buttons) each.disabled = false;
  });
}

follow();
