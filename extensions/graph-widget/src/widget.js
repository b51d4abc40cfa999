// One module for both hosts: anywidget in notebooks and Panel's AnyWidgetComponent in served pages.
//
// The model's traits, set in Python:
//   graph     {nodes, edges, kinds, links, note, summary}; see scene.js
//   selected  ids of the selected nodes; set here too
//   event     {kind: "expand" | "collapse" | "open", node, count}; set here only
//   theme     "auto", "light" or "dark"
//   stage     height of the picture in pixels
//   twin      id of the static form, hidden while this one is there; may be missing

import Sigma from "sigma";
import { EdgeArrowProgram, EdgeRectangleProgram } from "sigma/rendering";
import EdgeCurveProgram, { EdgeCurvedArrowProgram } from "@sigma/edge-curve";

import { Card } from "./card.js";
import { element } from "./dom.js";
import { nearest } from "./keyboard.js";
import { Labels } from "./labels.js";
import { Legend } from "./legend.js";
import { Scene } from "./scene.js";
import style from "./style.css";
import { Table } from "./table.js";
import { Theme } from "./theme.js";

const HELP =
  "Arrow keys move between nodes; Enter selects, Space adds to the selection; E expands, C collapses; " +
  "slash searches, plus and minus zoom, 0 fits, T shows the table, Escape clears.";

export function render({ model, el }) {
  const widget = new Widget(model, el);
  return () => widget.dispose();
}

export default { render };

class Widget {
  constructor(model, el) {
    this.model = model;
    this.scene = new Scene();
    this.focused = null;
    this.hovered = null;
    this.matches = null;
    this.count = 0;
    this.lit = null;
    this.build(el);
    this.theme = new Theme(this.root, () => model.get("theme"), () => this.repaint());
    this.scene.load(model.get("graph"), this.theme.name);
    this.start();
    this.listen();
    this.describe();
    this.repaint();
    // where a node is on the screen, for scripts that point at it
    this.root.locate = (id) => {
      const { left, top } = this.canvas.getBoundingClientRect();
      const { x, y } = this.sigma.framedGraphToViewport(this.sigma.getNodeDisplayData(id));
      return { x: left + x, y: top + y };
    };
  }

  build(el) {
    this.search = element("input", {
      type: "search", placeholder: "Search nodes", "aria-label": "Search nodes", spellcheck: "false",
    });
    this.found = element("span", { class: "found", "aria-live": "polite" });
    const button = (text, label, act) => {
      const made = element("button", { type: "button", title: label, "aria-label": label }, text);
      made.addEventListener("click", act);
      return made;
    };
    this.note = element("span", { class: "note" });
    this.tableButton = button("Table", "Show the nodes as a table (T)", () => this.toggleTable());
    const bar = element("div", { class: "bar" }, this.search, this.found, this.note, element("span", { class: "gap" }),
      button("+", "Zoom in (+)", () => this.zoom(1 / 1.5)),
      button("−", "Zoom out (−)", () => this.zoom(1.5)),
      button("PNG", "Save the picture as PNG", () => this.save()),
      button("Fit", "Show everything (0)", () => this.fit()),
      this.tableButton);
    this.canvas = element("div", { class: "canvas", tabindex: "0", role: "application" });
    this.card = new Card();
    this.table = new Table((id, add) => this.select(id, add));
    this.legend = new Legend(() => this.refresh());
    this.live = element("div", { class: "aside", "aria-live": "polite" });
    this.help = element("div", { class: "aside" }, HELP);
    this.stage = element("div", { class: "stage" }, this.canvas, this.card.el, this.table.el);
    this.twin = element("style", {}, this.model.get("twin") ? `#${this.model.get("twin")} { display: none }` : "");
    document.head.append(this.twin);
    this.root = element("div", { class: "wb-graph" }, element("style", {}, style), bar, this.stage,
      this.legend.el, this.live, this.help);
    el.appendChild(this.root);
    this.resized();
    suppressShortcuts(el, this.root);
  }

  start() {
    const labels = new Labels(this.theme);
    this.sigma = new Sigma(this.scene.graph, this.canvas, {
      allowInvalidContainer: true,
      defaultDrawNodeHover: (...args) => labels.hover(...args),
      defaultDrawNodeLabel: (...args) => labels.want(...args),
      defaultEdgeType: "line",
      edgeProgramClasses: {
        line: EdgeRectangleProgram, arrow: EdgeArrowProgram, bow: EdgeCurveProgram, curve: EdgeCurvedArrowProgram,
      },
      hideEdgesOnMove: this.scene.graph.size > 10_000,
      labelDensity: 2,
      labelGridCellSize: 80,
      labelRenderedSizeThreshold: 3,
      labelSize: 12,
      labelFont: labels.font,
      minCameraRatio: 0.02,
      maxCameraRatio: 4,
      stagePadding: 36,
      zIndex: true,
      doubleClickZoomingRatio: 1,
      nodeReducer: (id, data) => this.node(id, data),
      edgeReducer: (id, data) => this.edge(id, data),
    });
    const { sigma } = this;
    sigma.on("enterNode", ({ node }) => this.hover(node));
    sigma.on("leaveNode", () => this.hover(null));
    sigma.on("clickNode", ({ node, event }) => {
      const { shiftKey, ctrlKey, metaKey } = event.original;
      this.select(node, shiftKey || ctrlKey || metaKey);
    });
    sigma.on("doubleClickNode", ({ node, preventSigmaDefault }) => {
      preventSigmaDefault();
      this.send("expand", node);
    });
    sigma.on("rightClickNode", ({ node, event, preventSigmaDefault }) => {
      preventSigmaDefault();
      event.original.preventDefault();
      this.send("collapse", node);
    });
    sigma.on("clickStage", () => this.clear());
    sigma.on("beforeRender", () => labels.clear());
    sigma.on("afterRender", () => {
      labels.draw();
      this.card.place(sigma);
    });
    this.drag();
  }

  // What is dimmed, hidden, ringed: asked by sigma for each node and edge when it draws.

  node(id, data) {
    if (this.legend.off("kinds", data.kind)) return { ...data, hidden: true };
    const selected = this.selected.has(id);
    const ring = selected || id === this.focused || data.start;
    const shown = {
      ...data,
      color: this.scene.color("kinds", data.kind, this.theme.name),
      ring: selected ? "selected" : id === this.focused ? "focused" : data.start ? "start" : null,
      highlighted: ring,
      forceLabel: ring,
      zIndex: ring ? 2 : 1,
    };
    return this.inFront(id) ? shown : { ...shown, color: this.theme.dim, label: null, zIndex: 0 };
  }

  edge(id, data) {
    const { graph } = this.scene;
    if (this.legend.off("links", data.kind)) return { ...data, hidden: true };
    const [source, target] = graph.extremities(id);
    const front = this.lit === null || this.lit.centre.has(source) || this.lit.centre.has(target);
    const color = this.scene.color("links", data.kind, this.theme.name);
    return front
      ? { ...data, color: this.theme.over(color, this.lit === null ? 0.5 : 0.9), zIndex: 1 }
      : { ...data, color: this.theme.over(this.theme.dim, 0.4), zIndex: 0 };
  }

  inFront(id) {
    if (this.matches !== null) return this.matches.has(id);
    return this.lit === null || this.lit.around.has(id);
  }

  /** The hovered node, or else the selected ones, with their neighbours; null where nothing is picked out. */
  light() {
    const { graph } = this.scene;
    const centre = this.hovered !== null ? [this.hovered] : [...this.selected].filter((id) => graph.hasNode(id));
    if (centre.length === 0 || this.matches !== null) return null;
    const around = new Set(centre);
    for (const id of centre) graph.forEachNeighbor(id, (near) => around.add(near));
    return { centre: new Set(centre), around };
  }

  get selected() {
    return new Set(this.model.get("selected") ?? []);
  }

  refresh() {
    this.lit = this.light();
    this.sigma?.refresh({ skipIndexation: true });
  }

  repaint() {
    this.root.dataset.theme = this.theme.name;
    this.legend.fill(this.scene, this.theme.name);
    this.refresh();
  }

  // What the reader does.

  hover(id) {
    this.hovered = id;
    this.canvas.style.cursor = id === null ? "" : "pointer";
    this.card.show(id === null ? null : this.scene.graph.getNodeAttributes(id), id, this.scene);
    this.refresh();
    this.card.place(this.sigma);
  }

  select(id, add = false) {
    const chosen = add ? this.selected : new Set();
    if (add && chosen.has(id)) chosen.delete(id);
    else chosen.add(id);
    this.focused = id;
    this.choose([...chosen]);
    this.say(`${this.scene.name(id)} selected, ${chosen.size} in all`);
  }

  choose(ids) {
    this.model.set("selected", ids);
    this.model.save_changes();
    this.table.mark(new Set(ids));
    this.refresh();
  }

  clear() {
    this.search.value = "";
    this.find();
    this.card.show(null);
    if (this.selected.size > 0) this.choose([]);
    else this.refresh();
  }

  send(kind, node) {
    this.count += 1;
    this.model.set("event", { kind, node, count: this.count });
    this.model.save_changes();
    this.say(`${kind} ${this.scene.name(node)}`);
  }

  find() {
    const words = this.search.value.trim().toLowerCase();
    this.matches = words === "" ? null : new Set(this.scene.find(words));
    this.found.textContent = this.matches === null ? "" : `${this.matches.size} found`;
    this.refresh();
  }

  /** Go to the next node that was found. */
  next() {
    const ids = [...(this.matches ?? [])];
    if (ids.length > 0) this.focus(ids[(ids.indexOf(this.focused) + 1) % ids.length], true);
  }

  focus(id, centre = false) {
    this.focused = id;
    const attributes = this.scene.graph.getNodeAttributes(id);
    this.card.show(attributes, id, this.scene);
    this.refresh();
    const at = this.sigma.getNodeDisplayData(id);
    const seen = this.sigma.framedGraphToViewport(at);
    const { width, height } = this.sigma.getDimensions();
    const outside = seen.x < 20 || seen.y < 20 || seen.x > width - 20 || seen.y > height - 20;
    if (centre || outside) this.sigma.getCamera().animate({ x: at.x, y: at.y }, { duration: motion(200) });
    this.card.place(this.sigma);
    this.say(this.scene.describe(id));
  }

  zoom(factor) {
    const camera = this.sigma.getCamera();
    camera.animate({ ratio: camera.ratio * factor }, { duration: motion(150) });
  }

  fit() {
    this.sigma.getCamera().animate({ x: 0.5, y: 0.5, ratio: 1, angle: 0 }, { duration: motion(200) });
  }

  /** All layers on one canvas; drawn at once, since a WebGL canvas is empty when the frame is over. */
  save() {
    this.sigma.render();
    const layers = Object.values(this.sigma.getCanvases()).filter((layer) => layer.width > 0);
    const picture = element("canvas", { width: layers[0].width, height: layers[0].height });
    const context = picture.getContext("2d");
    context.fillStyle = this.theme.ground;
    context.fillRect(0, 0, picture.width, picture.height);
    for (const layer of layers) context.drawImage(layer, 0, 0, picture.width, picture.height);
    element("a", { href: picture.toDataURL("image/png"), download: "graph.png" }).click();
  }

  toggleTable() {
    const open = this.table.toggle(this.scene, this.selected);
    this.tableButton.setAttribute("aria-expanded", String(open));
  }

  say(text) {
    this.live.textContent = text;
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = {
      ArrowLeft: () => this.step(-1, 0), ArrowRight: () => this.step(1, 0),
      ArrowUp: () => this.step(0, -1), ArrowDown: () => this.step(0, 1),
      Enter: () => this.focused && this.select(this.focused, event.shiftKey),
      " ": () => this.focused && this.select(this.focused, true),
      e: () => this.focused && this.send("expand", this.focused),
      c: () => this.focused && this.send("collapse", this.focused),
      "/": () => this.search.focus(),
      "+": () => this.zoom(1 / 1.5), "-": () => this.zoom(1.5), 0: () => this.fit(),
      t: () => this.toggleTable(),
      Escape: () => this.clear(),
    }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  step(dx, dy) {
    const points = new Map();
    this.scene.graph.forEachNode((id, data) => {
      if (!this.legend.off("kinds", data.kind)) {
        points.set(id, this.sigma.framedGraphToViewport(this.sigma.getNodeDisplayData(id)));
      }
    });
    const id = nearest(points, points.has(this.focused) ? this.focused : null, dx, dy);
    if (id !== null) this.focus(id);
  }

  drag() {
    let dragged = null;
    this.sigma.on("downNode", ({ node }) => {
      dragged = node;
      if (!this.sigma.getCustomBBox()) this.sigma.setCustomBBox(this.sigma.getBBox());
    });
    this.sigma.on("moveBody", ({ event }) => {
      if (dragged === null) return;
      const { x, y } = this.sigma.viewportToGraph(event);
      this.scene.graph.mergeNodeAttributes(dragged, { x, y });
      event.preventSigmaDefault();
    });
    const drop = () => { dragged = null; };
    this.sigma.on("upNode", drop);
    this.sigma.on("upStage", drop);
  }

  // What changes around it.

  listen() {
    const { model } = this;
    this.handlers = {
      "change:graph": () => this.reload(),
      "change:selected": () => { this.table.mark(this.selected); this.refresh(); },
      "change:theme": () => this.theme.read(),
      "change:stage": () => this.resized(),
    };
    for (const [name, handler] of Object.entries(this.handlers)) model.on(name, handler);
    this.search.addEventListener("input", () => this.find());
    this.search.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") this.next();
      if (event.key === "Escape") { this.clear(); this.canvas.focus(); }
    });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener("blur", () => this.card.show(null));
    this.canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    this.sized = new ResizeObserver(() => {
      if (this.canvas.clientWidth > 0) { this.sigma.resize(); this.sigma.refresh(); }
    });
    this.sized.observe(this.canvas);
  }

  reload() {
    const fresh = this.scene.load(this.model.get("graph"), this.theme.name, motion(350));
    if (!this.scene.graph.hasNode(this.focused)) this.focused = null;
    if (!this.scene.graph.hasNode(this.hovered)) this.hovered = null;
    this.sigma.setCustomBBox(null);
    this.card.show(null);
    this.describe();
    this.repaint();
    if (fresh) this.fit();
    if (this.table.open) this.table.fill(this.scene, this.selected);
  }

  describe() {
    const { note, summary } = this.scene;
    this.note.textContent = note;
    this.canvas.setAttribute("aria-label", `${summary} ${HELP}`);
    this.root.dataset.nodes = String(this.scene.graph.order);
    this.root.dataset.edges = String(this.scene.graph.size);
  }

  resized() {
    this.root.style.setProperty("--wb-height", `${this.model.get("stage") || 480}px`);
  }

  dispose() {
    for (const [name, handler] of Object.entries(this.handlers)) this.model.off?.(name, handler);
    this.twin.remove();
    this.sized.disconnect();
    this.theme.dispose();
    this.sigma.kill();
    this.root.remove();
  }
}

function motion(milliseconds) {
  return matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : milliseconds;
}

/** Keep JupyterLab's single-letter shortcuts away: it looks for this attribute outside of shadow roots. */
function suppressShortcuts(el, root) {
  root.dataset.lmSuppressShortcuts = "true";
  queueMicrotask(() => {
    for (let host = el.getRootNode().host; host; host = host.getRootNode().host) {
      host.dataset.lmSuppressShortcuts = "true";
    }
  });
}
