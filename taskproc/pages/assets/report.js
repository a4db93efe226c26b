"use strict";
/* The page of a run. */
(() => {
  const COLOURS = 8;
  const at = (selector) => document.querySelector(selector);
  // The classes that took most get the colours; the others share the last but one, which is grey.
  const colourOf = (cls) => `c${cls < 6 ? cls : cls === 6 && data.classes.length <= COLOURS ? 7 : 6}`;
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
    const named = drawn.slice(0, COLOURS - 1);
    at(".legend").append(
      ...named.map((cls) => make("span", {}, swatch(cls), short(cls))),
      drawn.length > named.length
        ? make("span", {}, make("span", {class: "swatch", style: "background: var(--c6)"}), "others")
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

  class Chart {
    constructor(frame, status) {
      this.frame = frame;
      this.canvas = frame.querySelector("canvas");
      this.status = status;
      this.high = Math.max(4, Math.min(18, Math.floor(420 / data.lanes.length)));
      this.hosts = this.groups();
      this.whole = [0, Math.max(...data.bars.map((bar) => bar[1] + bar[2]), data.seconds, 1e-6)];
      this.span = this.whole;
      this.listen();
      this.tell();
    }

    /* The first lane of each host, and where lanes are from the top, with room for the host's name above. */
    groups() {
      const hosts = [];
      let y = 4;
      this.tops = data.lanes.map(([host], lane) => {
        if (lane === 0 || host !== data.lanes[lane - 1][0]) {
          hosts.push([host || "unknown host", y]);
          y += 20;
        }
        y += this.high + (this.high > 8 ? 2 : 1);
        return y - this.high - 1;
      });
      this.height = y + 26;
      return hosts;
    }

    colours() {
      const style = getComputedStyle(document.documentElement);
      return (name) => style.getPropertyValue(`--${name}`).trim();
    }

    x(seconds) {
      return ((seconds - this.span[0]) / (this.span[1] - this.span[0])) * this.width;
    }

    draw() {
      const ratio = window.devicePixelRatio || 1,
        colour = this.colours();
      this.width = this.frame.clientWidth;
      Object.assign(this.canvas, {width: this.width * ratio, height: this.height * ratio});
      Object.assign(this.canvas.style, {width: `${this.width}px`, height: `${this.height}px`});
      const pen = this.canvas.getContext("2d");
      pen.scale(ratio, ratio);
      pen.font = `11px ${getComputedStyle(document.body).fontFamily}`;
      this.drawGrid(pen, colour);
      for (const [lane, start, length, cls, state] of data.bars) {
        const left = this.x(start),
          right = this.x(start + length);
        if (right < 0 || left > this.width) continue;
        pen.fillStyle = state === "failed" ? colour("failed") : colour(colourOf(cls));
        pen.globalAlpha = state === "done" || state === "failed" ? 1 : 0.55;
        pen.fillRect(left, this.tops[lane], Math.max(right - left - (right - left > 4 ? 1 : 0), 0.8), this.high);
      }
      pen.globalAlpha = 1;
      pen.fillStyle = colour("faint");
      for (const [host, top] of this.hosts) pen.fillText(host, 6, top + 14);
    }

    drawGrid(pen, colour) {
      const span = this.span[1] - this.span[0],
        step = niceStep(span / Math.max(2, this.width / 110));
      pen.textAlign = "center";
      for (let at = Math.ceil(this.span[0] / step) * step; at <= this.span[1]; at += step) {
        const x = Math.round(this.x(at)) + 0.5;
        pen.fillStyle = colour("line");
        pen.fillRect(x, 0, 1, this.height - 20);
        pen.fillStyle = colour("faint");
        if (x > 20 && x < this.width - 24) pen.fillText(clockText(at, step), x, this.height - 7);
      }
      pen.textAlign = "left";
    }

    tell(bar) {
      if (bar) {
        const [lane, start, length, , state, label] = bar,
          [host, worker] = data.lanes[lane];
        const where = [worker, host].filter(Boolean).join(" on ");
        const when = `${secondsText(length)} from ${secondsText(start)} on`;
        this.status.textContent = `${label}: ${state}, ${when}, ${where}`;
      } else {
        const cut =
          data.allBars > data.bars.length
            ? `The longest ${numberText(data.bars.length)} of ${numberText(data.allBars)} attempts. `
            : "";
        const help = "Point at a bar to see whose it is; drag over a time to enlarge it, double-click for all.";
        this.status.textContent = cut + help;
      }
    }

    barAt(x, y) {
      let found = null;
      for (const bar of data.bars) {
        const top = this.tops[bar[0]];
        if (y < top || y > top + this.high) continue;
        const left = this.x(bar[1]),
          right = Math.max(this.x(bar[1] + bar[2]), left + 2);
        if (x >= left - 1 && x <= right + 1) found = bar;
      }
      return found;
    }

    listen() {
      let from = null;
      this.canvas.addEventListener("pointerdown", (event) => {
        from = event.offsetX;
      });
      this.canvas.addEventListener("pointermove", (event) => {
        if (from === null || Math.abs(event.offsetX - from) < 6) {
          this.tell(this.barAt(event.offsetX, event.offsetY));
          return;
        }
        this.draw();
        const pen = this.canvas.getContext("2d");
        pen.fillStyle = this.colours()("accent");
        pen.globalAlpha = 0.2;
        pen.fillRect(from, 0, event.offsetX - from, this.height);
        pen.globalAlpha = 1;
      });
      window.addEventListener("pointerup", (event) => {
        if (from !== null && event.target === this.canvas && Math.abs(event.offsetX - from) >= 6) {
          const [left, right] = [from, event.offsetX].sort((a, b) => a - b),
            [begin, end] = this.span;
          const time = (x) => begin + (x / this.width) * (end - begin);
          this.span = [time(left), time(right)];
        }
        from = null;
        this.draw();
      });
      this.canvas.addEventListener("pointerleave", () => this.tell());
      this.canvas.addEventListener("dblclick", () => {
        this.span = this.whole;
        this.draw();
      });
      this.frame.addEventListener("keydown", (event) => this.key(event));
    }

    key(event) {
      const [begin, end] = this.span,
        span = end - begin;
      const changes = {
        "+": [begin + span / 4, end - span / 4],
        "-": [begin - span / 2, end + span / 2],
        ArrowLeft: [begin - span / 4, end - span / 4],
        ArrowRight: [begin + span / 4, end + span / 4],
        Escape: this.whole,
      };
      if (!changes[event.key]) return;
      event.preventDefault();
      this.span = changes[event.key];
      this.draw();
    }
  }

  function niceStep(least) {
    const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400];
    if (least >= 1) return steps.find((step) => step >= least) || Math.ceil(least / 86400) * 86400;
    const power = 10 ** Math.floor(Math.log10(least));
    return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least * 0.999);
  }

  function clockText(seconds, step) {
    if (step < 1) return `${seconds.toFixed(Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)))} s`;
    if (step < 60 && seconds < 60) return `${Math.round(seconds)} s`;
    const whole = Math.round(seconds),
      two = (number) => String(number).padStart(2, "0");
    const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
    return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
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
