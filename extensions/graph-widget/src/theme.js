const INK = { light: "#24292f", dark: "#e6e8eb" };
const GROUND = { light: "#ffffff", dark: "#16181d" };
const DIM = { light: "#d5d9de", dark: "#3b414b" };
const RING = { selected: { light: "#c0362c", dark: "#ff7b72" }, focused: { light: "#0072b2", dark: "#56b4e9" } };

/** Light or dark: what Python says, or else what the page is, told by the colour of its text. */
export class Theme {
  name = "light";

  constructor(el, chosen, changed) {
    this.el = el;
    this.chosen = chosen;
    this.changed = changed;
    this.media = matchMedia("(prefers-color-scheme: dark)");
    this.listener = () => this.read();
    this.media.addEventListener("change", this.listener);
    this.observer = new MutationObserver(this.listener);
    for (const watched of [document.documentElement, document.body]) {
      this.observer.observe(watched, { attributes: true, attributeFilter: ["class", "style", "data-theme", "data-jp-theme-light"] });
    }
    this.name = this.now();
    requestAnimationFrame(this.listener); // the page's style may come after the element
  }

  now() {
    const chosen = this.chosen();
    if (chosen === "light" || chosen === "dark") return chosen;
    const parent = this.el.parentElement ?? this.el;
    const [r, g, b] = getComputedStyle(parent).color.match(/[\d.]+/g)?.map(Number) ?? [0, 0, 0];
    return 0.299 * r + 0.587 * g + 0.114 * b > 140 ? "dark" : "light";
  }

  read() {
    const name = this.now();
    if (name === this.name) return;
    this.name = name;
    this.changed();
  }

  get ink() { return INK[this.name]; }
  get ground() { return GROUND[this.name]; }
  get dim() { return DIM[this.name]; }

  /** A colour thinned over the ground: opaque, since edges that lie over each other must not add up to white. */
  over(color, share) {
    const [front, back] = [color, this.ground].map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
    return `#${front.map((f, i) => Math.round(share * f + (1 - share) * back[i]).toString(16).padStart(2, "0")).join("")}`;
  }

  ring(kind) { return RING[kind]?.[this.name] ?? this.ink; }

  dispose() {
    this.media.removeEventListener("change", this.listener);
    this.observer.disconnect();
  }
}
