"use strict";
(() => {
  const table = document.querySelector("table.cases");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const search = document.querySelector("#search");
  const shown = document.querySelector("#shown");
  if (search) {
    document.querySelector(".tools").hidden = false;
    search.addEventListener("input", () => {
      const words = search.value.toLowerCase().split(/\s+/);
      for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
      shown.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} cases`;
    });
  }
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
