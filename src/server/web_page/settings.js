// settings.js - the model and the parameters of the next answer.
//
// Parameters stay in localStorage; an empty field leaves the choice to the server.
import { getJson } from "./api.js";
import { byId, el } from "./dom.js";

const KEY = "hearth.settings";
const NUMBERS = { temperature: "temperature", "top-p": "top_p", "max-tokens": "max_tokens" };
const FIELDS = [...Object.keys(NUMBERS), "system", "words", "style"];

let wantedModel = "";

function store() {
  const values = { model: byId("model").value || wantedModel };
  for (const id of FIELDS) {
    values[id] = byId(id).value;
  }
  try {
    localStorage.setItem(KEY, JSON.stringify(values));
  } catch { /* they last as long as the page */ }
}

function restore() {
  let values = {};
  try {
    values = JSON.parse(localStorage.getItem(KEY) ?? "{}") ?? {};
  } catch { /* broken or not allowed: the defaults */ }
  for (const id of FIELDS) {
    if (typeof values[id] === "string") {
      byId(id).value = values[id];
    }
  }
  byId("style").value ||= "paragraph";
  wantedModel = typeof values.model === "string" ? values.model : "";
}

export function currentModel() {
  return byId("model").value;
}

// The members of a request that the fields ask for. A field that is no number is not sent; it is
// marked, as the browser has it.
export function parameters() {
  const body = {};
  for (const [id, member] of Object.entries(NUMBERS)) {
    const field = byId(id);
    if (field.value.trim() && field.checkValidity()) {
      body[member] = Number(field.value);
    }
  }
  return body;
}

export function systemPrompt() {
  return byId("system").value.trim();
}

export function summaryOptions() {
  const words = byId("words");
  return { words: words.checkValidity() ? Number(words.value) || 150 : 150, style: byId("style").value };
}

function showModels(ids) {
  const select = byId("model");
  select.replaceChildren(...ids.map((id) => el("option", { value: id }, id)));
  select.value = ids.includes(wantedModel) ? wantedModel : ids[0];
}

// Asks for the list until it is there; says why it is not.
export async function loadModels() {
  const problem = byId("model-problem");
  const again = byId("model-retry");
  try {
    const list = await getJson("/v1/models");
    const ids = list.data.map((m) => m.id).filter((id) => typeof id === "string");
    if (ids.length) {
      showModels(ids);
    }
    problem.textContent = ids.length ? "" : "This server has no model.";
  } catch (error) {
    problem.textContent = error.status === 401 ? "The server wants a key: see Settings." : error.message;
  }
  again.hidden = !problem.textContent;
  byId("model-trouble").hidden = !problem.textContent;
}

export function initSettings() {
  restore();
  byId("settings").addEventListener("input", store);
  byId("settings").addEventListener("submit", (event) => event.preventDefault());
  for (const id of ["words", "style"]) {
    byId(id).addEventListener("input", store);
  }
  byId("model").addEventListener("change", () => {
    wantedModel = byId("model").value;
    store();
  });
  byId("model-retry").addEventListener("click", loadModels);
  loadModels();
}
