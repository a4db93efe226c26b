"use strict";
/* The page of a run. */
(() => {
  const at = (selector) => document.querySelector(selector);
  const short = (cls) => data.classes[cls].short;
  const sum = (name) => data.classes.reduce((all, one) => all + one[name], 0);
  const goesOn = data.status === "running",
    undone = goesOn ? "Still to do" : "Not run";
  const percent = (part) => `${Math.round(100 * part)} %`;
  const swatch = (cls) => make("span", {class: "swatch", style: `background: var(--${colourOf(cls)})`});

  // ---- the head

  function head() {
    const words = {
      done: "done",
      failed: "failed",
      interrupted: "interrupted",
      died: "killed",
      running: "still running",
    };
    at("h1").textContent = data.root;
    at(".about").append(
      make("span", {class: `status ${data.status}`}, words[data.status]),
      `, started ${timeText(data.started)} on ${data.host} (process ${data.pid}); run ${data.run}` +
        (goesOn ? `, as of ${timeText(data.made)}` : ""),
    );
    if (data.argv.length) at("header").append(make("p", {class: "about"}, make("code", {}, data.argv.join(" "))));
    const done = sum("done"),
      cached = sum("cached"),
      failed = sum("failed"),
      left = sum("left");
    const all = done + cached + failed + left;
    const memory = Math.max(0, ...data.classes.map((one) => one.memory));
    const numbers = [
      [secondsText(data.seconds), goesOn ? "so far" : "from start to end"],
      [numberText(done), "tasks ran"],
      [all ? `${numberText(cached)} (${percent(cached / all)})` : "0", "were cached"],
      failed ? [numberText(failed), "failed"] : null,
      left ? [numberText(left), undone.toLowerCase()] : null,
      sum("retries") ? [numberText(sum("retries")), "attempts beyond the first"] : null,
      [secondsText(data.work), "of work in all"],
      [numberText(data.atOnce), "at once at most"],
      memory ? [memoryText(memory), "peak memory of a worker"] : null,
    ];
    at(".numbers").append(
      ...numbers
        .filter(Boolean)
        .map(([number, what]) => make("div", {}, make("b", {}, number), make("span", {}, what))),
    );
  }

  // ---- what to speed up

  function advice() {
    const spread = data.work / Math.max(1, data.atOnce),
      section = at("#advice");
    if (!data.work) {
      section.hidden = true;
      return;
    }
    section.append(make("p", {}, verdict(spread)));
    const gains = data.gains.filter((gain) => gain.seconds > 0.01 * data.seconds);
    if (gains.length)
      section.append(
        make(
          "ol",
          {},
          ...gains
            .slice(0, 4)
            .map((gain) =>
              make(
                "li",
                {},
                make("b", {}, gain.name),
                `: ${percent(gain.share)} of the work` +
                  (gain.on_path > 0 ? `, ${percent(gain.on_path)} of the critical path` : "") +
                  `. Twice as fast, it could save up to ${secondsText(gain.seconds)}.`,
              ),
            ),
        ),
      );
  }

  /* Says what bound the run: its longest chain, the number of workers, or neither. */
  function verdict(spread) {
    const took = data.seconds,
      path = data.pathSeconds,
      at = data.atOnce,
      ran = sum("done") + sum("failed");
    const known =
      `The run ${goesOn ? "has taken" : "took"} ${secondsText(took)}${goesOn ? " so far" : ""}. ` +
      `Its longest chain of tasks takes ${secondsText(path)}; ` +
      `all its work, spread over ${at} at once, ${secondsText(spread)}. `;
    if (goesOn) return known;
    if (Math.max(path, spread) < 0.5 * took) {
      return (
        known +
        (data.work / ran < 0.005
          ? `Its tasks are very short (${secondsText(data.work / ran)} each), so that most of the time went into ` +
            "handling them: do more in each task."
          : "Most of the time went neither into the one nor into the other, but into waiting: for queues, limits, or " +
            "the start of workers.")
      );
    }
    return (
      known +
      (path >= spread
        ? "More workers would not help; shorten what is on the critical path."
        : "More workers would help, and so would less work.")
    );
  }

  // ---- tables

  /* A table that is sorted by a click on a head. A column: [head, value for sorting, what is shown, class]. */
  function sortable(rows, columns, by, most) {
    const table = make("table", {class: "data"}),
      more = make("button", {class: "plain"});
    let column = columns[by],
      downwards = true,
      shown = most;
    const fill = () => {
      const order = [...rows].sort((a, b) => {
        const [x, y] = [column[1](a), column[1](b)];
        return (x < y ? -1 : x > y ? 1 : 0) * (downwards ? -1 : 1);
      });
      table.replaceChildren(
        make(
          "tr",
          {},
          ...columns.map((one) => {
            const sorted = one === column ? {"aria-sort": downwards ? "descending" : "ascending"} : {};
            const turn = () => {
              downwards = one === column ? !downwards : typeof one[1](rows[0]) !== "string";
              column = one;
              fill();
            };
            return make("th", {class: one[3] || "", scope: "col", ...sorted}, make("button", {onclick: turn}, one[0]));
          }),
        ),
        ...order
          .slice(0, shown)
          .map((row) =>
            make("tr", {}, ...columns.map((one) => make("td", {class: one[3] || ""}, ...[one[2](row)].flat()))),
          ),
      );
      more.textContent = rows.length > shown ? `${numberText(rows.length - shown)} more` : "";
    };
    more.addEventListener("click", () => {
      shown = rows.length;
      fill();
    });
    fill();
    return [table, more];
  }

  function classes() {
    const rows = data.classes.map((one, number) => ({...one, number}));
    const most = Math.max(...rows.map((row) => row.seconds), 1e-9);
    const number = (head, name) => [head, (row) => row[name], (row) => (row[name] ? numberText(row[name]) : "")];
    const time = (head, name) => [head, (row) => row[name] || 0, (row) => (row[name] ? secondsText(row[name]) : "")];
    const columns = [
      ["Class", (row) => row.short, (row) => [swatch(row.number), make("span", {title: row.name}, row.short)], "text"],
      number("Ran", "done"),
      number("Cached", "cached"),
      number("Failed", "failed"),
      number(undone, "left"),
      number("Retries", "retries"),
      time("Time in all", "seconds"),
      [
        "",
        (row) => row.seconds,
        (row) =>
          make("span", {
            class: "bar",
            style: `width: ${(100 * row.seconds) / most}%; background: var(--${colourOf(row.number)})`,
          }),
        "share",
      ],
      time("Mean", "mean"),
      time("Longest", "longest"),
      ["Peak memory", (row) => row.memory, (row) => (row.memory ? memoryText(row.memory) : "")],
      time("Mean wait", "waited"),
    ];
    const used = columns.filter((column) => column[0] === "Class" || rows.some((row) => column[1](row)));
    const by = used.findIndex((column) => column[0] === "Time in all");
    at("#classes .wide").append(...sortable(rows, used, Math.max(0, by), 50));
    at("#classes").append(
      make(
        "p",
        {class: "faint"},
        "Peak memory is that of the worker's process at the end of a task, with what it had run before.",
      ),
    );
  }

  function path() {
    if (!data.path.length) {
      at("#path").hidden = true;
      return;
    }
    const tasks = data.path[data.path.length - 1].step,
      most = Math.max(...data.path.map((step) => step.seconds), 1e-9);
    at("#path p").textContent =
      "The longest chain of tasks that need each other: no number of workers makes the run shorter than that." +
      (tasks > data.path.length ? ` Of its ${numberText(tasks)} steps, here are the longest.` : "");
    at("#path .wide").append(
      ...sortable(
        data.path,
        [
          ["Step", (row) => -row.step, (row) => String(row.step)],
          ["Task", (row) => row.label, (row) => [swatch(row.cls), row.label], "text"],
          ["Time", (row) => row.seconds, (row) => secondsText(row.seconds)],
          ["Share", (row) => row.seconds, (row) => percent(row.seconds / data.pathSeconds)],
          [
            "",
            (row) => row.seconds,
            (row) =>
              make("span", {
                class: "bar",
                style: `width: ${(100 * row.seconds) / most}%; background: var(--${colourOf(row.cls)})`,
              }),
            "share",
          ],
        ],
        0,
        40,
      ),
    );
  }

  function slow() {
    if (!data.slow.length) {
      at("#slow").hidden = true;
      return;
    }
    at("#slow .wide").append(
      ...sortable(
        data.slow,
        [
          ["Task", (row) => row.label, (row) => [swatch(row.cls), row.label], "text"],
          ["Time", (row) => row.seconds, (row) => secondsText(row.seconds)],
          ["Peak memory", (row) => row.memory, (row) => (row.memory ? memoryText(row.memory) : "")],
          ["Backend", (row) => row.backend, (row) => row.backend],
          ["Host", (row) => row.host, (row) => row.host],
          ["Ran because", (row) => row.why, (row) => row.why, "text"],
        ],
        1,
        15,
      ),
    );
  }

  // ---- failures

  function failures() {
    if (!data.failures.length) return;
    const section = at("#failures");
    section.hidden = false;
    section.append(
      ...data.failures.map((failure, number) => {
        const logs = failure.logs.flatMap(([name, text, target]) => [
          make("h3", {}, make("a", {href: target}, name)),
          text ? make("pre", {}, text) : "",
        ]);
        const where = [failure.backend, failure.host].filter(Boolean).join(" on ");
        return make(
          "details",
          number === 0 ? {open: ""} : {},
          make("summary", {}, make("b", {}, failure.label), make("span", {class: "faint"}, failure.reason)),
          factsTable([
            ["Where", where],
            ["After", failure.seconds ? secondsText(failure.seconds) : ""],
            ["Attempts", failure.attempts > 1 ? String(failure.attempts) : ""],
            [
              "Directory",
              failure.directory
                ? make("a", {href: failure.directory}, "open")
                : "its files are gone, or another attempt's by now",
            ],
          ]),
          ...logs.filter(Boolean),
          failure.traceback ? make("pre", {}, failure.traceback) : "",
        );
      }),
    );
    if (data.failed > data.failures.length)
      section.append(make("p", {class: "faint"}, `and ${numberText(data.failed - data.failures.length)} more`));
  }

  // ---- the timeline

  function times() {
    const section = at("#times");
    if (!data.bars.length) {
      section.hidden = true;
      return;
    }
    const drawn = [...new Set(data.bars.map((bar) => bar[3]))].sort((a, b) => a - b);
    const named = drawn.filter((cls) => cls < OTHERS);
    at(".legend").append(
      ...named.map((cls) => make("span", {}, swatch(cls), short(cls))),
      drawn.length > named.length
        ? make("span", {}, make("span", {class: "swatch", style: `background: var(--c${OTHERS})`}), "others")
        : "",
      data.bars.some((bar) => bar[4] === "failed")
        ? make("span", {}, make("span", {class: "swatch", style: "background: var(--failed)"}), "failed")
        : "",
    );
    const chart = new Chart(at(".chart"), at("#times [role=status]"));
    chart.draw();
    window.addEventListener("resize", () => chart.draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => chart.draw());
  }

  head();
  failures();
  advice();
  times();
  classes();
  path();
  slow();
  performance.mark("drawn");
})();
