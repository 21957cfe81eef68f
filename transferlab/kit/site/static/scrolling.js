// What scrolls must be reachable with the keyboard, and only that.
function markWhatScrolls() {
  for (const box of document.querySelectorAll("main *, article *")) {
    const tooLarge = box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight;
    if (tooLarge && /auto|scroll/.test(getComputedStyle(box).overflow)) {
      box.tabIndex = 0;
    } else if (box.tabIndex === 0 && box.matches("pre, div, table")) {
      box.removeAttribute("tabindex");
    }
  }
}

// At the start, when formulas have been drawn, when a text is unfolded or a phone is turned.
addEventListener("DOMContentLoaded", () => {
  new ResizeObserver(markWhatScrolls).observe(document.body);
});
addEventListener("load", () => window.MathJax?.startup?.promise.then(markWhatScrolls));

// Paper cannot be unfolded. But a sheet of exercises keeps its hints and checks for the notebook.
addEventListener("beforeprint", () => {
  const isSheet = location.pathname.endsWith("/exercises.html");
  for (const folded of document.querySelectorAll("details")) folded.open = !isSheet;
  for (const cell of document.querySelectorAll("div.cell")) {
    cell.classList.toggle("check", cell.textContent.trim().startsWith("# Check: run it"));
  }
});
