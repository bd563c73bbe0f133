// key.js - asks for the key when the server wants one, wherever on the page that was noticed.
//
// Once somebody has said "Not now", only what they do themselves asks again.
import { apiKey, onWantsKey, setApiKey } from "./api.js";
import { byId } from "./dom.js";

let later = false;
let changed = () => {};

function ask(byUser) {
  const dialog = byId("ask-key");
  if (dialog.open || (later && !byUser)) {
    return;
  }
  byId("ask-key-problem").hidden = !apiKey(); // then it was not the right one
  byId("ask-key-field").value = "";
  dialog.showModal();
}

// Takes a key for this tab, from the dialog or the settings.
export function useKey(key) {
  setApiKey(key.trim());
  byId("key").value = apiKey();
  later = false;
  changed();
}

// `then` is called with each new key.
export function initKey(then) {
  const dialog = byId("ask-key");
  changed = then;
  byId("key").value = apiKey();
  byId("key").addEventListener("change", () => useKey(byId("key").value));
  dialog.addEventListener("cancel", () => { later = true; }); // Esc
  byId("ask-key-later").addEventListener("click", () => {
    later = true;
    dialog.close();
  });
  byId("ask-key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (byId("ask-key-field").value.trim()) {
      dialog.close();
      useKey(byId("ask-key-field").value);
    }
  });
  onWantsKey(ask);
}
