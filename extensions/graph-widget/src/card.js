import { element } from "./dom.js";

/** What is known of one node, beside it. Values are set as text: they are strangers' data. */
export class Card {
  el = element("div", { class: "card", hidden: "" });
  #id = null;

  show(attributes, id = null, scene = null) {
    this.#id = attributes ? id : null;
    this.el.hidden = !attributes;
    if (!attributes) return;
    const rows = [["", scene.kinds[attributes.kind]?.name ?? ""], ...attributes.facts]
      .map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value)));
    this.el.replaceChildren(element("strong", {}, scene.name(id)), element("dl", {}, ...rows));
  }

  place(sigma) {
    if (this.#id === null || !sigma.getGraph().hasNode(this.#id)) return;
    const data = sigma.getNodeDisplayData(this.#id);
    if (!data) return;
    const { x, y } = sigma.framedGraphToViewport(data);
    const { width, height } = sigma.getDimensions();
    const { offsetWidth, offsetHeight } = this.el;
    const gap = 16;
    const left = x + gap + offsetWidth < width ? x + gap : x - gap - offsetWidth;
    const top = Math.min(Math.max(4, y + gap), height - offsetHeight - 4);
    this.el.style.transform = `translate(${Math.max(4, left)}px, ${Math.max(4, top)}px)`;
  }
}
