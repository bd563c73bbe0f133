// documents.js - files that are to be summarized: chosen, dropped or pasted; read when they are sent.
import { announce, byId, bytesText, el } from "./dom.js";

const DOCUMENTS_MAX = 64;
const BYTES_MAX = 23 << 20; // in base64 still within what the server takes: 32 MiB

let files = [];
let changed = () => {};

function show() {
  byId("attached").hidden = !files.length;
  byId("files").replaceChildren(...files.map((file, i) => el("li", {},
    el("span", { class: "name" }, file.name), el("span", { class: "size" }, bytesText(file.size)),
    el("button", { type: "button", class: "quiet", "aria-label": `Remove ${file.name}`, onclick: () => remove(i) }, "×"))));
  changed();
}

function remove(i) {
  files.splice(i, 1);
  show();
  byId(files.length ? "words" : "prompt").focus();
}

function problemOf(added) {
  const all = [...files, ...added];
  const total = all.reduce((sum, f) => sum + f.size, 0);
  if (all.length > DOCUMENTS_MAX) {
    return `More than ${DOCUMENTS_MAX} documents at once are not taken.`;
  }
  return total > BYTES_MAX ? `Together they are ${bytesText(total)}; at most ${bytesText(BYTES_MAX)} are taken.` : "";
}

export function addFiles(list) {
  const added = [...list];
  const problem = added.length ? problemOf(added) : "";
  byId("files-problem").textContent = problem;
  byId("files-problem").hidden = !problem;
  if (!added.length || problem) {
    return;
  }
  files.push(...added);
  announce(`${added.length === 1 ? added[0].name : `${added.length} documents`} attached`);
  show();
}

export function hasFiles() {
  return files.length > 0;
}

export function takeFiles() {
  const taken = files;
  files = [];
  show();
  return taken;
}

function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(new Error(`${file.name} cannot be read.`));
    reader.readAsDataURL(file);
  });
}

// The documents of a request; throws, naming the file, if one cannot be read.
export async function readFiles(list) {
  const documents = [];
  for (const file of list) {
    // An empty file's address has no comma-separated part but "data:".
    documents.push({ name: file.name, content: file.size ? await base64(file) : "" });
  }
  return documents;
}

function carriesFiles(event) {
  return [...(event.dataTransfer?.types ?? [])].includes("Files");
}

function initDrop() {
  const overlay = byId("drop");
  let depth = 0; // of elements that have been entered and not been left
  const leave = () => {
    depth = 0;
    overlay.hidden = true;
  };
  addEventListener("dragenter", (event) => {
    if (carriesFiles(event)) {
      depth++;
      overlay.hidden = false;
    }
  });
  addEventListener("dragleave", () => {
    if (--depth <= 0) {
      leave();
    }
  });
  addEventListener("dragover", (event) => {
    if (carriesFiles(event)) {
      event.preventDefault();
    }
  });
  addEventListener("drop", (event) => {
    if (carriesFiles(event)) {
      event.preventDefault();
      leave();
      addFiles(event.dataTransfer.files);
      byId("prompt").focus();
    }
  });
}

export function initDocuments(whenChanged) {
  changed = whenChanged;
  initDrop();
  const input = byId("file");
  byId("attach").addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    addFiles(input.files);
    input.value = "";
    byId("prompt").focus();
  });
  byId("prompt").addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) {
      event.preventDefault();
      addFiles(event.clipboardData.files);
    }
  });
}
