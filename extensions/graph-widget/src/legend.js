import { element } from "./dom.js";

/** The colours of nodes and edges; a click hides and shows what has one. */
export class Legend {
  el = element("div", { class: "legend" });
  #hidden = { kinds: new Set(), links: new Set() };
  #scene = { kinds: [], links: [] };

  constructor(changed) {
    this.changed = changed;
  }

  off(legend, kind) {
    return this.#hidden[legend].has(this.#scene[legend][kind]?.name);
  }

  fill(scene, theme) {
    this.#scene = scene;
    this.el.replaceChildren(
      ...scene.kinds.map((entry) => this.#entry("kinds", entry, theme)),
      ...scene.links.map((entry) => this.#entry("links", entry, theme)),
    );
  }

  #entry(legend, entry, theme) {
    const hidden = this.#hidden[legend];
    const mark = element("i", { class: legend });
    mark.style.background = entry[theme];
    const button = element("button", { type: "button", "aria-pressed": String(!hidden.has(entry.name)) },
      mark, entry.name, element("small", {}, entry.count.toLocaleString("en")));
    button.title = `Hide or show ${legend === "kinds" ? "nodes" : "edges"}: ${entry.name}`;
    button.addEventListener("click", () => {
      if (!hidden.delete(entry.name)) hidden.add(entry.name);
      button.setAttribute("aria-pressed", String(!hidden.has(entry.name)));
      this.changed();
    });
    return button;
  }
}
