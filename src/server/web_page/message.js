// message.js - how one message looks: text, thoughts, what happened to it, what can be done with it.
import { el } from "./dom.js";
import { imageElement } from "./images.js";
import { showMarkdown } from "./markdown.js";

function documentLine(request) {
  const what = `Summarize in about ${request.words} words (${request.style})`;
  return el("div", { class: "documents" },
    el("p", {}, what),
    el("ul", {}, ...request.names.map((n) => el("li", {}, n))),
    request.ask ? el("p", {}, request.ask) : null);
}

// The element of a message; show() brings it up to date, and is called often while it is written.
export class MessageView {
  constructor(message) {
    this.message = message;
    this.body = el("div", { class: "body" });
    this.note = el("p", { class: "note", hidden: true });
    this.actions = el("div", { class: "actions" });
    const name = message.role === "user" ? "You" : "Answer";
    this.element = el("article", { class: `message ${message.role}`, "aria-label": name }, this.body,
      el("div", { class: "foot" }, this.actions, this.note));
    if (message.role === "user") {
      this.body.append(message.request ? documentLine(message.request) : message.text);
    } else {
      this.buildAnswer();
    }
  }

  buildAnswer() {
    this.thoughts = el("p", {});
    this.thoughtsTitle = el("summary", {}, "Thoughts");
    this.thoughtsFold = el("details", { class: "thoughts", hidden: true }, this.thoughtsTitle, this.thoughts);
    this.text = el("div", { class: "markdown" });
    this.images = el("div", { class: "images" });
    this.waiting = el("p", { class: "waiting", hidden: true });
    this.problem = el("div", { class: "problem", role: "alert", hidden: true });
    this.body.append(this.thoughtsFold, this.text, this.images, this.waiting, this.problem);
  }

  // Images are the longest of what comes: each is made once.
  showImages() {
    const { images = [], imagesLost: n } = this.message;
    if (n && !this.images.firstChild) {
      this.images.append(el("p", { class: "note" }, n > 1 ? `${n} images were not kept.` : "An image was not kept."));
    }
    for (let i = this.images.children.length; i < images.length; i++) {
      this.images.append(imageElement(images[i], i));
    }
  }

  // state: undefined for what has ended, else what is being waited for.
  show(state) {
    const m = this.message;
    if (m.role === "user") {
      return;
    }
    this.element.setAttribute("aria-busy", state ? "true" : "false");
    this.thoughtsFold.hidden = !m.thoughts;
    this.thoughts.textContent = m.thoughts ?? "";
    this.thoughtsTitle.textContent = state && !m.text ? "Thinking…" : "Thoughts";
    showMarkdown(this.text, m.text);
    this.showImages();
    this.element.classList.toggle("streaming", Boolean(state && m.text));
    this.waiting.hidden = !state || Boolean((m.text || m.images) && !state.always);
    this.waiting.textContent = state ? state.text : "";
    this.note.hidden = !m.note;
    this.note.textContent = m.note ?? "";
  }

  // Says in place what went wrong; what has been written stays above it.
  showProblem(retry) {
    const button = retry ? el("button", { type: "button", onclick: retry }, "Try again") : null;
    this.problem.replaceChildren(el("span", {}, this.message.error), ...(button ? [button] : []));
    this.problem.hidden = false;
  }

  setActions(...buttons) {
    this.actions.replaceChildren(...buttons);
  }

  // Turns the user's text into a field; done(text) or, without a text, nothing changed.
  edit(done) {
    const field = el("textarea", { "aria-label": "Edit the message", rows: "3" });
    field.value = this.message.text;
    const finish = (text) => {
      this.body.replaceChildren(this.message.text);
      this.actions.hidden = false;
      done(text);
    };
    const send = () => finish(field.value.trim());
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        send();
      } else if (event.key === "Escape") {
        event.stopPropagation();
        finish("");
      }
    });
    this.actions.hidden = true;
    this.body.replaceChildren(field, el("div", { class: "actions" },
      el("button", { type: "button", class: "primary", onclick: send }, "Send"),
      el("button", { type: "button", class: "quiet", onclick: () => finish("") }, "Cancel")));
    field.focus();
  }
}
