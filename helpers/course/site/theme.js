// The theme of a page: the system's, until the reader chooses.

const KEPT = "theme", system = matchMedia("(prefers-color-scheme: dark)");

function remembered() {
  try {
    return localStorage.getItem(KEPT);
  } catch { // where a browser keeps nothing for files
    return null;
  }
}

function remember(theme) {
  try {
    localStorage.setItem(KEPT, theme);
  } catch { /* then it holds for this page alone */ }
}

const isDark = () => document.body.dataset.jpThemeLight === "false";

function wear(theme = remembered() ?? (system.matches ? "dark" : "light")) {
  document.body.dataset.jpThemeLight = theme === "light"; // the views' styles go by it
  document.querySelector("#theme").setAttribute("aria-pressed", theme === "dark");
}

export function followTheme() {
  wear();
  system.addEventListener("change", () => wear());
  document.querySelector("#theme").addEventListener("click", () => {
    remember(isDark() ? "light" : "dark");
    wear();
  });
  addEventListener("beforeprint", () => wear("light")); // ink on paper
  addEventListener("afterprint", () => wear());
}
