"use strict";
/* What the pages share: their data, elements made of text that stays text, and numbers written for people. */
const data = JSON.parse(document.getElementById("data").textContent);

/* Makes an element. `parts` are elements, or texts, which are never read as HTML. */
function make(name, attributes, ...parts) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "onclick") element.addEventListener("click", value);
    else element.setAttribute(key, value);
  }
  element.append(...parts.filter((part) => part !== "" && part !== null && part !== undefined));
  return element;
}

function numberText(number) {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ",");
}

function countText(number, what) {
  return `${numberText(number)} ${what}${number === 1 ? "" : "s"}`;
}

function secondsText(seconds) {
  if (seconds < 0.001) return seconds < 1e-6 ? "under 1 µs" : `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 0.0995) return `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
  if (seconds < 59.5) return `${seconds.toPrecision(seconds < 9.95 ? 2 : 3).replace(/\.?0+$/, "")} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`;
}

function memoryText(kib) {
  const mib = kib / 1024;
  return mib < 1000 ? `${mib.toPrecision(3)} MiB` : `${(mib / 1024).toPrecision(3)} GiB`;
}

function timeText(seconds) {
  const two = (number) => String(number).padStart(2, "0");
  const at = new Date(seconds * 1000);
  return (
    `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ` +
    `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
  );
}

/* A table of names and values; a value is a text, an element or a list of these, and without one there is no row. */
function factsTable(facts) {
  const rows = facts.filter(([, value]) => value !== null && value !== undefined && value.length !== 0);
  return make(
    "table",
    {class: "facts"},
    ...rows.map(([name, value]) => make("tr", {}, make("th", {scope: "row"}, name), make("td", {}, ...[value].flat()))),
  );
}
