// Ranges, filters, sorting, CSV and copying. The charts are Vega-Lite's; the tables are complete without any script.
const { charts, facts, filters, ranges } = JSON.parse(document.getElementById("data").textContent);
const only = Object.fromEntries(filters.map((name) => [name, ""]));
const rows = facts.usd.map((usd, index) =>
  Object.fromEntries(Object.entries(facts).map(([name, column]) => [name, column.codes ? column.values[column.codes[index]] : usd])));
const views = [];
const money = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });
const [own] = Object.keys(ranges);
const parts = {};  // range -> what it has of its own
let chosen = ranges[own];

async function draw(place) {
  const spec = charts[place.dataset.figure][place.dataset.chart];
  const follows = spec.params !== undefined;
  if (innerWidth <= 700) spec.height = spec.height.step ? { step: 17 } : Math.min(spec.height, 84);
  if (follows) spec.datasets = { ...spec.datasets, facts: rows.map((row) => ({ ...row })) };
  const { view } = await vegaEmbed(place, spec, { renderer: "svg", actions: false, logLevel: 1, tooltip: { theme: "custom" } });
  if (!follows) return;
  views.push(view);
  signal(view);
  const dimension = place.dataset.figure === "by_day" ? "provider" : place.dataset.figure.replace("by_", "");
  view.addEventListener("click", (event, item) => {
    const label = item?.datum?.[dimension];
    if (label !== undefined) show(dimension, only[dimension] === label ? "" : label);
  });
}

function signal(view) {
  for (const name of filters) view.signal(`only_${name}`, only[name]);
  view.signal("first", chosen.first).signal("last", chosen.last).runAsync();
}

function show(dimension, label) {
  only[dimension] = label;
  for (const select of document.querySelectorAll("[data-filter]")) {
    select.value = only[select.dataset.filter];
    select.toggleAttribute("data-on", select.value !== "");
  }
  views.forEach(signal);
  const named = filters.filter((name) => only[name]);
  const kept = rows.filter((row) => row.day >= chosen.first && row.day <= chosen.last && named.every((name) => row[name] === only[name]));
  document.getElementById("clear").disabled = named.length === 0;
  document.documentElement.toggleAttribute("data-filtered", named.length > 0);
  document.getElementById("filtered").value = named.length
    ? `${named.map((name) => only[name]).join(", ")}: ${money.format(kept.reduce((sum, row) => sum + row.usd, 0))}`
    : "";
}

// What a range has of its own takes the place of what has the same id.
function choose(name) {
  for (const { dataset, content } of document.querySelectorAll("template[data-range]")) {
    parts[dataset.range] ??= [...content.children];
    parts[own] ??= parts[dataset.range].map(({ id }) => document.getElementById(id));
  }
  chosen = ranges[name];
  for (const part of parts[name]) document.getElementById(part.id).replaceWith(part);
  for (const day of document.querySelectorAll("[data-follows] [data-day]")) day.textContent = chosen[day.dataset.day];
  for (const article of document.querySelectorAll("article[data-follows]")) {
    article.hidden = document.getElementById(`${article.id}-table`).dataset.rows === "0";
  }
  document.querySelectorAll("table").forEach(label);
  document.documentElement.toggleAttribute("data-other", name !== own);
  document.title = document.getElementById("title").textContent;
  show(filters[0], only[filters[0]]);
}

function clear() {
  filters.forEach((name) => { only[name] = ""; });
  show(filters[0], "");
}

function fill(select) {
  const sums = new Map();
  for (const row of rows) sums.set(row[select.dataset.filter], (sums.get(row[select.dataset.filter]) ?? 0) + row.usd);
  for (const [label] of [...sums].sort((a, b) => b[1] - a[1])) select.add(new Option(label, label));
}

function sort(button) {
  const head = button.closest("th");
  const index = [...head.parentNode.children].indexOf(head);
  const sign = head.ariaSort === "descending" ? 1 : -1;
  for (const other of head.parentNode.children) other.ariaSort = "none";
  head.ariaSort = sign > 0 ? "ascending" : "descending";
  const body = head.closest("table").tBodies[0];
  const value = (row) => row.cells[index].dataset.exact;
  const compare = (a, b) =>
    isNaN(value(a)) || isNaN(value(b)) ? value(a).localeCompare(value(b)) : value(a) - value(b);
  body.append(...[...body.rows].sort((a, b) => sign * compare(a, b)));
}

function download(button) {
  const table = button.closest("details").querySelector("table");
  const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  const quoted = (text) => {
    const safe = /^[=+\-@\t\r]/.test(text) && isNaN(text) ? `'${text}` : text;  // no spreadsheet takes it for a formula
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const lines = [heads, ...[...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.dataset.exact))];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([lines.map((line) => line.map(quoted).join(",")).join("\n")], { type: "text/csv" }));
  link.download = `${button.dataset.name}.csv`;
  link.click();
  URL.revokeObjectURL(link.href);
}

async function copy(button) {
  const code = button.previousElementSibling.querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(code);  // a file that was opened from a disk may not write to the clipboard
    button.textContent = "Selected: press Ctrl+C";
  }
}

function explain(select) {
  const panel = select.closest("details");
  panel.querySelector(".command code").textContent = select.value;
  panel.querySelector(".copy").textContent = "Copy the command";
}

function digits(button) {
  [button.textContent, button.dataset.exact] = [button.dataset.exact, button.textContent];
  button.toggleAttribute("data-digits");
}

// where each row is a card, a value stands beside its heading
function label(table) {
  const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  for (const row of table.tBodies[0].rows) [...row.cells].forEach((cell, index) => { cell.dataset.label = heads[index]; });
}

const clicked = { ".amount": digits, "th button": sort, ".csv": download, ".copy": copy, "#clear": clear };
const changed = {
  "[data-explain]": explain,
  "[data-filter]": (select) => show(select.dataset.filter, select.value),
  "[name=range]": (button) => choose(button.value),
};
const listen = (event, handlers) => document.addEventListener(event, ({ target }) => {
  for (const [selector, handle] of Object.entries(handlers)) {
    const found = target.closest(selector);
    if (found) handle(found);
  }
});
listen("click", clicked);
listen("change", changed);
document.querySelectorAll("[data-filter]").forEach(fill);
document.querySelectorAll("table").forEach(label);
document.querySelector(".filters").hidden = rows.length === 0;
document.querySelector(".ranges").hidden = Object.keys(ranges).length < 2;
// a chart among the details has a width, and is drawn, when they are opened
const open = (details) => [...details.querySelectorAll(".chart:empty")].forEach(draw);
document.addEventListener("toggle", ({ target }) => target.open && open(target), true);
await Promise.all([...document.querySelectorAll(".chart")].filter((place) => !place.closest("details")).map(draw));
document.documentElement.dataset.ready = "";
