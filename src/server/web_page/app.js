// app.js - the page's controls: composer, panel, theme, keys.
import { clearConversation, editLast, initChat, isRunning, sendDocuments, sendText, stop } from "./chat.js";
import { hasFiles, initDocuments, takeFiles } from "./documents.js";
import { announce, byId } from "./dom.js";
import { initEngine, resumeEngine, updateEngine } from "./engine.js";
import { initKey } from "./key.js";
import { initSettings, loadModels, summaryOptions } from "./settings.js";
import { currentTheme, toggleTheme } from "./theme.js";

const WIDE = matchMedia("(min-width: 60rem)");
const prompt = byId("prompt");

// Composer

function updateComposer() {
  const busy = isRunning();
  byId("send").hidden = busy;
  byId("stop").hidden = !busy;
  byId("send").disabled = !prompt.value.trim() && !hasFiles();
  byId("send").textContent = hasFiles() ? "Summarize" : "Send";
  prompt.placeholder = hasFiles() ? "A question that the summary should answer (optional)" : "Write a message";
}

// As high as its text, within what the style sheet allows.
function fitPrompt() {
  prompt.style.height = "auto";
  prompt.style.height = `${prompt.scrollHeight + 2}px`;
  updateComposer();
}

function submit() {
  const text = prompt.value.trim();
  if (isRunning() || (!text && !hasFiles())) {
    return;
  }
  prompt.value = "";
  if (hasFiles()) {
    sendDocuments(takeFiles(), { ...summaryOptions(), ask: text });
  } else {
    sendText(text);
  }
  fitPrompt();
  prompt.focus();
}

function onPromptKey(event) {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    submit();
  } else if (event.key === "ArrowUp" && !prompt.value && editLast()) {
    event.preventDefault();
  }
}

function stopNow() {
  stop();
  prompt.focus();
}

function initComposer() {
  byId("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  byId("composer").addEventListener("rested", updateComposer);
  prompt.addEventListener("input", fitPrompt);
  prompt.addEventListener("keydown", onPromptKey);
  byId("words").addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      submit();
    }
  });
  byId("stop").addEventListener("click", stopNow);
}

// Panel

function showPanel(open) {
  byId("panel").hidden = !open;
  byId("panel-toggle").setAttribute("aria-expanded", String(open));
  document.body.classList.toggle("with-panel", open);
  updateEngine();
}

// Beside the chat it is only shown; over the chat it takes the focus, and gives it back.
function togglePanel() {
  const open = byId("panel").hidden;
  showPanel(open);
  if (!WIDE.matches) {
    byId(open ? "panel-close" : "panel-toggle").focus();
  }
}

function initPanel() {
  byId("panel-toggle").addEventListener("click", togglePanel);
  byId("panel-close").addEventListener("click", togglePanel);
  WIDE.addEventListener("change", () => showPanel(WIDE.matches));
  showPanel(WIDE.matches);
}

// The rest

function initTheme() {
  const button = byId("theme");
  const show = () => button.setAttribute("aria-pressed", String(currentTheme() === "dark"));
  button.addEventListener("click", () => {
    announce(`${toggleTheme()} colours`);
    show();
  });
  show();
}

// A second press within some seconds, since what was said cannot be had back.
function initClear() {
  const button = byId("clear");
  let timer = 0;
  const settle = () => {
    clearTimeout(timer);
    timer = 0;
    button.textContent = "Clear";
  };
  button.addEventListener("click", () => {
    if (!timer) {
      button.textContent = "Really clear?";
      announce("Press again to clear the conversation");
      timer = setTimeout(settle, 4000);
      return;
    }
    settle();
    clearConversation();
    announce("The conversation is cleared");
    prompt.focus();
  });
  button.addEventListener("blur", settle);
}

function onEscape(event) {
  if (event.key !== "Escape" || event.defaultPrevented || byId("ask-key").open) {
    return;
  }
  if (isRunning()) {
    stopNow();
  } else if (!WIDE.matches && !byId("panel").hidden) {
    togglePanel();
  }
}

function start() {
  initKey(() => {
    loadModels();
    resumeEngine();
  });
  initSettings();
  initDocuments(updateComposer);
  initComposer();
  initPanel();
  initTheme();
  initClear();
  initChat();
  initEngine();
  fitPrompt();
  document.addEventListener("keydown", onEscape);
  if (WIDE.matches) {
    prompt.focus(); // on a phone this would open the keyboard
  }
}

start();
