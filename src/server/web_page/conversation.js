// conversation.js - what was said, in this browser's localStorage; nothing is kept on the server.
//
// A message: {role, text, thoughts?, note?, model?, error?, images?, request?}. `request` is of a
// user who asked for a summary: {names, words, style, ask}; the documents themselves are not
// stored, nor are images, a few of which would take all the room: a line says so after a reload.

const KEY = "hearth.conversation";
const MESSAGES_MAX = 2000;

export const messages = [];

function readMessage(m) {
  if (!m || (m.role !== "user" && m.role !== "assistant") || typeof m.text !== "string") {
    return null;
  }
  const message = { role: m.role, text: m.text };
  for (const name of ["thoughts", "note", "model", "error"]) {
    if (typeof m[name] === "string") {
      message[name] = m[name];
    }
  }
  if (m.imagesLost > 0) {
    message.imagesLost = Number(m.imagesLost);
  }
  if (m.request && Array.isArray(m.request.names)) {
    message.request = {
      names: m.request.names.map(String), words: Number(m.request.words) || 150,
      style: String(m.request.style), ask: String(m.request.ask ?? ""),
    };
  }
  return message;
}

export function load() {
  let stored = [];
  try {
    stored = JSON.parse(localStorage.getItem(KEY) ?? "[]");
  } catch { /* broken or not allowed: begin anew */ }
  messages.length = 0;
  if (Array.isArray(stored)) {
    messages.push(...stored.slice(-MESSAGES_MAX).map(readMessage).filter((m) => m));
  }
}

function withoutImages({ images, ...message }) {
  return images ? { ...message, imagesLost: images.length } : message;
}

// False where there is no room, or storing is not allowed.
export function save() {
  try {
    localStorage.setItem(KEY, JSON.stringify(messages.slice(-MESSAGES_MAX).map(withoutImages)));
    return true;
  } catch {
    return false;
  }
}

export function clear() {
  messages.length = 0;
  try {
    localStorage.removeItem(KEY);
  } catch { /* nothing was stored */ }
}

// What the model is told of it: an answer that failed before its first word is left out, and what a
// user says twice in a row is one message, since many templates want turns.
export function forModel(system) {
  const told = system ? [{ role: "system", content: system }] : [];
  for (const { role, text } of messages) {
    const last = told.at(-1);
    if (last?.role === role) {
      last.content += `\n\n${text}`;
    } else if (role === "user" || text) {
      told.push({ role, content: text });
    }
  }
  return told;
}
