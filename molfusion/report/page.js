for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  table.querySelectorAll("thead button").forEach((button, column) => button.addEventListener("click", () => {
    const head = button.parentElement, up = head.getAttribute("aria-sort") === "descending";
    table.querySelectorAll("thead th").forEach(th => th.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const value = row => {
      const text = row.cells[column].textContent.trim().replace(/[,×]/g, ""), number = parseFloat(text);
      return isNaN(number) ? text : number;
    };
    const order = (a, b) => {
      const x = value(a), y = value(b);
      if (typeof x !== typeof y) return typeof x === "number" ? -1 : 1;
      return (typeof x === "number" ? x - y : x.localeCompare(y)) * (up ? 1 : -1);
    };
    body.append(...[...body.rows].sort(order));
  }));
}
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(details => { details.open = true; }));
