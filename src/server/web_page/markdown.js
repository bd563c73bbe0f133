// markdown.js - Markdown as elements: what a model writes is shown, never run.
//
// A text is cut into its outermost blocks; rendering it again, as more of it has come, makes only
// those blocks anew that have changed. HTML in it is text like any other.
// Source: CommonMark 0.31, "Blocks", without HTML, indented code and reference links; GitHub's tables.
import { appendAll, copyText, el } from "./dom.js";
import { inlineNodes } from "./inline.js";

const DEPTH_MAX = 12; // lists and quotations in each other
const FENCE = /^ {0,3}(`{3,}|~{3,})\s{0,20}([^`\s]{0,40})[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})(?:\s+(.*))?$/;
const RULE = /^ {0,3}(?:(?:\*\s*){3,}|(?:-\s*){3,}|(?:_\s*){3,})$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])( {1,4}(?=\S)| {1,4}$|$| (?= {4}))/;
const TABLE_RULE = /^ {0,3}\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/;

const isBlank = (line) => !line.trim();
const indentOf = (line) => line.length - line.trimStart().length;

function isTable(lines, i) {
  return lines[i].includes("|") && i + 1 < lines.length && lines[i + 1].includes("-") &&
    TABLE_RULE.test(lines[i + 1]) && cells(lines[i]).length === cells(lines[i + 1]).length;
}

// Whether a line begins something else than the paragraph that it stands under.
function interrupts(lines, i) {
  const line = lines[i];
  const item = ITEM.exec(line);
  return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) ||
    isTable(lines, i) || (item && item[3] && /^([-*+]|1[.)])$/.test(item[2]));
}

function endOfFence(lines, i, mark) {
  const closing = new RegExp(`^ {0,3}\\${mark[0]}{${mark.length},}\\s*$`);
  for (i++; i < lines.length; i++) {
    if (closing.test(lines[i])) {
      return i + 1;
    }
  }
  return i;
}

function endOfQuote(lines, i) {
  while (i < lines.length && (QUOTE.test(lines[i]) || (!isBlank(lines[i]) && !interrupts(lines, i)))) {
    i++;
  }
  return i;
}

function kindOfItem(item) {
  return /\d/.test(item[2]) ? item[2].slice(-1) : item[2];
}

// A list goes on with items of its kind, and with what is indented below them.
function endOfList(lines, i) {
  const kind = kindOfItem(ITEM.exec(lines[i]));
  let end = i + 1;
  for (let at = i + 1, blank = false; at < lines.length; at++) {
    const item = ITEM.exec(lines[at]);
    if (isBlank(lines[at])) {
      blank = true;
      continue;
    }
    const same = item && kindOfItem(item) === kind && !RULE.test(lines[at]);
    const lazy = !blank && !item && !interrupts(lines, at);
    if (!same && indentOf(lines[at]) < 2 && !lazy) {
      break;
    }
    blank = false;
    end = at + 1;
  }
  return end;
}

function endOfTable(lines, i) {
  for (i += 2; i < lines.length && lines[i].includes("|") && !isBlank(lines[i]); i++);
  return i;
}

function endOfParagraph(lines, i) {
  for (i++; i < lines.length && !isBlank(lines[i]) && !interrupts(lines, i); i++);
  return i;
}

function blockAt(lines, i) {
  const fence = FENCE.exec(lines[i]);
  if (fence) {
    return ["fence", endOfFence(lines, i, fence[1])];
  }
  if (HEADING.test(lines[i])) {
    return ["heading", i + 1];
  }
  if (RULE.test(lines[i])) {
    return ["rule", i + 1];
  }
  if (QUOTE.test(lines[i])) {
    return ["quote", endOfQuote(lines, i)];
  }
  if (ITEM.test(lines[i])) {
    return ["list", endOfList(lines, i)];
  }
  return isTable(lines, i) ? ["table", endOfTable(lines, i)] : ["paragraph", endOfParagraph(lines, i)];
}

function split(text) {
  const lines = text.replace(/\r\n?/g, "\n").replace(/\t/g, "    ").split("\n");
  const blocks = [];
  for (let i = 0; i < lines.length;) {
    if (isBlank(lines[i])) {
      i++;
      continue;
    }
    const [kind, end] = blockAt(lines, i);
    blocks.push({ kind, text: lines.slice(i, end).join("\n") });
    i = end;
  }
  return blocks;
}

function renderFence(text) {
  const lines = text.split("\n");
  const [, mark, language] = FENCE.exec(lines[0]);
  const closed = lines.length > 1 && endOfFence(lines, 0, mark) === lines.length &&
    lines.at(-1).trim().startsWith(mark) && !lines.at(-1).trim().replaceAll(mark[0], "");
  const indent = indentOf(lines[0]);
  const code = lines.slice(1, closed ? -1 : undefined)
    .map((l) => l.slice(Math.min(indent, indentOf(l)))).join("\n");
  const button = el("button", { type: "button", class: "quiet", "aria-label": "Copy this code" }, "Copy");
  button.addEventListener("click", () => copyText(code, button));
  return el("figure", { class: "code" },
    el("figcaption", {}, el("span", {}, language || "text"), button),
    el("pre", { tabindex: "0" }, el("code", {}, code)));
}

function renderHeading(text) {
  const [, marks, title = ""] = HEADING.exec(text);
  // The page has its own h1; what is in an answer stands below.
  return el(`h${Math.min(marks.length + 1, 6)}`, {}, inlineNodes(title.replace(/\s{1,20}#{1,100}\s{0,20}$/, "")));
}

function renderQuote(text, depth) {
  const inside = text.split("\n").map((l) => l.replace(QUOTE, "")).join("\n");
  return el("blockquote", {}, render(inside, depth + 1));
}

// The items' texts, without marks and indentation.
function itemsOf(text) {
  const items = [];
  let width = 0;
  const kind = kindOfItem(ITEM.exec(text.split("\n", 1)[0]));
  for (const line of text.split("\n")) {
    const item = ITEM.exec(line);
    if (item && kindOfItem(item) === kind && (!items.length || item[1].length < width)) {
      width = item[0].length || 2;
      items.push([line.slice(item[0].length)]);
    } else {
      items.at(-1).push(line.slice(Math.min(width, indentOf(line))));
    }
  }
  return items.map((lines) => lines.join("\n").trimEnd());
}

function renderItem(text, depth, loose) {
  const task = /^\[([ xX])\] /.exec(text);
  const nodes = render(task ? text.slice(4) : text, depth + 1);
  const first = nodes[0];
  const children = !loose && first?.tagName === "P" ? [...first.childNodes, ...nodes.slice(1)] : nodes;
  if (!task) {
    return el("li", {}, children);
  }
  const box = el("input", { type: "checkbox", disabled: true, checked: task[1] !== " ", "aria-label": "task" });
  return el("li", { class: "task" }, box, children);
}

function renderList(text, depth) {
  const number = /^ {0,3}(\d+)/.exec(text);
  const items = itemsOf(text);
  const loose = items.length > 1 && /\n *\n {0,3}(?:[-*+]|\d+[.)])\s/.test(text);
  return el(number ? "ol" : "ul", { start: number && number[1] !== "1" ? Number(number[1]) : null },
    items.map((i) => renderItem(i, depth, loose)));
}

function cells(line) {
  const inside = line.trim().replace(/^\|/, "").replace(/(?<!\\)\|$/, "");
  return inside.split(/(?<!\\)\|/).map((c) => c.trim().replace(/\\\|/g, "|"));
}

function renderTable(text) {
  const [head, rule, ...rows] = text.split("\n").map(cells);
  const sides = rule.map((c) => (c.endsWith(":") ? (c.startsWith(":") ? "center" : "right") : null));
  const row = (tag, texts) => el("tr", {}, head.map((_, i) =>
    el(tag, { class: sides[i], scope: tag === "th" ? "col" : null }, inlineNodes(texts[i] ?? ""))));
  return el("div", { class: "table", tabindex: "0", role: "region", "aria-label": "table" },
    el("table", {}, el("thead", {}, row("th", head)), el("tbody", {}, rows.map((r) => row("td", r)))));
}

function renderBlock(block, depth) {
  switch (block.kind) {
    case "fence": return renderFence(block.text);
    case "heading": return renderHeading(block.text);
    case "rule": return el("hr");
    case "quote": return renderQuote(block.text, depth);
    case "list": return renderList(block.text, depth);
    case "table": return renderTable(block.text);
    default: return el("p", {}, inlineNodes(block.text.split("\n").map((l) => l.trimStart()).join("\n")));
  }
}

function render(text, depth) {
  if (depth > DEPTH_MAX) {
    return [el("p", {}, text)];
  }
  return split(text).map((b) => renderBlock(b, depth));
}

const rendered = new WeakMap(); // the blocks of an element

// Shows a text in an element that holds nothing else.
export function showMarkdown(element, text) {
  const before = rendered.get(element) ?? [];
  const blocks = split(text);
  let same = 0;
  while (same < before.length && same < blocks.length && before[same].kind === blocks[same].kind &&
         before[same].text === blocks[same].text) {
    same++;
  }
  while (element.childNodes.length > same) {
    element.lastChild.remove();
  }
  appendAll(element, blocks.slice(same).map((b) => renderBlock(b, 0)));
  rendered.set(element, blocks);
}
