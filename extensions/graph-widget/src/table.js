import { element } from "./dom.js";

/** The nodes in words, for those who do not see or point at the picture. */
export class Table {
  el = element("div", { class: "table", hidden: "" });
  open = false;
  #buttons = new Map();

  constructor(select) {
    this.select = select;
  }

  toggle(scene, selected) {
    this.open = !this.open;
    this.el.hidden = !this.open;
    if (this.open) this.fill(scene, selected);
    return this.open;
  }

  fill(scene, selected) {
    const names = [...new Set(scene.graph.mapNodes((_, { facts }) => facts.map(([name]) => name)).flat())];
    const head = ["node", "kind", "edges", ...names].map((name) => element("th", { scope: "col" }, name));
    this.#buttons.clear();
    const rows = scene.graph.mapNodes((id, { kind, facts }) => {
      const values = Object.fromEntries(facts);
      const button = element("button", { type: "button" }, scene.name(id));
      button.addEventListener("click", (event) => this.select(id, event.shiftKey || event.ctrlKey || event.metaKey));
      this.#buttons.set(id, button);
      const cells = [scene.kinds[kind]?.name ?? "", String(scene.graph.degree(id)), ...names.map((n) => values[n] ?? "")];
      return element("tr", {}, element("th", { scope: "row" }, button), ...cells.map((text) => element("td", {}, text)));
    });
    this.el.replaceChildren(element("table", {}, element("caption", {}, scene.summary),
      element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)));
    this.mark(selected);
  }

  mark(selected) {
    for (const [id, button] of this.#buttons) button.setAttribute("aria-pressed", String(selected.has(id)));
  }
}
