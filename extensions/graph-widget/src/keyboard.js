/** The node to go to from `start` in a direction: near, and not far off the line. */
export function nearest(points, start, dx, dy) {
  if (start === null) return points.size > 0 ? points.keys().next().value : null;
  const from = points.get(start);
  let best = null;
  let least = Infinity;
  for (const [id, at] of points) {
    const ahead = (at.x - from.x) * dx + (at.y - from.y) * dy;
    if (id === start || ahead <= 0) continue;
    const aside = Math.abs((at.x - from.x) * dy) + Math.abs((at.y - from.y) * dx);
    const cost = ahead + 2 * aside;
    if (aside <= 2 * ahead && cost < least) [best, least] = [id, cost];
  }
  return best;
}
