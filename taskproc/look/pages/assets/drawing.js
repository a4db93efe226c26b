"use strict";
/* Draws a picture of nodes and edges as SVG. The page calls this in the browser, `taskproc graph --format svg` from
   Python, so that both look the same: it touches no document, and gives markup in which all texts are escaped.

   picture: {
     nodes: [{key, kind: "task" | "class" | "more", title, note, brief, told, counts: {state: number},
             group: key or null}],  told, which is longer than note, shows while one points at it
     groups: [{key, title, note}],
     edges: [{from: key, to: key, count}],
     down: whether it runs downwards, and not to the right
   } */
const drawing = (() => {
  const HEIGHT = {task: 42, class: 50, more: 28};
  const MOST = 36; // characters of a line
  const ROOM = 12; // between a group's edge and what is in it
  const HEAD = 26; // a group's title
  const LOOP = 30; // above a class whose tasks need each other

  const ARROW =
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8"' +
    ' markerUnits="userSpaceOnUse" orient="auto"><path class="arrow" d="M0 .8 8 4 0 7.2z"/></marker></defs>';

  function escape(text) {
    const code = (char) => "&#" + char.charCodeAt(0) + ";";
    // XML has no characters for most of those below 32, nor for halves of a pair.
    return String(text)
      .replace(
        /[\u0000-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g,
        " ",
      )
      .replace(/[&<>"']/g, code);
  }

  function shorten(text) {
    const chars = Array.from(text);
    return chars.length <= MOST ? text : chars.slice(0, MOST - 16).join("") + " … " + chars.slice(-13).join("");
  }

  /* Estimates how wide a text is, rather too wide than too narrow; the page, which has fonts at hand, measures it. */
  function estimate(text, size) {
    let sum = 0;
    for (const char of text) {
      const code = char.codePointAt(0);
      if (code > 0x2e7f) sum += 1.05;
      else if ("fijlrt.,:;'|!()[]/ ".includes(char)) sum += 0.4;
      else if ("mwMW@%=".includes(char)) sum += 0.95;
      else sum += code >= 65 && code <= 90 ? 0.72 : 0.63;
    }
    return sum * size;
  }

  let width = estimate;

  function measure(node) {
    const title = width(shorten(node.title), 13, true),
      note = width(node.note, 11);
    let inner = title;
    if (node.kind === "class") inner = Math.max(title + 24, note);
    if (node.kind === "task") inner = Math.max(title + 14 + note, width(shorten(node.brief), 11));
    return {width: Math.ceil(inner) + 22, height: HEIGHT[node.kind] - (node.kind === "task" && !node.brief ? 14 : 0)};
  }

  function arrange(dagre, picture) {
    const graph = new dagre.graphlib.Graph({compound: true});
    graph.setGraph({
      rankdir: picture.down ? "TB" : "LR",
      nodesep: 14,
      edgesep: 10,
      ranksep: 56,
      marginx: 20,
      marginy: 20,
    });
    for (const group of picture.groups) graph.setNode(group.key, {});
    const loops = new Set(picture.edges.filter((edge) => edge.from === edge.to).map((edge) => edge.from));
    for (const node of picture.nodes) {
      const size = measure(node);
      if (loops.has(node.key)) size.height += LOOP;
      graph.setNode(node.key, size);
      if (node.group) graph.setParent(node.key, node.group);
    }
    for (const edge of [...picture.edges].reverse()) {
      // dagre puts what is named last on top
      const label = edge.label ? {width: 12 + width(edge.label, 11), height: 14, labelpos: "c"} : {};
      if (edge.from !== edge.to) graph.setEdge(edge.from, edge.to, label);
    }
    dagre.layout(graph);
    for (const key of loops) {
      const box = graph.node(key);
      box.height -= LOOP;
      box.y += LOOP / 2;
    }
    return graph;
  }

  /* Notes on each edge what is written on it: how many tasks of one class need those of the other. */
  function label(picture) {
    const kinds = new Map(picture.nodes.map((node) => [node.key, node.kind]));
    for (const edge of picture.edges) {
      const between = kinds.get(edge.from) !== "task" && kinds.get(edge.to) !== "task";
      edge.label = edge.count > 1 && between ? times(edge.count) : "";
    }
  }

  function times(count) {
    return "×" + String(count).replace(/\B(?=(\d{3})+$)/g, ",");
  }

  function rectangle(box, classes, radius) {
    const [x, y] = [box.x - box.width / 2, box.y - box.height / 2].map(round);
    const size = `width="${round(box.width)}" height="${round(box.height)}"`;
    return `<rect class="${classes}" x="${x}" y="${y}" ${size} rx="${radius}"/>`;
  }

  function words(classes, x, y, text) {
    return !text ? "" : `<text class="${classes}" x="${round(x)}" y="${round(y)}">${escape(text)}</text>`;
  }

  function sign(name, x, y, key, plus) {
    const cross = plus ? `M${x - 3.5} ${y}h7M${x} ${y - 3.5}v7` : `M${x - 3.5} ${y}h7`;
    return `<g class="sign" data-${name}="${key}"><circle cx="${x}" cy="${y}" r="8"/><path d="${cross}"/></g>`;
  }

  function shares(node, x, y, length) {
    const all = Object.entries(node.counts),
      total = all.reduce((sum, [, number]) => sum + number, 0);
    const least = Math.min(4, length / all.length); // even one of ten thousand can be seen
    const spare = length - least * all.length;
    let at = x;
    return all
      .map(([state, number]) => {
        const share = least + (spare * number) / total;
        const markup = `<rect class="share ${state}" x="${round(at)}" y="${y}" width="${round(share)}" height="4"/>`;
        at += share;
        return markup;
      })
      .join("");
  }

  function nodeMarkup(node, box) {
    const left = box.x - box.width / 2,
      top = box.y - box.height / 2,
      right = left + box.width;
    const state = Object.keys(node.counts)[0];
    let inner;
    if (node.kind === "class") {
      inner =
        rectangle({...box, x: box.x + 4, y: box.y + 4}, "behind", 6) +
        rectangle(box, "box", 6) +
        words("title", left + 11, top + 19, shorten(node.title)) +
        words("note", left + 11, top + 34, node.note) +
        shares(node, left + 11, round(top + 41), box.width - 22) +
        sign("unfold", round(right - 14), round(top + 14), node.key, true);
    } else {
      const line = node.brief ? top + 18 : box.y + 4.5;
      inner =
        rectangle(box, node.kind === "task" ? `box ${state}` : "box", 5) +
        words("title", left + 11, line, shorten(node.title)) +
        words("note end", right - 11, line, node.note) +
        words("note", left + 11, top + 33, shorten(node.brief));
    }
    const told = [node.title, node.brief, node.told].filter(Boolean).join(", ");
    return (
      `<g class="node ${node.kind}" data-key="${node.key}" tabindex="0" role="button" aria-label="${escape(told)}">` +
      `<title>${escape(told)}</title>${inner}</g>`
    );
  }

  /* The room that a group's nodes take, which is less than what dagre keeps free for it. */
  function around(group, boxes) {
    const least = width(shorten(group.title), 13, true) + width(group.note, 11) + 60;
    let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
    for (const box of boxes) {
      left = Math.min(left, box.x - box.width / 2);
      right = Math.max(right, box.x + box.width / 2);
      top = Math.min(top, box.y - box.height / 2);
      bottom = Math.max(bottom, box.y + box.height / 2);
    }
    const wide = Math.max(right - left + 2 * ROOM, least),
      high = bottom - top + ROOM + HEAD;
    return {x: (left + right) / 2, y: (top - HEAD + bottom + ROOM) / 2, width: wide, height: high};
  }

  function groupMarkup(group, box) {
    const left = box.x - box.width / 2,
      top = box.y - box.height / 2;
    const title = shorten(group.title);
    return (
      `<g class="group" data-key="${group.key}">${rectangle(box, "box", 8)}` +
      words("title", left + 12, top + 18, title) +
      words("note", left + 20 + width(title, 13, true), top + 18, group.note) +
      sign("fold", round(left + box.width - 14), round(top + 14), group.key, false) +
      "</g>"
    );
  }

  /* A smooth line through the middles of the legs that dagre gives. */
  function line(points) {
    const at = (point) => `${round(point.x)} ${round(point.y)}`;
    if (points.length < 3) return "M" + points.map(at).join("L");
    let path = `M${at(points[0])}`;
    for (let i = 1; i < points.length - 1; i++) {
      const last = i === points.length - 2;
      const to = last
        ? points[i + 1]
        : {x: (points[i].x + points[i + 1].x) / 2, y: (points[i].y + points[i + 1].y) / 2};
      path += `Q${at(points[i])} ${at(to)}`;
    }
    return path;
  }

  /* Lets an edge leave in the middle of the side that looks ahead, and arrive at the opposite one. */
  function dock(points, from, to, down) {
    const [axis, size] = down ? ["y", "height"] : ["x", "width"];
    const start = from[axis] + from[size] / 2,
      end = to[axis] - to[size] / 2;
    if (end <= start) return points; // backwards: folded classes may need each other
    return [{...from, [axis]: start}, ...points.slice(1, -1), {...to, [axis]: end}];
  }

  function loop(box) {
    const top = box.y - box.height / 2,
      [right, left] = [box.x + 22, box.x - 22];
    const at = (x, y) => `${round(x)} ${round(y)}`;
    const over = `C${at(right, top - LOOP)} ${at(left, top - LOOP)} ${at(left, top)}`;
    return {path: `M${at(right, top)}${over}`, x: box.x, y: top - 0.75 * LOOP};
  }

  function route(edge, graph, down) {
    const from = graph.node(edge.from),
      to = graph.node(edge.to);
    if (edge.from === edge.to) return loop(from);
    const found = graph.edge(edge.from, edge.to);
    return {path: line(dock(found.points, from, to, down)), x: found.x, y: found.y, points: found.points};
  }

  function edgeMarkup(edge, drawn) {
    const thick = round(1 + Math.min(3, Math.log10(edge.count)));
    const ends = `data-from="${edge.from}" data-to="${edge.to}"`;
    return `<path class="edge" ${ends} d="${drawn.path}" stroke-width="${thick}" marker-end="url(#arrow)"/>`;
  }

  function round(number) {
    return Math.round(number * 10) / 10;
  }

  /* Gives the inside of an <svg class="drawing">, its width and height, and where each node is.
     measured(text, size, bold), where there is one, says how wide a text is. */
  function draw(dagre, picture, measured) {
    width = measured || estimate;
    label(picture);
    const graph = arrange(dagre, picture);
    const boxes = {},
      inside = {};
    for (const node of picture.nodes) {
      const box = (boxes[node.key] = graph.node(node.key));
      if (node.group) (inside[node.group] = inside[node.group] || []).push(box);
    }
    for (const group of picture.groups) boxes[group.key] = around(group, inside[group.key]);
    let [left, top, right, bottom] = [0, 0, 0, 0];
    for (const box of Object.values(boxes)) {
      left = Math.min(left, box.x - box.width / 2 - 10);
      top = Math.min(top, box.y - box.height / 2 - 10);
      right = Math.max(right, box.x + box.width / 2 + 16);
      bottom = Math.max(bottom, box.y + box.height / 2 + 16);
    }
    const edges = picture.edges.map((edge) => [edge, route(edge, graph, picture.down)]);
    for (const [, drawn] of edges) {
      for (const point of drawn.points || []) {
        right = Math.max(right, point.x + 10);
        bottom = Math.max(bottom, point.y + 10);
      }
    }
    const markup =
      ARROW +
      `<g transform="translate(${round(-left)} ${round(-top)})">` +
      picture.groups.map((group) => groupMarkup(group, boxes[group.key])).join("") +
      edges.map(([edge, drawn]) => edgeMarkup(edge, drawn)).join("") +
      picture.nodes.map((node) => nodeMarkup(node, boxes[node.key])).join("") +
      edges.map(([edge, drawn]) => words("count", drawn.x, drawn.y + 4, edge.label)).join("") +
      "</g>";
    for (const box of Object.values(boxes)) {
      box.x -= left;
      box.y -= top;
    }
    return {markup, boxes, width: round(right - left), height: round(bottom - top)};
  }

  return {draw, times};
})();
