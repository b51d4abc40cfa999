const LABELS = { font: 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif' };
const INK = { light: "#24292f", dark: "#e6e8eb" };
const GROUND = { light: "#ffffff", dark: "#16181d" };
const DIM = { light: "#d5d9de", dark: "#3b414b" };
const RING = { selected: { light: "#c0362c", dark: "#ff7b72" }, focused: { light: "#0072b2", dark: "#56b4e9" } };

/** Light or dark: what Python says, or else what the page is, told by the colour of its text. */
export class Theme {
  labels = LABELS;
  name = "light";
  boxes = []; // of the labels that were drawn in this frame

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

/** A label that lies over no other one. */
export function drawLabel(theme, context, data, settings) {
  if (!data.label) return;
  const { left, right } = placeLabel(context, data, settings);
  const box = { left, right, middle: data.y };
  const free = theme.boxes.every(({ left, right, middle }) =>
    Math.abs(middle - box.middle) > settings.labelSize + 1 || box.right < left || right < box.left);
  if (!free) return;
  theme.boxes.push(box);
  writeLabel(theme, context, data, settings);
}

/** Where a label stands: to the right of its node, or where the picture ends there to its left. */
function placeLabel(context, data, settings) {
  context.font = `${settings.labelSize}px ${settings.labelFont}`;
  const width = context.measureText(data.label).width;
  const right = data.x + data.size + 4;
  const left = data.x - data.size - 4 - width;
  const at = right + width > context.canvas.clientWidth && left >= 0 ? left : right;
  return { at, left: at - 4, right: at + width + 2 };
}

/** A label with a halo in the ground's colour, so that it can be read over edges. */
function writeLabel(theme, context, data, settings) {
  if (!data.label) return;
  const { at } = placeLabel(context, data, settings);
  context.lineWidth = 3;
  context.lineJoin = "round";
  context.strokeStyle = theme.ground;
  context.fillStyle = theme.ink;
  const y = data.y + settings.labelSize / 3;
  context.strokeText(data.label, at, y);
  context.fillText(data.label, at, y);
}

/** A ring around a node that is selected, focused, under the pointer or a start, and its label. */
export function drawHover(theme, context, data, settings) {
  context.beginPath();
  context.arc(data.x, data.y, data.size + 2.5, 0, 2 * Math.PI);
  context.lineWidth = data.ring === "start" || !data.ring ? 1.5 : 2.5;
  context.strokeStyle = theme.ring(data.ring);
  context.stroke();
  writeLabel(theme, context, data, settings);
}
