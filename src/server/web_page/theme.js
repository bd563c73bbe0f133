// theme.js - light or dark: as the system has it (style.css) until somebody chooses otherwise.
const KEY = "hearth.theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

function chosen() {
  try {
    const value = localStorage.getItem(KEY);
    return value === "light" || value === "dark" ? value : "";
  } catch {
    return "";
  }
}

function show() {
  document.documentElement.dataset.theme = chosen();
}

export function currentTheme() {
  return chosen() || (dark.matches ? "dark" : "light");
}

// The other one; what the system has already need not be remembered.
export function toggleTheme() {
  const next = currentTheme() === "dark" ? "light" : "dark";
  try {
    if ((next === "dark") === dark.matches) {
      localStorage.removeItem(KEY);
    } else {
      localStorage.setItem(KEY, next);
    }
  } catch { /* without storage it stays as the system has it */ }
  show();
  return next;
}

show();
