// chat.js - the conversation on the page: sending, streaming, stopping, asking again, editing.
//
// One answer is written at a time. `running` is that one; everything that changes messages goes
// through here, and is stored when it has come to rest.
import { ApiError, streamChat, streamSummary } from "./api.js";
import { clear, forModel, load, messages, save } from "./conversation.js";
import { readFiles } from "./documents.js";
import { announce, byId, copyText, el } from "./dom.js";
import { imageUrls } from "./images.js";
import { MessageView } from "./message.js";
import { currentModel, parameters, systemPrompt } from "./settings.js";

const NEAR_END = 80; // pixels from the bottom within which the page follows the text

const STAGES = { counting: "Reading the documents", summarizing: "Summarizing", merging: "Merging" };

let views = [];
let running = null; // {controller, view, message}
const documentsOf = new WeakMap(); // the files of a user's message, for asking again

export function isRunning() {
  return running !== null;
}

function scroller() {
  return byId("conversation");
}

function isAtEnd() {
  const s = scroller();
  return s.scrollHeight - s.scrollTop - s.clientHeight < NEAR_END;
}

function scrollToEnd() {
  scroller().scrollTop = scroller().scrollHeight;
}

function keep() {
  const stored = save();
  byId("storage-problem").hidden = stored || !messages.length;
}

// Views

function button(label, name, onclick) {
  return el("button", { type: "button", class: "quiet", "aria-label": name, onclick }, label);
}

// Whether the last question can be asked (again): a summary needs the documents.
function canAsk() {
  const asked = messages.findLast((m) => m.role === "user");
  return asked && (!asked.request || documentsOf.has(asked));
}

function actionsOf(view, lastUser, last) {
  const m = view.message;
  const list = [];
  if (m.text && !m.request) {
    const copy = button("Copy", "Copy this message", () => copyText(m.text, copy));
    list.push(copy);
  }
  if (view === lastUser && !m.request) {
    list.push(button("Edit", "Edit this message", () => editLast()));
  }
  if (view === last && !m.error && canAsk()) {
    list.push(m.role === "user" ? button("Answer", "Write the answer", regenerate)
      : button("Regenerate", "Write this answer again", regenerate));
  }
  return list;
}

function showActions() {
  const lastUser = views.findLast((v) => v.message.role === "user");
  for (const view of views) {
    view.setActions(...(isRunning() ? [] : actionsOf(view, lastUser, views.at(-1))));
  }
  byId("welcome").hidden = views.length > 0;
  byId("clear").disabled = !views.length;
}

function addView(message) {
  const view = new MessageView(message);
  views.push(view);
  byId("messages").append(view.element);
  view.show();
  return view;
}

function dropFrom(i) {
  for (const view of views.splice(i)) {
    view.element.remove();
  }
  messages.splice(i);
}

function showAll() {
  dropViews();
  for (const message of messages) {
    const view = addView(message);
    if (message.error) {
      view.showProblem(message === messages.at(-1) ? regenerate : null);
    }
  }
  showActions();
  scrollToEnd();
}

function dropViews() {
  views = [];
  byId("messages").replaceChildren();
}

// Answers

// Shows what has come at most once for each picture of the screen.
function painter(view, state) {
  let asked = false;
  return () => {
    if (asked) {
      return;
    }
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      if (running?.view === view) {
        const follow = isAtEnd();
        view.show(state);
        if (follow) {
          scrollToEnd();
        }
      }
    });
  };
}

function tellChat(usage, finish, firstAt, began) {
  const parts = [];
  const now = performance.now();
  if (usage) {
    parts.push(`${usage.completion_tokens} tokens`);
    const seconds = (now - firstAt) / 1000;
    if (usage.completion_tokens > 1 && seconds > 0.05) {
      parts.push(`${((usage.completion_tokens - 1) / seconds).toFixed(1)} tokens/s`);
    }
  }
  if (firstAt) {
    parts.push(`first after ${((firstAt - began) / 1000).toFixed(2)} s`);
  }
  if (finish === "length") {
    parts.push("ended at the limit of tokens");
  }
  return parts.join(" · ");
}

async function runChat(message, signal, paint) {
  const began = performance.now();
  let firstAt = 0;
  let usage = null;
  let finish = "";
  const body = {
    model: message.model, messages: forModel(systemPrompt()), stream: true,
    stream_options: { include_usage: true }, ...parameters(),
  };
  for await (const chunk of streamChat(body, signal)) {
    const choice = chunk.choices?.[0];
    const { content, reasoning_content: thoughts, images } = choice?.delta ?? {};
    const urls = imageUrls(images);
    if (content || thoughts || urls.length) {
      firstAt ||= performance.now();
      message.text += content ?? "";
      message.thoughts = (message.thoughts ?? "") + (thoughts ?? "");
      if (urls.length) {
        message.images = [...(message.images ?? []), ...urls];
      }
      paint();
    }
    usage = chunk.usage ?? usage;
    finish = choice?.finish_reason ?? finish;
  }
  message.note = tellChat(usage, finish, firstAt, began);
}

function tellSummary(value, began) {
  const skipped = value.coverage?.skipped?.length ?? 0;
  const words = value.summary.split(/\s+/).filter((w) => w).length;
  const parts = [`${words} words`, `${((performance.now() - began) / 1000).toFixed(1)} s`];
  if (skipped) {
    parts.push(`${skipped} ${skipped === 1 ? "part was" : "parts were"} left out`);
  }
  return parts.join(" · ");
}

async function runSummary(message, asked, signal, paint, state) {
  const began = performance.now();
  const files = documentsOf.get(asked);
  if (!files) {
    throw new ApiError(0, "The documents were not kept: attach them again.");
  }
  const { words, style, ask } = asked.request;
  const documents = await readFiles(files);
  const body = { model: message.model, documents, words, style, stream: true };
  if (ask) {
    body.ask = ask;
  }
  for await (const { kind, value } of streamSummary(body, signal)) {
    if (kind === "progress") {
      state.text = `${STAGES[value.what] ?? "Summarizing"}, ${value.done} of ${value.total}`;
    } else if (kind === "text") {
      message.text += value.delta;
    } else if (kind === "restart") {
      message.text = "";
    } else if (kind === "summary") {
      message.text = value.summary;
      message.note = tellSummary(value, began);
    }
    paint();
  }
}

function explain(error, asked) {
  if (error.status === 404 && asked.request) {
    return "This server cannot summarize documents: it has no route /v1/summaries.";
  }
  if (error.status === 401) {
    return `${error.message} The key is entered under Settings.`;
  }
  return error.message;
}

function fail(view, error, asked) {
  const m = view.message;
  if (error.name === "AbortError") {
    m.note = "Stopped";
    announce("Stopped");
    return;
  }
  m.error = explain(error, asked);
  view.showProblem(regenerate);
}

// Writes the answer to the last message.
async function run() {
  const asked = messages.at(-1);
  const message = { role: "assistant", text: "", model: currentModel() || undefined };
  const state = asked.request ? { text: "Reading the documents…", always: true } : { text: "Waiting for the model…" };
  const controller = new AbortController();
  const view = addView(message);
  running = { controller, view };
  view.show(state);
  showActions();
  document.body.classList.add("running");
  scrollToEnd();
  const paint = painter(view, state);
  try {
    if (asked.request) {
      await runSummary(message, asked, controller.signal, paint, state);
    } else {
      await runChat(message, controller.signal, paint);
    }
    announce("The answer is complete");
  } catch (error) {
    fail(view, error, asked);
  }
  if (running?.view === view) {
    rest(view, message);
  }
}

// Nothing is being written any more.
function rest(view, message) {
  const follow = isAtEnd();
  running = null;
  messages.push(message);
  document.body.classList.remove("running");
  view.show();
  keep();
  showActions();
  if (follow) {
    scrollToEnd();
  }
  byId("composer").dispatchEvent(new Event("rested"));
}

// What the page offers

function ask(message) {
  messages.push(message);
  addView(message);
  keep();
  run();
}

export function sendText(text) {
  ask({ role: "user", text });
}

// The text says what was asked for when the conversation goes on; the documents are not told again.
export function sendDocuments(files, options) {
  const names = files.map((f) => f.name);
  const text = `Summarize ${names.join(", ")} in about ${options.words} words.${options.ask ? ` ${options.ask}` : ""}`;
  const message = { role: "user", text, request: { names, ...options } };
  documentsOf.set(message, files);
  ask(message);
}

export function stop() {
  running?.controller.abort();
}

export function regenerate() {
  if (isRunning() || !messages.length) {
    return;
  }
  if (messages.at(-1).role === "assistant") {
    dropFrom(messages.length - 1);
  }
  byId("prompt").focus();
  run();
}

export function editLast() {
  const i = messages.findLastIndex((m) => m.role === "user");
  if (isRunning() || i < 0 || messages[i].request) {
    return false;
  }
  views[i].edit((text) => {
    byId("prompt").focus();
    if (text) {
      dropFrom(i);
      sendText(text);
    }
  });
  return true;
}

export function clearConversation() {
  const was = running;
  running = null; // what still comes for it is not wanted
  was?.controller.abort();
  document.body.classList.remove("running");
  clear();
  dropViews();
  showActions();
  byId("composer").dispatchEvent(new Event("rested"));
}

// Whoever reads the end goes on reading it when the room for it changes, or an image takes its own.
function keepEndInSight() {
  let atEnd = true;
  scroller().addEventListener("scroll", () => { atEnd = isAtEnd(); });
  const keepUp = () => {
    if (atEnd) {
      scrollToEnd();
    }
  };
  new ResizeObserver(keepUp).observe(scroller());
  scroller().addEventListener("load", keepUp, true);
}

export function initChat() {
  load();
  showAll();
  keepEndInSight();
}
