// Draws each graph of the report with the widget's own module; its model is plain data here.
const source = JSON.parse(document.getElementById("wb-widget").textContent);
const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
const { render } = await import(address);
URL.revokeObjectURL(address);

class Model {
  #values;
  #heard = new Map();
  constructor(values) { this.#values = values; }
  get(name) { return this.#values[name]; }
  set(name, value) {
    this.#values[name] = value;
    for (const hear of this.#heard.get(`change:${name}`) ?? []) hear();
  }
  save_changes() {}
  send() {}
  on(event, hear) { this.#heard.set(event, [...(this.#heard.get(event) ?? []), hear]); }
  off(event, hear) { this.#heard.set(event, (this.#heard.get(event) ?? []).filter((h) => h !== hear)); }
}

for (const place of document.querySelectorAll("[data-graph]")) {
  const graph = JSON.parse(place.querySelector("script").textContent);
  const still = [...place.childNodes];
  const el = document.createElement("div");
  place.append(el);
  await render({ model: new Model({ graph, selected: [], event: {}, theme: "auto", stage: 440 }), el });
  for (const node of still) node.remove();
}
