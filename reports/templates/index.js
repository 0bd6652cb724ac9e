"use strict";
(() => {
  const table = document.querySelector("table.cases");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const search = document.querySelector("#search");
  const shown = document.querySelector("#shown");
  if (search) {
    document.querySelector(".tools").hidden = false;
    search.addEventListener("input", () => show());
  }
  let chosen = "";
  for (const cause of document.querySelectorAll(".causes > ol > li")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Show these cases alone";
    button.setAttribute("aria-pressed", "false");
    cause.firstElementChild.append(" ", button);
    button.addEventListener("click", () => {
      chosen = chosen === cause.dataset.cause ? "" : cause.dataset.cause;
      for (const other of document.querySelectorAll(".causes button")) {
        other.setAttribute("aria-pressed", String(other === button && chosen !== ""));
      }
      show();
    });
  }
  const show = () => {
    const words = search ? search.value.toLowerCase().split(/\s+/) : [];
    for (const row of rows) {
      const found = words.every((word) => row.textContent.toLowerCase().includes(word));
      row.hidden = !found || (chosen !== "" && !(row.dataset.causes || "").split(" ").includes(chosen));
    }
    if (shown) shown.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} cases`;
  };
  for (const head of table.tHead.querySelectorAll("th[data-sort]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "ascending";
      for (const other of table.tHead.querySelectorAll("th")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "ascending" : "descending");
      const text = (row) => row.cells[head.cellIndex].textContent.trim();
      const sorted = rows.slice().sort((a, b) => text(a).localeCompare(text(b), "en", { numeric: true }));
      body.append(...(down ? sorted : sorted.reverse()));
    });
  }
})();
