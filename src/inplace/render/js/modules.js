// @ts-check
// The modules of the autograd graph: which boxes belong to one, and the graph with some modules drawn as one box each.

const GAP = [30, 44]; // what is left of a gap that folding made, across and down
const FOLDED_ID = -2_000_000; // ids of folded modules count down from here
const MANY = 60; // boxes from which on a graph opens with the modules folded that no finding is about

/** @typedef {Map<number, string[]>} Paths of each box the modules that it is in, outermost first, as paths */

/** The modules of boxes, in the order of the data: of nodes those whose forward made them, of leaves those that hold them.
 * @param {Run} run @param {any} autograd @returns {Paths} */
function modulesOf(run, autograd) {
  /** @type {Paths} */
  const paths = new Map();
  const whole = (/** @type {string[]} */ parts) => parts.map((_, at) => parts.slice(0, at + 1).join(""));
  const ordered = [...autograd.boxes].sort((one, two) => one.y - two.y);
  for (const box of ordered) if (box.step >= 0 && box.kind !== "culprit") paths.set(box.id, whole(run.modulePath(box.step)));
  const known = new Set([...paths.values()].flat());
  const shortened = new Set();
  for (const box of ordered) {
    if (box.kind !== "leaf") continue;
    const name = run.tensors.get(box.tensor)?.names[0] ?? box.title;
    const parts = whole(pathParts(name)).slice(0, -1);
    const holds = parts.filter((path) => known.has(path)).length;
    if (holds) paths.set(box.id, parts.slice(0, holds));
    else if (name.startsWith("…")) shortened.add(box.id);
  }
  // Of a name that is too long to be written the beginning is not here: such a leaf is where the nodes are that use it.
  for (const { tail, head } of autograd.links) {
    for (const [leaf, user] of [[tail, head], [head, tail]]) {
      const there = shortened.has(leaf) ? paths.get(user) : undefined;
      if (there) paths.set(leaf, (paths.get(leaf) ?? there).filter((path) => there.includes(path)));
    }
  }
  return paths;
}

/** The modules within one, or the outermost: where the ways to the boxes first part, each of two boxes or more.
 * @param {Paths} paths @param {string} [within] @returns {string[]} */
function blocksOf(paths, within = "") {
  const inside = [...paths.values()].filter((path) => !within || path.includes(within)).map((path) => path.slice(within ? path.indexOf(within) + 1 : 0));
  const deepest = Math.max(0, ...inside.map((path) => path.length));
  for (let depth = 0; depth < deepest; depth += 1) {
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (const path of inside) if (path[depth] !== undefined) counts.set(path[depth], (counts.get(path[depth]) ?? 0) + 1);
    const several = [...counts].filter(([, count]) => count > 1).map(([path]) => path);
    if (several.length > 1 || (several.length && counts.size > 1)) return several;
  }
  return [];
}

/** Where a place is when the gaps between spans are drawn together, down to `gap`.
 * @param {[number, number][]} spans @param {number} gap @returns {(place: number) => number} */
function drawnTogether(spans, gap) {
  /** @type {[number, number][]} */
  const merged = [];
  for (const [start, stop] of [...spans].sort((one, two) => one[0] - two[0])) {
    const last = merged[merged.length - 1];
    if (last && start <= last[1]) last[1] = Math.max(last[1], stop);
    else merged.push([start, stop]);
  }
  return (place) => {
    let [shift, end] = [Math.max(0, (merged[0]?.[0] ?? 0) - 4), NaN];
    for (const [start, stop] of merged) {
      const free = start - end;
      if (free > gap) {
        if (place < start) return place <= end ? place - shift : end - shift + (place - end) * (gap / free);
        shift += free - gap;
      }
      if (place <= stop) return place - shift;
      end = stop;
    }
    return place - shift;
  };
}

/** The graph with closed modules as one box each, where one of their boxes was, and what they leave empty drawn together.
 * @param {any} autograd @param {Paths} paths @param {Set<string>} closed */
function folded(autograd, paths, closed) {
  /** @type {Map<string, any[]>} */
  const groups = new Map();
  for (const box of autograd.boxes) {
    const module = paths.get(box.id)?.find((path) => closed.has(path));
    if (module !== undefined) groups.set(module, [...(groups.get(module) ?? []), box]);
  }
  if (!groups.size) return autograd;
  /** @type {Map<number, any>} */
  const stands = new Map(); // for a box within a closed module, the box of that
  const boxes = [...groups].map(([module, members], number) => foldedBox(module, members, FOLDED_ID - number));
  for (const box of boxes) for (const member of box.members) stands.set(member.id, box);
  boxes.push(...autograd.boxes.filter((/** @type {any} */ box) => !stands.has(box.id)));
  const across = drawnTogether(boxes.map((box) => [box.x - box.w / 2, box.x + box.w / 2]), GAP[0]);
  const down = drawnTogether(boxes.map((box) => [box.y - box.h / 2, box.y + box.h / 2]), GAP[1]);
  /** @type {Map<number, any>} */
  const moved = new Map(boxes.map((box) => [box.id, { ...box, x: across(box.x), y: down(box.y) }]));
  const links = linksBetween(autograd.links, stands, moved, (/** @type {number[]} */ [x, y]) => [across(x), down(y)]);
  const all = [...moved.values()];
  const [width, height] = [Math.max(...all.map((box) => box.x + box.w / 2)) + 4, Math.max(...all.map((box) => box.y + box.h / 2)) + 4];
  return { ...autograd, width, height, boxes: all, links };
}

/** One box for the boxes of a module, where the one in the midst of them stands.
 * @param {string} module @param {any[]} members @param {number} id */
function foldedBox(module, members, id) {
  const [x, y] = ["x", "y"].map((side) => members.reduce((sum, box) => sum + box[side], 0) / members.length);
  const middle = [...members].sort((one, two) => Math.hypot(one.x - x, one.y - y) - Math.hypot(two.x - x, two.y - y))[0];
  const told = members.find((box) => box.finding >= 0);
  const title = module.length > 22 ? `…${module.slice(-21)}` : module;
  return {
    id, kind: "module", title, subtitle: counted(members.length, "node"), module, members, step: -1, tensor: -1, finding: told?.finding ?? -1, keeps: [],
    x: middle.x, y: middle.y, w: Math.max(96, title.length * 8.2 + 44), h: 50,
  };
}

/** The lines of a folded graph: between two boxes that stand for others there is one, drawn anew.
 * @param {any[]} links @param {Map<number, any>} stands @param {Map<number, any>} boxes @param {(point: number[]) => number[]} moved */
function linksBetween(links, stands, boxes, moved) {
  /** @type {Map<string, any>} */
  const found = new Map();
  for (const link of links) {
    const [tail, head] = [stands.get(link.tail)?.id ?? link.tail, stands.get(link.head)?.id ?? link.head];
    if (tail === head) continue;
    const same = tail === link.tail && head === link.head;
    const points = same ? link.points.map(moved) : curve(boxes.get(tail), boxes.get(head));
    const key = `${tail} ${head} ${link.kind}`;
    if (!found.has(key)) found.set(key, { ...link, tail, head, points });
  }
  return [...found.values()];
}

/** @param {any} tail @param {any} head */
function curve(tail, head) {
  const down = head.y >= tail.y ? 1 : -1;
  const [start, stop] = [tail.y + (down * tail.h) / 2, head.y - (down * head.h) / 2];
  const middle = (start + stop) / 2;
  return [[tail.x, start], [tail.x, middle], [head.x, middle], [head.x, stop]];
}
