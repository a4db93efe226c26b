"use strict";
/* The timeline: a bar for each attempt, in a lane for each worker, on a canvas, for there may be very many. */

// The classes that took most have colours of their own; the others share a grey.
const OTHERS = 6;
const colourOf = (cls) => `c${Math.min(cls, OTHERS)}`;

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
