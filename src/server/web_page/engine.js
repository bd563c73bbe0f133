// engine.js - the live view: what the engine is doing, from two looks at GET /v1/hearth/state.
//
// It asks only while somebody can see the answer: the tab is shown and the panel is open.
import { getJson } from "./api.js";
import { byId, el, svg } from "./dom.js";

const EVERY_MS = 1000;
const HISTORY = 60; // looks that a curve shows

let timer = 0;
let before = null;
let asking = null; // of the look that is under way
let refused = false;
const curves = { decode: [], prefill: [] };

function sum(state, name) {
  return state.models.reduce((total, m) => total + m[name], 0);
}

// How much a counter grew each second between two looks; a model that was loaded since then counts
// from nothing, and one that is gone not at all.
function rate(now, name) {
  const seconds = (now.time_ms - before.time_ms) / 1000;
  const known = new Map(before.models.map((m) => [m.id, m[name]]));
  const grown = now.models.reduce((total, m) => total + Math.max(0, m[name] - (known.get(m.id) ?? 0)), 0);
  return seconds > 0 ? grown / seconds : 0;
}

function shown(n) {
  return n >= 100 || Number.isInteger(n) ? Math.round(n).toLocaleString("en") : n.toFixed(1);
}

function drawCurve(id, values) {
  const most = Math.max(1, ...values);
  const points = values.map((v, i) =>
    `${(100 * (HISTORY - values.length + i)) / (HISTORY - 1)},${(29 - (27 * v) / most).toFixed(2)}`);
  const line = svg("polyline", { points: points.join(" "), class: "line" });
  const first = points.length ? points[0].split(",")[0] : 100;
  const area = svg("polygon", { points: `${first},30 ${points.join(" ")} 100,30`, class: "area" });
  byId(id).replaceChildren(area, line);
}

function remember(name, value) {
  curves[name].push(value);
  curves[name].splice(0, Math.max(0, curves[name].length - HISTORY));
  byId(name).textContent = shown(value);
  drawCurve(`${name}-curve`, curves[name]);
}

function showRates(now) {
  const steps = rate(now, "steps");
  remember("decode", rate(now, "new_tokens"));
  remember("prefill", rate(now, "prompt_rows"));
  byId("batch").textContent = steps > 0 ? shown(rate(now, "rows") / steps) : "0";
  byId("steps").textContent = shown(steps);
}

function showModelRows(models) {
  const cell = (value) => el("td", {}, String(value));
  byId("engine-models").replaceChildren(...models.map((m) => el("tr", {},
    el("th", { scope: "row" }, m.id), cell(m.running), cell(m.waiting),
    cell(m.pages_total ? `${Math.round((100 * m.pages_used) / m.pages_total)} %` : "–"))));
}

// Models that our key may not use have no name; they keep their place while nothing is loaded.
function nameAll(models) {
  models.forEach((m, i) => { m.id ??= `another model (${i + 1})`; });
}

function showState(now) {
  nameAll(now.models);
  const used = sum(now, "pages_used");
  const total = sum(now, "pages_total");
  byId("running").textContent = shown(sum(now, "running"));
  byId("waiting").textContent = shown(sum(now, "waiting"));
  byId("requests").textContent = shown(now.requests);
  byId("pages").textContent = `${used.toLocaleString("en")} of ${total.toLocaleString("en")}`;
  byId("pages-bar").max = Math.max(1, total);
  byId("pages-bar").value = used;
  byId("state").textContent = now.status;
  byId("state").dataset.state = now.status;
  showModelRows(now.models);
  if (before && before.time_ms <= now.time_ms) {
    showRates(now);
  }
  before = now;
}

async function look() {
  asking = new AbortController();
  const { signal } = asking;
  try {
    showState(await getJson("/v1/hearth/state", signal));
  } catch (error) {
    if (error.name === "AbortError") {
      return;
    }
    byId("state").textContent = error.status === 401 ? "wants a key" : "not reached";
    byId("state").dataset.state = "lost";
    before = null;
    refused = error.status === 401; // until there is another key
  }
  if (!signal.aborted && !refused) {
    timer = setTimeout(look, EVERY_MS);
  }
}

function isVisible() {
  return document.visibilityState === "visible" && !byId("panel").hidden && byId("engine").open;
}

// Begins or ends looking, as it is seen or not; called whenever that may have changed.
export function updateEngine() {
  const wanted = isVisible();
  if (wanted && !asking && !refused) {
    look();
  } else if (!wanted && asking) {
    asking.abort();
    clearTimeout(timer);
    asking = null;
    before = null; // a rate over the time in which nobody looked says little
  }
}

// There is another key.
export function resumeEngine() {
  if (refused) {
    refused = false;
    asking = null;
    updateEngine();
  }
}

export function initEngine() {
  document.addEventListener("visibilitychange", updateEngine);
  byId("engine").addEventListener("toggle", updateEngine);
  updateEngine();
}
