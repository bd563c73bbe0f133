// dom.js - making elements. Texts only ever become text nodes; markup is never parsed.

// An element: attributes by name (true: there, without a value; null or false: absent), listeners
// as "onclick" and so on, then children: elements, texts, lists of them;
// null is none.
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) {
      element.addEventListener(key.slice(2), value);
    } else if (value === true) {
      element.setAttribute(key, "");
    } else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(key, value);
    }
  }
  appendAll(element, children);
  return element;
}

// One after the other: as arguments of one call, very many would not fit.
export function appendAll(element, children) {
  for (const child of children) {
    if (Array.isArray(child)) {
      appendAll(element, child);
    } else if (child !== null && child !== undefined) {
      element.append(child);
    }
  }
}

export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) {
    element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

export function byId(id) {
  return document.getElementById(id);
}

// Tells those who listen to the page rather than look at it.
export function announce(text) {
  const place = byId("announcer");
  place.textContent = "";
  place.textContent = text;
}

// Copies a text; the button says so for a moment.
export async function copyText(text, button) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
    announce("Copied");
  } catch {
    button.textContent = "Not allowed";
  }
  setTimeout(() => { button.textContent = label; }, 1500);
}

export function bytesText(n) {
  const units = ["bytes", "KB", "MB"];
  let unit = 0;
  while (n >= 1000 && unit < units.length - 1) {
    n /= 1000;
    unit++;
  }
  return `${unit && n < 10 ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
}
