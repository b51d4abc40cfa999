const GAP = 4;

/** The labels of a frame: the largest nodes' first, each where it covers no other label and no larger node. */
export class Labels {
  font = 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
  wanted = [];
  places = new Map(); // of the labels that are drawn, by node

  constructor(theme) {
    this.theme = theme;
  }

  /** A new frame begins. */
  clear() {
    this.wanted = [];
    this.places.clear();
  }

  /** Sigma asks for labels one by one, in an order of its own: they are drawn when all are known. */
  want(context, data, settings) {
    if (data.label) this.wanted.push({ context, data, settings });
  }

  draw() {
    const wanted = this.wanted.sort((one, other) => other.data.size - one.data.size);
    this.wanted = [];
    const discs = wanted.map(({ data }) => disc(data));
    const taken = [];
    wanted.forEach(({ context, data, settings }, rank) => {
      const places = around(context, data, settings).filter(
        ({ box }) => inside(box, context) && !taken.some((other) => cross(box, other)));
      const clear = (count) => places.find(
        ({ box }) => !discs.some((other, of) => of < count && of !== rank && cross(box, other)));
      const place = clear(discs.length) ?? clear(rank); // if need be over smaller nodes
      if (!place) return;
      taken.push(place.box);
      this.places.set(data.key, { dx: place.x - data.x, dy: place.y - data.y });
      if (!data.highlighted) this.write(context, data.label, place, settings); // else it is drawn with the ring
    });
  }

  /** A ring around a node that is selected, focused, under the pointer or a start, and its label. */
  hover(context, data, settings) {
    this.draw(); // where its label stands is known then
    context.beginPath();
    context.arc(data.x, data.y, data.size + 2.5, 0, 2 * Math.PI);
    context.lineWidth = data.ring === "start" || !data.ring ? 1.5 : 2.5;
    context.strokeStyle = this.theme.ring(data.ring);
    context.stroke();
    if (!data.label) return;
    const stands = this.places.get(data.key);
    const places = around(context, data, settings);
    const place = stands
      ? { x: data.x + stands.dx, y: data.y + stands.dy }
      : places.find(({ box }) => inside(box, context)) ?? places[0];
    this.write(context, data.label, place, settings);
  }

  /** With a halo in the ground's colour, so that it can be read over edges. */
  write(context, label, { x, y }, settings) {
    context.font = `${settings.labelSize}px ${settings.labelFont}`;
    context.lineWidth = 3;
    context.lineJoin = "round";
    context.strokeStyle = this.theme.ground;
    context.fillStyle = this.theme.ink;
    context.strokeText(label, x, y);
    context.fillText(label, x, y);
  }
}

/** Where a label may stand, the best first: right of its node, left, below, above. */
function around(context, data, settings) {
  context.font = `${settings.labelSize}px ${settings.labelFont}`;
  const width = context.measureText(data.label).width;
  const height = settings.labelSize;
  const away = data.size + GAP;
  const base = data.y + height / 3;
  return [
    [data.x + away, base],
    [data.x - away - width, base],
    [data.x - width / 2, data.y + away + height],
    [data.x - width / 2, data.y - away],
  ].map(([x, y]) => ({ x, y, box: { left: x - 2, right: x + width + 2, top: y - height, bottom: y + 3 } }));
}

function disc({ x, y, size }) {
  return { left: x - size, right: x + size, top: y - size, bottom: y + size };
}

function cross(one, other) {
  return one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
}

function inside(box, { canvas }) {
  return box.left >= 0 && box.right <= canvas.clientWidth && box.top >= 0 && box.bottom <= canvas.clientHeight;
}
