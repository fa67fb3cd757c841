// dom.js: elements in few words. Scripts are plain ones that share the name `clade`, and not modules, so that the page
// also works from a file. Text from the catalogue only ever becomes text nodes and attributes.
'use strict';

const clade = {};

// element('p', {class: 'note', onclick: f}, 'text', child, [children], null)
clade.element = (name, attributes, ...children) => clade.fill(document.createElement(name), attributes, children);

clade.svg = (name, attributes, ...children) =>
  clade.fill(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children);

clade.fill = (element, attributes, children) => {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
};

// A link to another site; plain text if the address is none.
clade.outward = (address, text) =>
  /^https?:\/\//.test(address)
    ? clade.element('a', { href: address, rel: 'noreferrer noopener', target: '_blank' }, text || address)
    : clade.element('span', {}, text || address);

clade.say = (text) => {
  document.getElementById('status').textContent = text;
};

// ---- numbers as people write them ----

clade.number = (value, digits = 3) => {
  if (value === null || value === undefined) return '–';
  for (const [size, letter] of [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']])
    if (Math.abs(value) >= size) return `${+(value / size).toPrecision(digits)} ${letter}`;
  return `${+value.toPrecision(digits)}`;
};

clade.bytes = (value) => {
  if (value === null || value === undefined) return '–';
  for (const [size, unit] of [[2 ** 30, 'GiB'], [2 ** 20, 'MiB'], [2 ** 10, 'KiB']])
    if (value >= size) return `${+(value / size).toPrecision(3)} ${unit}`;
  return `${value} B`;
};

clade.seconds = (value) => {
  if (value === null || value === undefined) return '–';
  for (const [size, unit] of [[1, 's'], [1e-3, 'ms'], [1e-6, 'µs']])
    if (value >= size) return `${+(value / size).toPrecision(3)} ${unit}`;
  return `${+(value * 1e9).toPrecision(3)} ns`;
};

clade.percent = (value) => (value === null || value === undefined ? '–' : `${+(value * 100).toPrecision(3)} %`);
