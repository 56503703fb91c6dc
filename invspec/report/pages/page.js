"use strict";
// Sorting, filtering, choosing lines and numbers. Without scripts the page has all numbers, too.
(() => {
  const { numbers, sheets } = JSON.parse(document.getElementById("details").textContent);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const element = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };
  const button = (text, act, attributes = {}) => {
    const made = element("button", { type: "button", ...attributes }, text);
    made.addEventListener("click", act);
    return made;
  };

  // ─ sorting ───────────────────────────────────────────────────────────────────────────────────

  const valueOf = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.label ?? cell.dataset.value ?? "";
    const number = Number(text);
    return text !== "" && !Number.isNaN(number) ? number : text;
  };
  const compared = (first, second) =>
    typeof first === "number" && typeof second === "number"
      ? first - second
      : String(first).localeCompare(String(second), undefined, { numeric: true });

  // a row label is blank where it repeats the one above it, among the rows that are shown
  const relabel = (body) => {
    let above = [];
    for (const row of body.rows) {
      if (row.hidden) continue;
      const labels = all("th[data-label]", row);
      let repeats = true;
      labels.forEach((label, place) => {
        repeats = repeats && above[place] === label.dataset.label && place < labels.length - 1;
        label.textContent = repeats ? "" : label.dataset.label;
      });
      above = labels.map((label) => label.dataset.label);
    }
  };

  const sortable = (table) => {
    const body = table.tBodies[0];
    const order = [...body.rows];
    const headings = [...table.tHead.rows].at(-1).cells;
    [...headings].forEach((heading, column) => {
      if (!heading.textContent.trim() || order.length < 2) return;
      const sort = () => {
        const before = heading.getAttribute("aria-sort");
        for (const other of headings) other.removeAttribute("aria-sort");
        const next = { null: "descending", descending: "ascending" }[before];
        const sign = next === "ascending" ? 1 : -1;
        const isBlank = (row) => valueOf(row, column) === "";
        const rows = !next
          ? order
          : [...order].sort(
              (first, second) =>
                isBlank(first) - isBlank(second) ||
                sign * compared(valueOf(first, column), valueOf(second, column)),
            );
        if (next) heading.setAttribute("aria-sort", next);
        body.append(...rows);
        relabel(body);
      };
      const text = heading.textContent.trim();
      heading.replaceChildren(button(text, sort, { title: `sort by ${text.replace(/\u200b/g, "")}` }));
    });
  };
  const tables = all(".layout table").filter((table) => table.querySelector("tbody [data-at], tr[data-at]"));
  tables.forEach(sortable);

  // ─ filtering ─────────────────────────────────────────────────────────────────────────────────

  const placed = tables.flatMap((table) => all("[data-at]", table));
  const at = new Map(placed.map((item) => [item, JSON.parse(item.dataset.at)]));
  const coordinates = new Map();
  for (const place of at.values())
    for (const [name, value] of Object.entries(place))
      coordinates.set(name, (coordinates.get(name) ?? new Set()).add(value));
  const form = document.getElementById("filter");
  const chosen = new Map();
  const fits = (item) =>
    Object.entries(at.get(item)).every(([name, value]) => !chosen.has(name) || chosen.get(name) === value);
  const filter = () => {
    let hidden = 0;
    for (const table of tables) {
      for (const row of table.tBodies[0].rows) {
        row.hidden = !fits(row);
        hidden += row.hidden;
      }
      const headings = [...table.tHead.rows].at(-1).cells;
      [...headings].forEach((heading, column) => {
        if (!heading.dataset.at) return;
        const out = !fits(heading);
        heading.hidden = out;
        for (const row of table.tBodies[0].rows) row.cells[column].hidden = out;
      });
      const spans = all(".across", table);
      let column = table.tHead.rows[0].cells.length - spans.length;
      for (const span of spans) {
        const count = Number((span.dataset.span ??= span.colSpan));
        const shown = [...headings].slice(column, column + count).filter((cell) => !cell.hidden).length;
        span.hidden = !shown;
        if (shown) span.colSpan = shown;
        column += count;
      }
      relabel(table.tBodies[0]);
    }
    state.textContent = hidden ? `${hidden} ${hidden === 1 ? "row is" : "rows are"} hidden` : "";
    reset.hidden = !chosen.size;
  };
  const state = element("span", { role: "status", class: "faint" });
  const reset = button("show all", () => {
    chosen.clear();
    for (const select of all("select", form)) select.value = "";
    filter();
  });
  const several = [...coordinates].filter(([, values]) => values.size > 1);
  if (several.length) {
    for (const [name, values] of several) {
      const select = element("select", {}, element("option", { value: "" }, "all"));
      for (const value of values) select.append(element("option", { value }, value));
      select.addEventListener("change", () => {
        if (select.value) chosen.set(name, select.value);
        else chosen.delete(name);
        filter();
      });
      form.append(element("label", {}, name, select));
    }
    form.append(state, reset);
    reset.hidden = true;
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());
  }

  // ─ lines and their rows ──────────────────────────────────────────────────────────────────────

  for (const section of all(".layout")) {
    const choose = (line, scroll) => {
      const figure = section.querySelector("figure");
      const again = !line || figure?.dataset.line === line;
      if (figure) {
        figure.dataset.line = again ? "" : line;
        figure.classList.toggle("chosen", !again);
      }
      for (const item of all(".line, tbody tr[data-line]", section))
        item.classList.toggle("on", !again && item.dataset.line === line);
      for (const entry of all(".legend button", section))
        entry.setAttribute("aria-pressed", String(!again && entry.dataset.line === line));
      const row = section.querySelector("tr.on");
      if (scroll && row) row.scrollIntoView({ block: "nearest", behavior: "smooth" });
    };
    for (const entry of all(".legend button", section)) {
      entry.setAttribute("aria-pressed", "false");
      entry.addEventListener("click", () => choose(entry.dataset.line, false));
    }
    for (const line of all(".line", section))
      line.addEventListener("click", () => choose(line.dataset.line, true));
  }

  // ─ details of a number ───────────────────────────────────────────────────────────────────────

  const dialog = document.getElementById("detail");
  const list = (entries) => {
    const made = element("dl");
    for (const [name, value] of entries)
      if (value) made.append(element("dt", {}, name), element("dd", {}, String(value)));
    return made;
  };
  const picture = (sheet, column, row, words) => {
    const scale = 64 / sheet.width;
    const size = `${sheet.width * sheet.examples.length * scale}px ${sheet.height * 3 * scale}px`;
    const height = sheet.height * scale;
    const style =
      `background-image: url(${sheet.picture}); background-size: ${size}; height: ${height}px; ` +
      `background-position: ${-column * 64}px ${-row * height}px`;
    return element("i", { role: "img", "aria-label": words, style });
  };
  const share = (value) => value.toFixed(2);
  const shown = (sheet) => {
    const rows = [
      ["before", (e, c) => picture(sheet, c, 0, `example ${e.index} before the attack`)],
      ["after", (e, c) => picture(sheet, c, 1, `example ${e.index} after the attack`)],
      [`change × ${sheet.magnified.toPrecision(2)}`, (e, c) => picture(sheet, c, 2, `change of example ${e.index}`)],
      ["example", (e) => String(e.index)],
      ["label", (e) => String(e.label)],
      ["predicted before", (e) => `${e.before} (${share(e.confidence_before)})`],
      ["predicted after", (e) => `${e.after} (${share(e.confidence_after)})`],
      ["linf", (e) => e.linf.toPrecision(2)],
      ["l2", (e) => e.l2.toPrecision(3)],
    ];
    const body = element("tbody");
    for (const [name, cell] of rows)
      body.append(
        element(
          "tr",
          {},
          element("th", { scope: "row" }, name),
          ...sheet.examples.map((example, column) => element("td", {}, cell(example, column))),
        ),
      );
    return element("div", { class: "scroll", tabindex: "0" }, element("table", { class: "sheet" }, body));
  };
  const open = (cell) => {
    const detail = numbers[cell.dataset.detail];
    const [done, planned] = detail.seeds;
    dialog.replaceChildren(
      button("×", () => dialog.close(), { class: "close", "aria-label": "close" }),
      element("h2", { id: "detail-title" }, `${detail.measure}: ${cell.querySelector("b, button").textContent}${detail.unit}`),
      list([
        ["95 % interval", cell.title.split(", n =")[0] + detail.unit],
        ["examples", cell.title.split("n = ")[1]],
        ["seeds", done === planned ? done : `${done} of ${planned}`],
        ...Object.entries(detail.at),
        ["in doubt", detail.doubts.join("; ")],
        ["keys in the store", detail.keys.join(", ")],
      ]),
      ...detail.sheets.filter((name) => name in sheets).flatMap((name) => [
        element("h3", {}, "The first examples, on the first net"),
        shown(sheets[name]),
      ]),
    );
    dialog.showModal();
  };
  for (const cell of all("td[data-detail]")) {
    const margin = cell.querySelector("small");
    const text = cell.firstChild;
    const choose = button("", () => open(cell), { "aria-haspopup": "dialog" });
    cell.insertBefore(choose, margin);
    choose.append(text);
  }
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });

  // ─ copying ───────────────────────────────────────────────────────────────────────────────────

  for (const copy of all(".copy"))
    copy.addEventListener("click", async () => {
      const code = copy.parentElement.querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
      } catch {
        // a page that was opened as a file may not use the clipboard everywhere
        const range = document.createRange();
        range.selectNodeContents(code);
        getSelection().removeAllRanges();
        getSelection().addRange(range);
        document.execCommand("copy");
      }
      copy.textContent = "Copied";
      setTimeout(() => (copy.textContent = "Copy"), 1500);
    });
})();
