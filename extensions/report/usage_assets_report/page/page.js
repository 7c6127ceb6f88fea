// Filters, sorting, CSV and copying. The charts are Vega-Lite's; the tables are complete without any script.
const { charts, facts, filters } = JSON.parse(document.getElementById("data").textContent);
const only = Object.fromEntries(filters.map((name) => [name, ""]));
const rows = facts.usd.map((usd, index) =>
  Object.fromEntries(Object.entries(facts).map(([name, column]) => [name, column.codes ? column.values[column.codes[index]] : usd])));
const views = [];
const money = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });

async function draw(place) {
  const spec = charts[place.dataset.figure][place.dataset.chart];
  const filtered = spec.data?.name === "facts";
  if (spec.height.step && innerWidth <= 700) spec.height.step = 17;
  if (filtered) spec.datasets = { facts: rows.map((row) => ({ ...row })) };
  const { view } = await vegaEmbed(place, spec, { renderer: "svg", actions: false, logLevel: 1, tooltip: { theme: "custom" } });
  if (!filtered) return;
  for (const name of filters) view.signal(`only_${name}`, only[name]);
  views.push(view);
  view.runAsync();
  const dimension = place.dataset.figure === "by_day" ? "provider" : place.dataset.figure.replace("by_", "");
  view.addEventListener("click", (event, item) => {
    const label = item?.datum?.[dimension];
    if (label !== undefined) show(dimension, only[dimension] === label ? "" : label);
  });
}

function show(dimension, label) {
  only[dimension] = label;
  for (const select of document.querySelectorAll("[data-filter]")) {
    select.value = only[select.dataset.filter];
    select.toggleAttribute("data-on", select.value !== "");
  }
  for (const view of views) {
    for (const name of filters) view.signal(`only_${name}`, only[name]);
    view.runAsync();
  }
  const chosen = filters.filter((name) => only[name]);
  const kept = rows.filter((row) => chosen.every((name) => row[name] === only[name]));
  document.getElementById("clear").disabled = chosen.length === 0;
  document.documentElement.toggleAttribute("data-filtered", chosen.length > 0);
  document.getElementById("filtered").value = chosen.length
    ? `${chosen.map((name) => only[name]).join(", ")}: ${money.format(kept.reduce((sum, row) => sum + row.usd, 0))}`
    : "";
}

function fill(select) {
  const sums = new Map();
  for (const row of rows) sums.set(row[select.dataset.filter], (sums.get(row[select.dataset.filter]) ?? 0) + row.usd);
  for (const [label] of [...sums].sort((a, b) => b[1] - a[1])) select.add(new Option(label, label));
  select.addEventListener("change", () => show(select.dataset.filter, select.value));
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
}

// where each row is a card, a value stands beside its heading
function label(table) {
  const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  for (const row of table.tBodies[0].rows) [...row.cells].forEach((cell, index) => { cell.dataset.label = heads[index]; });
}

document.querySelectorAll("[data-filter]").forEach(fill);
document.querySelectorAll(".amount").forEach((button) => button.addEventListener("click", () => digits(button)));
document.querySelectorAll("table").forEach(label);
document.querySelector(".filters").hidden = rows.length === 0;
document.getElementById("clear").addEventListener("click", () => { filters.forEach((name) => { only[name] = ""; }); show(filters[0], ""); });
document.querySelectorAll("th button").forEach((button) => button.addEventListener("click", () => sort(button)));
document.querySelectorAll(".csv").forEach((button) => button.addEventListener("click", () => download(button)));
document.querySelectorAll("[data-explain]").forEach((select) => select.addEventListener("change", () => explain(select)));
document.querySelectorAll(".copy").forEach((button) => button.addEventListener("click", () => copy(button)));
// a chart among the details has a width, and is drawn, when they are opened
const folded = document.querySelectorAll("details:has(.chart)");
const open = (details) => Promise.all([...details.querySelectorAll(".chart:empty")].map(draw));
folded.forEach((details) => details.addEventListener("toggle", () => details.open && open(details)));
await Promise.all([...document.querySelectorAll(".chart")].filter((place) => !place.closest("details")).map(draw));
document.documentElement.dataset.ready = "";
