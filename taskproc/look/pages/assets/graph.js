"use strict";
/* The page of a graph: which classes are folded, what is chosen, and what is told of it. */
(() => {
  const NARROW = window.innerWidth <= 760;
  const SMALL = NARROW ? 12 : 40; // tasks that are shown one by one from the start
  const STEP = 30; // tasks that a class unfolds at once
  const MOST_NODES = 160; // what can be arranged in a moment
  const LISTED = 100; // rows of a list at once

  const NAMES = [
    "cls",
    "id",
    "state",
    "label",
    "brief",
    "args",
    "reason",
    "ups",
    "place",
    "started",
    "seconds",
    "memory",
    "directory",
    "logs",
  ];
  const tasks = data.tasks.map((row, number) => {
    const task = {number, downs: []};
    NAMES.forEach((name, column) => {
      task[name] = row[column];
    });
    task.stateName = data.states[task.state];
    return task;
  });
  for (const task of tasks) for (const up of task.ups) tasks[up].downs.push(task.number);
  const classes = data.classes.map((cls, number) => ({...cls, number, tasks: []}));
  for (const task of tasks) classes[task.cls].tasks.push(task);
  // What needs attention stands first.
  for (const cls of classes) cls.tasks.sort((a, b) => a.state - b.state || a.number - b.number);

  const svg = document.querySelector("svg.drawing"),
    aside = document.querySelector("aside");
  const hint = document.querySelector(".hint"),
    search = document.querySelector("input[type=search]");
  const viewport = new Viewport(svg, document.querySelector(".tools"));
  const unfolded = new Map(); // class number -> its tasks that are drawn
  let down = NARROW;
  let chosen = null; // the key of what the panel tells of
  let drawn = null;
  let left = 0; // nodes that there was no room for

  // ---- the picture

  const isWhole = (cls) => cls.tasks.length === 1 || (unfolded.get(cls.number) || new Set()).size === cls.tasks.length;
  const classKey = (cls) => `c${cls.number}`,
    restKey = (cls) => `r${cls.number}`,
    taskKey = (task) => `t${task.number}`;
  const classOf = (key) => classes[Number(key.slice(1))];

  function keyOf(task) {
    const cls = classes[task.cls],
      shown = unfolded.get(cls.number);
    if (cls.tasks.length === 1 || (shown && shown.has(task.number))) return taskKey(task);
    return shown ? restKey(cls) : classKey(cls);
  }

  function stateCounts(list) {
    const counts = {};
    for (const state of data.states) {
      const number = list.reduce((sum, task) => sum + (task.stateName === state), 0);
      if (number) counts[state] = number;
    }
    return counts;
  }

  function countsText(counts) {
    const states = Object.keys(counts);
    if (states.length === 1 && counts[states[0]] > 1) return `all ${states[0]}`;
    return Object.entries(counts)
      .map(([state, number]) => `${numberText(number)} ${state}`)
      .join(", ");
  }

  function picture() {
    const grouped = !classes.every(isWhole); // with every task in sight, groups would only stand in the way
    const nodes = [],
      groups = [],
      counts = new Map();
    for (const cls of classes) {
      const shown = unfolded.get(cls.number);
      const group = grouped && shown ? `g${cls.number}` : null;
      if (group) groups.push({key: group, title: cls.short, note: countText(cls.tasks.length, "task")});
      if (cls.tasks.length > 1 && !shown) nodes.push(classNode(cls));
      else
        nodes.push(...cls.tasks.filter((task) => keyOf(task) === taskKey(task)).map((task) => taskNode(task, group)));
      const rest = shown ? cls.tasks.filter((task) => !shown.has(task.number)) : [];
      if (rest.length) {
        nodes.push({
          key: restKey(cls),
          kind: "more",
          title: `${numberText(rest.length)} more`,
          note: "",
          brief: "",
          told: "",
          counts: stateCounts(rest),
          group,
        });
      }
    }
    const keys = tasks.map(keyOf);
    for (const task of tasks) {
      for (const up of task.ups) {
        const pair = `${keys[up]} ${keys[task.number]}`;
        counts.set(pair, (counts.get(pair) || 0) + 1);
      }
    }
    const edges = [...counts]
      .map(([pair, count]) => {
        const [from, to] = pair.split(" ");
        return {from, to, count};
      })
      .filter((edge) => edge.from !== edge.to || edge.from[0] === "c");
    return {...near(nodes, edges, keys[keys.length - 1]), groups, down};
  }

  /* Of more nodes than can be arranged, gives those that are nearest to the task asked for. */
  function near(nodes, edges, root) {
    left = Math.max(0, nodes.length - 1.5 * MOST_NODES);
    if (!left) return {nodes, edges};
    const ups = new Map(),
      kept = new Set([root, chosen].filter(Boolean));
    for (const edge of edges) ups.set(edge.to, [...(ups.get(edge.to) || []), edge.from]);
    for (const key of kept) {
      // a set gives what is added while it is walked through, too
      for (const up of ups.get(key) || []) if (kept.size < MOST_NODES) kept.add(up);
    }
    const near = nodes.filter((node) => kept.has(node.key));
    left = nodes.length - near.length;
    return {nodes: near, edges: edges.filter((edge) => kept.has(edge.from) && kept.has(edge.to))};
  }

  function classNode(cls) {
    const counts = stateCounts(cls.tasks),
      note = `${countText(cls.tasks.length, "task")}: ${countsText(counts)}`;
    return {key: classKey(cls), kind: "class", title: cls.short, note, brief: "", told: note, counts, group: null};
  }

  function toldOf(task) {
    const reason = data.reasons[task.reason];
    return reason ? `${task.stateName}: ${reason}` : task.stateName;
  }

  function taskNode(task, group) {
    const note = task.stateName !== "cached" || task.seconds === null ? task.stateName : secondsText(task.seconds);
    return {
      key: taskKey(task),
      kind: "task",
      title: classes[task.cls].short,
      note,
      brief: task.brief,
      told: toldOf(task),
      counts: {[task.stateName]: 1},
      group,
    };
  }

  // ---- drawing and moving

  const pen = document.createElement("canvas").getContext("2d"),
    family = getComputedStyle(svg).fontFamily;

  function textWidth(text, size, bold) {
    pen.font = `${bold ? 600 : 400} ${size}px ${family}`;
    return pen.measureText(text).width;
  }

  /* Draws anew. What `anchor` names stays where it is on the screen; without it, all is fitted in. */
  function redraw(anchor) {
    const before = drawn && anchor && drawn.boxes[anchor.before];
    drawn = drawing.draw(dagre, picture(), textWidth);
    svg.innerHTML = `<g class="view">${drawn.markup}</g>`;
    const after = anchor && drawn.boxes[anchor.after];
    viewport.show(drawn, before, after);
    mark();
    const folded = classes.some((cls) => cls.tasks.length > 1 && !unfolded.has(cls.number));
    if (left) say(`${numberText(left)} nodes are not drawn, those furthest from the task asked for; search finds them`);
    else say(folded ? "Click + to unfold a class" : "");
  }

  function say(text) {
    hint.textContent = text;
  }

  // ---- folding

  function unfold(cls, step) {
    const shown = unfolded.get(cls.number) || new Set();
    const room = MOST_NODES - picture().nodes.length;
    const wanted = Math.max(step, cls.tasks.length - shown.size <= STEP + 10 ? STEP + 10 : 0);
    if (room < 1) {
      say("There is no room for more nodes; fold another class first.");
      return;
    }
    const before = unfolded.has(cls.number) ? restKey(cls) : classKey(cls);
    const next = cls.tasks.filter((task) => !shown.has(task.number)).slice(0, Math.min(wanted, room));
    next.forEach((task) => shown.add(task.number));
    unfolded.set(cls.number, shown);
    redraw({before, after: taskKey(next[0])});
    viewport.reveal(drawn.boxes[`g${cls.number}`]);
  }

  function fold(cls) {
    const anchor = drawn.boxes[`g${cls.number}`] ? `g${cls.number}` : taskKey(cls.tasks[0]);
    unfolded.delete(cls.number);
    redraw({before: anchor, after: classKey(cls)});
  }

  function showInGraph(task) {
    const cls = classes[task.cls];
    if (keyOf(task) !== taskKey(task)) {
      const shown = unfolded.get(cls.number) || new Set();
      shown.add(task.number);
      unfolded.set(cls.number, shown);
    }
    chosen = taskKey(task);
    if (!drawn.boxes[chosen]) redraw({});
    viewport.centre(drawn.boxes[chosen]);
  }

  // ---- choosing

  function choose(key, parts) {
    chosen = key;
    aside.replaceChildren(...parts);
    aside.scrollTop = 0;
    mark();
  }

  function mark() {
    for (const element of svg.querySelectorAll(".chosen")) element.classList.remove("chosen");
    if (!chosen) return;
    for (const element of svg.querySelectorAll(
      `[data-key="${chosen}"].node, [data-from="${chosen}"], [data-to="${chosen}"]`,
    )) {
      element.classList.add("chosen");
    }
  }

  function chooseKey(key) {
    if (key[0] === "t") chooseTask(tasks[Number(key.slice(1))]);
    else chooseClass(classOf(key), key);
  }

  function chooseTask(task) {
    const place = data.places[task.place];
    const what = make(
      "p",
      {class: "state"},
      make("span", {class: `dot ${task.stateName}`}),
      make("span", {}, toldOf(task)),
    );
    const link = (text, target) => make("a", {href: target}, text);
    const facts = factsTable([
      [
        "Class",
        make(
          "button",
          {class: "plain", onclick: () => chooseClass(classes[task.cls], keyOf(task))},
          data.classes[task.cls].name,
        ),
      ],
      ["Id", task.id === null ? "" : String(task.id)],
      ["Time", task.seconds === null ? "" : secondsText(task.seconds)],
      ["Peak memory", task.memory ? memoryText(task.memory) : ""],
      ["Backend", place.backend],
      ["Host", place.host ? place.host + (place.pid ? `, process ${place.pid}` : "") : ""],
      ["Started", task.started ? timeText(task.started) : ""],
      ["Directory", task.directory ? link("open", task.directory) : ""],
    ]);
    const logs = task.logs.flatMap(([name, text, target]) => [
      make("h3", {}, link(name, target)),
      text ? make("pre", {}, text) : "",
    ]);
    choose(taskKey(task), [
      make("h2", {}, task.label),
      what,
      facts,
      make(
        "div",
        {class: "buttons"},
        make(
          "button",
          {
            onclick: () => {
              showInGraph(task);
              mark();
            },
          },
          "Show in the graph",
        ),
      ),
      ...(task.args.length ? [make("h3", {}, "Arguments"), argumentsTable(task)] : []),
      ...logs.filter(Boolean),
      ...listed(
        "Needs",
        task.ups.map((up) => tasks[up]),
        10,
      ),
      ...listed(
        "Needed by",
        task.downs.map((number) => tasks[number]),
        10,
      ),
    ]);
  }

  function argumentsTable(task) {
    const rows = task.args.map(([name, text]) => [name, make("code", {}, text)]);
    const table = factsTable(rows);
    table.classList.add("arguments");
    return table;
  }

  function chooseClass(cls, key) {
    const ran = cls.tasks.filter((task) => task.seconds !== null),
      memory = Math.max(0, ...cls.tasks.map((task) => task.memory || 0));
    const seconds = ran.map((task) => task.seconds),
      total = seconds.reduce((sum, one) => sum + one, 0);
    const backends = [...new Set(cls.tasks.map((task) => data.places[task.place].backend).filter(Boolean))];
    const canFold = unfolded.has(cls.number),
      canUnfold = !isWhole(cls);
    choose(key, [
      make("h2", {}, cls.short),
      make("p", {class: "faint"}, `${countText(cls.tasks.length, "task")}: ${countsText(stateCounts(cls.tasks))}`),
      factsTable([
        ["Class", cls.name],
        ["Time", ran.length ? `${secondsText(total)} in all, ${secondsText(total / ran.length)} each` : ""],
        ["Longest", ran.length > 1 ? secondsText(Math.max(...seconds)) : ""],
        ["Peak memory", memory ? memoryText(memory) : ""],
        ["Backend", backends.join(", ")],
        ["Why", reasonsOf(cls)],
      ]),
      make(
        "div",
        {class: "buttons"},
        canUnfold
          ? make(
              "button",
              {
                onclick: () => {
                  unfold(cls, STEP);
                  chooseClass(cls, keyOf(cls.tasks[0]));
                },
              },
              canFold ? "Unfold more" : "Unfold",
            )
          : "",
        canFold
          ? make(
              "button",
              {
                onclick: () => {
                  fold(cls);
                  chooseClass(cls, classKey(cls));
                },
              },
              "Fold",
            )
          : "",
      ),
      ...listed("Tasks", cls.tasks, LISTED),
    ]);
  }

  function reasonsOf(cls) {
    const counts = new Map();
    for (const task of cls.tasks) {
      const reason = data.reasons[task.reason].replace(/^its upstream [^]* runs$/, "an upstream runs");
      if (reason) counts.set(reason, (counts.get(reason) || 0) + 1);
    }
    return [...counts]
      .sort((a, b) => b[1] - a[1])
      .slice(0, 4)
      .map(([reason, number]) => make("div", {}, number > 1 ? `${numberText(number)} times: ${reason}` : reason));
  }

  /* A list of tasks that grows on demand. */
  function listed(title, list, most) {
    if (!list.length) return [];
    const items = make("ul", {}),
      more = make("button", {class: "plain"});
    let at = 0;
    const grow = () => {
      items.append(
        ...list
          .slice(at, at + most)
          .map((task) =>
            make(
              "li",
              {},
              make("span", {class: `dot ${task.stateName}`, title: task.stateName}),
              make("button", {class: "plain", onclick: () => chooseTask(task)}, task.label),
              make("span", {class: "faint"}, task.seconds === null ? "" : secondsText(task.seconds)),
            ),
          ),
      );
      at += most;
      most = LISTED;
      more.textContent = at < list.length ? `${numberText(list.length - at)} more` : "";
    };
    more.addEventListener("click", grow);
    grow();
    return [make("h3", {}, `${title} (${numberText(list.length)})`), items, more];
  }

  function chooseState(state) {
    const list = tasks.filter((task) => task.stateName === state);
    choose(null, [
      make("h2", {}, `${state[0].toUpperCase()}${state.slice(1)} tasks`),
      ...listed("Tasks", list, LISTED),
    ]);
  }

  function find() {
    const wanted = search.value.trim().toLowerCase();
    if (!wanted) return;
    const list = tasks.filter((task) =>
      `${data.classes[task.cls].name}#${task.id} ${task.label} ${task.args.join(" ")}`.toLowerCase().includes(wanted),
    );
    choose(null, [
      make("h2", {}, `Tasks with “${search.value.trim()}”`),
      ...(list.length ? listed("Tasks", list, LISTED) : [make("p", {class: "faint"}, "There is none.")]),
    ]);
  }

  // ---- hands

  function press(target) {
    const sign = target.closest(".sign"),
      node = target.closest(".node");
    if (sign && sign.dataset.fold) fold(classOf(sign.dataset.fold));
    else if (sign) unfold(classOf(sign.dataset.unfold), STEP);
    else if (node && node.classList.contains("more")) unfold(classOf(node.dataset.key), STEP);
    else if (node) chooseKey(node.dataset.key);
  }

  svg.addEventListener("click", (event) => {
    if (!viewport.wasMoved) press(event.target);
  });
  svg.addEventListener("dblclick", (event) => {
    const node = event.target.closest(".node.class");
    if (node && !event.target.closest(".sign")) unfold(classOf(node.dataset.key), STEP);
  });
  svg.addEventListener("keydown", (event) => {
    const node = event.target.closest(".node");
    if (!node) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      press(node);
      if (!node.classList.contains("more")) aside.focus();
    } else if (event.key === "+" && node.classList.contains("class")) {
      unfold(classOf(node.dataset.key), STEP);
    }
  });
  search.addEventListener("input", find);
  document.getElementById("fold").addEventListener("click", () => {
    unfolded.clear();
    redraw();
  });
  document.getElementById("turn").addEventListener("click", () => {
    down = !down;
    redraw();
  });
  document.getElementById("smaller").addEventListener("click", () => viewport.zoomMiddle(1 / 1.3));
  document.getElementById("larger").addEventListener("click", () => viewport.zoomMiddle(1.3));
  document.getElementById("fit").addEventListener("click", () => viewport.fit());

  // ---- the start

  const counts = stateCounts(tasks);
  document.querySelector("h1").textContent = data.title;
  document.querySelector(".about").textContent =
    `${countText(tasks.length, "task")} in ${numberText(classes.length)} class${classes.length === 1 ? "" : "es"}, ` +
    `as of ${timeText(data.made)}; cache ${data.cache}`;
  document
    .querySelector(".states")
    .append(
      ...Object.entries(counts).map(([state, number]) =>
        make(
          "button",
          {onclick: () => chooseState(state), "data-state": state},
          make("span", {class: `dot ${state}`}),
          `${numberText(number)} ${state}`,
        ),
      ),
    );
  if (tasks.length <= SMALL)
    for (const cls of classes) unfolded.set(cls.number, new Set(cls.tasks.map((task) => task.number)));
  redraw();
  chooseTask(tasks[tasks.length - 1]);
  performance.mark("drawn");
})();
