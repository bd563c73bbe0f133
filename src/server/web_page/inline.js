// inline.js - Markdown inside of a block: emphasis, code, links, as nodes of the document.
//
// A text of n characters takes time in proportion to n: every expression is bounded or advances,
// emphasis is matched over a bounded number of marks, what is beyond stays text. Links go to http
// and https only; pictures are links too, as nothing is fetched from elsewhere.
// Source: CommonMark 0.31, "Inlines"; GitHub's tables, strikethrough and bare links.
import { el } from "./dom.js";

const MARKS_MAX = 400; // of emphasis in one block; also bounds how deep elements nest
const PLAIN = /[^\\`[\]!<*_~\nh]+/y;
const DESTINATION = /\(\s{0,20}(<[^<>\n]{0,2000}>|(?:[^\s()]|\([^\s()]{0,500}\)){0,2000})(?:\s{1,20}("[^"]{0,500}"|'[^']{0,500}'))?\s{0,20}\)/y;
const ANGLE_LINK = /<(https?:\/\/[^\s<>]{1,2000})>/y;
const BARE_LINK = /https?:\/\/[^\s<>"`]{1,2000}/y;
const PUNCTUATION = /[!-/:-@[-`{-~\p{P}\p{S}]/u;

// The address if it is one that may be followed, else null.
export function safeAddress(text) {
  let url;
  try {
    url = new URL(text);
  } catch {
    return null;
  }
  return url.protocol === "http:" || url.protocol === "https:" ? url.href : null;
}

function link(address, children) {
  return el("a", { href: address, rel: "noopener noreferrer", target: "_blank" }, children);
}

function matchAt(expression, text, at) {
  expression.lastIndex = at;
  return expression.exec(text);
}

// Where runs of backticks are, by their length.
function backtickRuns(text) {
  const runs = new Map();
  for (const match of text.matchAll(/`+/g)) {
    const length = match[0].length;
    if (!runs.has(length)) {
      runs.set(length, []);
    }
    runs.get(length).push(match.index);
  }
  return runs;
}

class Scanner {
  constructor(text) {
    this.text = text;
    this.at = 0;
    this.items = []; // texts, nodes, {mark}: possible emphasis, {bracket}: possible links
    this.brackets = []; // places in items
    this.runs = backtickRuns(text);
    this.nMarks = 0;
  }

  addText(text) {
    const last = this.items.length - 1;
    if (typeof this.items[last] === "string") {
      this.items[last] += text;
    } else {
      this.items.push(text);
    }
  }

  takeText(n) {
    this.addText(this.text.slice(this.at, this.at + n));
    this.at += n;
  }

  escape() {
    const next = this.text[this.at + 1];
    if (next === "\n") {
      this.at++;
    } else if (next && /[!-/:-@[-`{-~]/.test(next)) {
      this.addText(next);
      this.at += 2;
    } else {
      this.takeText(1);
    }
  }

  code() {
    let length = 1;
    while (this.text[this.at + length] === "`") {
      length++;
    }
    const places = this.runs.get(length);
    while (places.length && places[0] <= this.at) {
      places.shift();
    }
    if (!places.length) {
      this.takeText(length);
      return;
    }
    let inside = this.text.slice(this.at + length, places[0]).replace(/\n/g, " ");
    if (inside.startsWith(" ") && inside.endsWith(" ") && inside.trim()) {
      inside = inside.slice(1, -1);
    }
    this.items.push(el("code", {}, inside));
    this.at = places[0] + length;
  }

  mark(char) {
    let n = 1;
    while (this.text[this.at + n] === char) {
      n++;
    }
    const before = this.text[this.at - 1] ?? " ";
    const after = this.text[this.at + n] ?? " ";
    const left = /\S/.test(after) && (!PUNCTUATION.test(after) || /\s/.test(before) || PUNCTUATION.test(before));
    const right = /\S/.test(before) && (!PUNCTUATION.test(before) || /\s/.test(after) || PUNCTUATION.test(after));
    if ((char === "~" && n !== 2) || (!left && !right) || ++this.nMarks > MARKS_MAX) {
      this.takeText(n);
      return;
    }
    const word = char === "_";
    this.items.push({
      mark: char, n, opens: left && (!word || !right || PUNCTUATION.test(before)),
      closes: right && (!word || !left || PUNCTUATION.test(after)),
    });
    this.at += n;
  }

  openBracket(n) {
    this.brackets.push(this.items.length);
    this.items.push({ bracket: this.text.slice(this.at, this.at + n), isPicture: n === 2 });
    this.at += n;
  }

  closeBracket() {
    const place = this.brackets.pop();
    const target = place === undefined ? null : matchAt(DESTINATION, this.text, this.at + 1);
    const address = target && safeAddress(target[1].startsWith("<") ? target[1].slice(1, -1) : target[1]);
    if (!address) {
      this.takeText(1);
      return;
    }
    const [opening, ...inside] = this.items.splice(place);
    const children = emphasize(inside);
    if (opening.isPicture) {
      children.unshift("picture: ");
    }
    if (inside.some((i) => i instanceof Element && (i.matches("a") || i.querySelector("a")))) {
      for (const child of children) { // no links in links
        this.items.push(child);
      }
    } else {
      this.items.push(link(address, children));
    }
    this.at += 1 + target[0].length;
  }

  angle() {
    const match = matchAt(ANGLE_LINK, this.text, this.at);
    const address = match && safeAddress(match[1]);
    if (!address) {
      this.takeText(1);
      return;
    }
    this.items.push(link(address, [match[1]]));
    this.at += match[0].length;
  }

  bare() {
    const before = this.text[this.at - 1] ?? " ";
    const match = /[\p{L}\p{N}]/u.test(before) || this.brackets.length
      ? null : matchAt(BARE_LINK, this.text, this.at);
    let shown = match ? match[0].replace(/[.,:;!?*_~'\]]{1,100}$/, "") : "";
    while (shown.endsWith(")") && shown.split(")").length > shown.split("(").length) {
      shown = shown.slice(0, -1);
    }
    const address = shown && safeAddress(shown);
    if (!address) {
      this.takeText(1);
      return;
    }
    this.items.push(link(address, [shown]));
    this.at += shown.length;
  }

  newline() {
    const last = this.items.length - 1;
    if (typeof this.items[last] === "string") {
      this.items[last] = this.items[last].replace(/ {1,100}$/, "");
    }
    this.items.push(el("br"));
    this.at++;
  }

  step() {
    const plain = matchAt(PLAIN, this.text, this.at);
    if (plain) {
      this.takeText(plain[0].length);
      return;
    }
    const char = this.text[this.at];
    switch (char) {
      case "\\": this.escape(); break;
      case "`": this.code(); break;
      case "[": this.openBracket(1); break;
      case "]": this.closeBracket(); break;
      case "<": this.angle(); break;
      case "h": this.bare(); break;
      case "\n": this.newline(); break;
      case "!": if (this.text[this.at + 1] === "[") { this.openBracket(2); } else { this.takeText(1); } break;
      default: this.mark(char);
    }
  }
}

function wrap(char, n, children) {
  return el(char === "~" ? "del" : n === 2 ? "strong" : "em", {}, children);
}

// The nearest mark before place `from` that opens what the mark there closes; -1 if there is none.
function findOpener(items, from) {
  const closer = items[from];
  for (let i = from - 1; i >= 0; i--) {
    const m = items[i];
    if (!m.mark || m.mark !== closer.mark || !m.opens || !m.n) {
      continue;
    }
    const both = (m.closes || closer.opens) && (m.n + closer.n) % 3 === 0 && m.n % 3 !== 0;
    if (!both) {
      return i;
    }
  }
  return -1;
}

// Items without marks and brackets: nodes, and texts between them.
function flatten(items) {
  const flat = [];
  for (const i of items) {
    const item = i.mark ? i.mark.repeat(i.n) : i.bracket ?? i;
    if (typeof item === "string" && typeof flat.at(-1) === "string") {
      flat[flat.length - 1] += item;
    } else if (item !== "") {
      flat.push(item);
    }
  }
  return flat;
}

function emphasize(items) {
  for (let c = 0; c < items.length; c++) {
    while (items[c]?.mark && items[c].closes && items[c].n) {
      const o = findOpener(items, c);
      if (o < 0) {
        break;
      }
      const n = items[o].n >= 2 && items[c].n >= 2 ? 2 : 1;
      const inside = flatten(items.slice(o + 1, c));
      items[o].n -= n;
      items[c].n -= n;
      items.splice(o + 1, c - o - 1, wrap(items[c].mark, n, inside));
      c = o + 2;
    }
  }
  return flatten(items);
}

// The nodes and texts of a block's text.
export function inlineNodes(text) {
  const scanner = new Scanner(text);
  while (scanner.at < text.length) {
    scanner.step();
  }
  return emphasize(scanner.items);
}
