"use strict";
(() => {
  const table = document.querySelector("table.cases");
  const tools = document.querySelector(".tools");
  const search = document.querySelector("#search");
  const group = document.querySelector("#group");
  const shown = document.querySelector("#shown");
  const heads = [...table.tHead.querySelectorAll("th[data-sort]")];
  const place = Object.fromEntries(heads.map((head) => [head.dataset.sort, head.cellIndex]));
  const causes = [...document.querySelectorAll(".causes > ol > li")];
  let rows = [...table.tBodies[0].rows];
  let chosen = "";
  const verdicts = new Set();
  tools.hidden = false;
  const button = (words, pressed) => {
    const made = document.createElement("button");
    made.type = "button";
    if (words) made.textContent = words;
    if (pressed) made.setAttribute("aria-pressed", "false");
    return made;
  };
  const text = (row, name) => row.cells[place[name]].textContent.trim();
  const labels = (row) => {
    if (group.value === "cause") {
      const numbers = (row.dataset.causes || "").split(" ").filter(Boolean);
      const told = numbers.map((number) => causes[number - 1].querySelector(".sentence").textContent);
      return told.length ? told : [tools.dataset.none];
    }
    if (group.value === "invocation") return [row.dataset.invocation || "–"];
    return [text(row, group.value)];
  };
  const count = (number) => {
    shown.textContent = `${number} ${tools.dataset.of.replace("{number}", rows.length)}`;
  };
  const show = () => {
    const words = search ? search.value.toLowerCase().split(/\s+/) : [];
    const kept = rows.filter((row) => {
      const found = words.every((word) => row.textContent.toLowerCase().includes(word));
      const wanted = !verdicts.size || verdicts.has(row.dataset.verdict);
      return found && wanted && (!chosen || (row.dataset.causes || "").split(" ").includes(chosen));
    });
    const groups = new Map();
    for (const row of kept) {
      for (const label of group && group.value ? labels(row) : [""]) {
        if (!groups.has(label)) groups.set(label, []);
        groups.get(label).push(row);
      }
    }
    for (const body of [...table.tBodies]) body.remove();
    const placed = new Set();
    for (const [label, members] of groups) {
      const body = table.createTBody();
      if (label) {
        const head = body.insertRow();
        head.className = "group";
        const cell = document.createElement("th");
        cell.scope = "rowgroup";
        cell.colSpan = table.tHead.rows[0].cells.length;
        cell.textContent = `${label} (${members.length})`;
        head.append(cell);
      }
      for (const row of members) {
        body.append(placed.has(row) ? row.cloneNode(true) : row);
        placed.add(row);
      }
    }
    if (!table.tBodies.length) table.createTBody();
    count(kept.length);
  };
  if (search) search.addEventListener("input", show);
  if (group) group.addEventListener("change", show);
  for (const item of document.querySelectorAll(".counts li[data-verdict]:not(.none)")) {
    const made = button("", true);
    made.append(...item.childNodes);
    made.title = tools.dataset.only;
    item.append(made);
    made.addEventListener("click", () => {
      const pressed = !verdicts.delete(item.dataset.verdict);
      if (pressed) verdicts.add(item.dataset.verdict);
      made.setAttribute("aria-pressed", String(pressed));
      show();
    });
  }
  for (const cause of causes) {
    const made = button(tools.dataset.alone, true);
    cause.firstElementChild.append(" ", made);
    made.addEventListener("click", () => {
      chosen = chosen === cause.dataset.cause ? "" : cause.dataset.cause;
      for (const other of document.querySelectorAll(".causes button")) {
        other.setAttribute("aria-pressed", String(other === made && chosen !== ""));
      }
      show();
    });
  }
  for (const head of heads) {
    const made = button("", false);
    made.append(...head.childNodes);
    head.append(made);
    made.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const numbers = rows.some((row) => row.cells[head.cellIndex].dataset.by !== undefined);
      const key = (row) => row.cells[head.cellIndex].dataset.by;
      const words = (row) => text(row, head.dataset.sort);
      const order = numbers
        ? (a, b) => Number(key(a)) - Number(key(b))
        : (a, b) => words(a).localeCompare(words(b), "en", { numeric: true });
      const known = (row) => !numbers || key(row) !== "";
      const unknown = rows.filter((row) => !known(row));
      const sorted = rows.filter(known).sort(order);
      rows = [...(up ? sorted : sorted.reverse()), ...unknown];
      show();
    });
  }
  const reveal = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    const fold = target && target.closest("details");
    if (fold) {
      fold.open = true;
      target.scrollIntoView();
    }
  };
  addEventListener("hashchange", reveal);
  reveal();
  count(rows.length);
})();
