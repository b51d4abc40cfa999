import Graph from "graphology";
import { animateNodes } from "sigma/utils";

/**
 * What is drawn. From Python come
 *   nodes  {id, label, kind, x, y, size, start, facts: [[name, value], …]}
 *   edges  {id, source, target, kind, size, curve, facts}
 *   kinds, links  the legends of nodes and of edges: {name, light, dark, count}; `kind` is a position there
 *   directed       whether edges point
 *   note, summary  what is left out, and the picture in one sentence
 */
export class Scene {
  graph = new Graph({ type: "directed", multi: true });
  kinds = [];
  links = [];
  note = "";
  summary = "";
  #stop = null;

  /** Take a new picture over: what stays moves, the rest comes and goes. Returns whether nothing stays. */
  load(data, theme, duration = 0) {
    const { graph } = this;
    const nodes = data?.nodes ?? [];
    const edges = data?.edges ?? [];
    this.kinds = data?.kinds ?? [];
    this.links = data?.links ?? [];
    this.note = data?.note ?? "";
    this.summary = data?.summary ?? "";
    this.#stop?.();
    const ids = new Set(nodes.map((node) => node.id));
    graph.forEachNode((id) => { if (!ids.has(id)) graph.dropNode(id); });
    graph.clearEdges();
    const fresh = graph.order === 0;
    const moves = {};
    for (const { id, x, y, ...rest } of nodes) {
      if (graph.hasNode(id)) {
        graph.mergeNodeAttributes(id, rest);
        moves[id] = { x, y };
      } else {
        graph.addNode(id, { ...rest, x, y });
      }
    }
    const [straight, bent] = data?.directed && edges.length <= 400 ? ["arrow", "curve"] : ["line", "bow"];
    for (const { id, source, target, curve, ...rest } of edges) {
      if (!graph.hasNode(source) || !graph.hasNode(target)) continue;
      graph.addEdgeWithKey(id, source, target, { ...rest, curvature: curve, type: curve ? bent : straight });
    }
    if (duration > 0) this.#stop = animateNodes(graph, moves, { duration });
    else for (const [id, at] of Object.entries(moves)) graph.mergeNodeAttributes(id, at);
    return fresh;
  }

  color(legend, kind, theme) {
    return this[legend][kind]?.[theme] ?? "#888888";
  }

  name(id) {
    return this.graph.getNodeAttribute(id, "label") || id;
  }

  describe(id) {
    const { kind, facts } = this.graph.getNodeAttributes(id);
    const told = facts.map(([name, value]) => `${name} ${value}`).join(", ");
    return `${this.name(id)}, ${this.kinds[kind]?.name ?? ""}, ${told}`;
  }

  find(words) {
    return this.graph.filterNodes(
      (id, { label }) => id.toLowerCase().includes(words) || (label ?? "").toLowerCase().includes(words),
    );
  }
}
