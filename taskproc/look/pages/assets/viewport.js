"use strict";
/* What one sees of a drawing that is larger than its <svg>: it is moved and enlarged by mouse, fingers and wheel. */
class Viewport {
  /* `covering` is an element that lies over the top of the drawing. */
  constructor(svg, covering) {
    this.svg = svg;
    this.covering = covering;
    this.at = {x: 0, y: 0, scale: 1};
    this.fingers = new Map();
    this.moved = 0;
    this.listen();
  }

  /* Whether the last press was the beginning of a move, and no click. */
  get wasMoved() {
    return this.moved >= 5;
  }

  /* Shows a drawing. Given a box of the one before and one of this, they share a place; else all is fitted in. */
  show(drawn, before, after) {
    this.drawn = drawn;
    if (before && after) {
      this.at.x += (before.x - after.x) * this.at.scale;
      this.at.y += (before.y - after.y) * this.at.scale;
      this.place();
    } else {
      this.fit();
    }
  }

  fit() {
    const {width, height} = this.svg.getBoundingClientRect();
    const above = this.covering.getBoundingClientRect().height + 8;
    const room = height - above - 16;
    const scale = Math.max(0.05, Math.min(width / this.drawn.width, room / this.drawn.height, 1.25));
    const [x, y] = [(width - this.drawn.width * scale) / 2, above + (room - this.drawn.height * scale) / 2];
    this.at = {x, y, scale};
    this.place();
  }

  place() {
    const {x, y, scale} = this.at;
    this.svg.firstElementChild.setAttribute("transform", `translate(${x} ${y}) scale(${scale})`);
  }

  zoom(factor, x, y) {
    const scale = Math.min(4, Math.max(0.03, this.at.scale * factor));
    const change = scale / this.at.scale;
    this.at = {x: x - (x - this.at.x) * change, y: y - (y - this.at.y) * change, scale};
    this.place();
  }

  zoomMiddle(factor) {
    const {width, height} = this.svg.getBoundingClientRect();
    this.zoom(factor, width / 2, height / 2);
  }

  centre(box) {
    if (!box) return;
    const {width, height} = this.svg.getBoundingClientRect();
    const scale = Math.max(this.at.scale, 0.8);
    this.at = {x: width / 2 - box.x * scale, y: height / 2 - box.y * scale, scale};
    this.place();
  }

  /* Moves as little as brings a box into sight; of one that is too large, its beginning. */
  reveal(box) {
    if (!box) return;
    const {width, height} = this.svg.getBoundingClientRect();
    const shift = (middle, size, at, low, high) => {
      const first = (middle - size / 2) * this.at.scale + at;
      const last = first + size * this.at.scale;
      return first < low || last - first > high - low ? low - first : Math.min(0, high - last);
    };
    this.at.x += shift(box.x, box.width, this.at.x, 12, width - 12);
    this.at.y += shift(box.y, box.height, this.at.y, 52, height - 28);
    this.place();
  }

  listen() {
    this.svg.addEventListener("pointerdown", (event) => {
      this.fingers.set(event.pointerId, {x: event.clientX, y: event.clientY});
      if (this.fingers.size === 1) this.moved = 0;
    });
    this.svg.addEventListener("pointermove", (event) => this.follow(event));
    for (const name of ["pointerup", "pointercancel"]) {
      this.svg.addEventListener(name, (event) => {
        this.fingers.delete(event.pointerId);
        this.svg.classList.remove("moving");
      });
    }
    const wheel = (event) => {
      event.preventDefault();
      const corner = this.svg.getBoundingClientRect();
      const factor = Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015));
      this.zoom(factor, event.clientX - corner.left, event.clientY - corner.top);
    };
    this.svg.addEventListener("wheel", wheel, {passive: false});
  }

  /* Moves with one finger, and enlarges as two are spread. */
  follow(event) {
    const last = this.fingers.get(event.pointerId);
    if (!last) return;
    const distance = this.spread();
    const step = {x: event.clientX - last.x, y: event.clientY - last.y};
    this.fingers.set(event.pointerId, {x: event.clientX, y: event.clientY});
    this.moved += Math.abs(step.x) + Math.abs(step.y);
    if (!this.wasMoved) return;
    if (!this.svg.hasPointerCapture(event.pointerId)) this.svg.setPointerCapture(event.pointerId);
    this.svg.classList.add("moving");
    this.at.x += step.x / this.fingers.size;
    this.at.y += step.y / this.fingers.size;
    const corner = this.svg.getBoundingClientRect();
    if (distance) this.zoom(this.spread() / distance, event.clientX - corner.left, event.clientY - corner.top);
    this.place();
  }

  spread() {
    if (this.fingers.size !== 2) return 0;
    const [a, b] = [...this.fingers.values()];
    return Math.hypot(a.x - b.x, a.y - b.y);
  }
}
