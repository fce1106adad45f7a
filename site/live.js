// SPDX-License-Identifier: BSD-2-Clause
// Fills in what only this moment knows: the domain's counters, and what the browser measured.
// <span data-k="memory.free_bytes" data-u="b">: the place in /-/status.json, and its unit. "*" adds up.
'use strict';

const bytes = n => {
  let i = 0;
  while (n >= 1024 && i < 4) { n /= 1024; i++; }
  return (i ? n.toFixed(1) : Math.round(n)) + ' ' + ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'][i];
};
const count = n => Math.round(n).toLocaleString('en');
const duration = ns => {
  const s = Math.floor(ns / 1e9), two = n => String(n).padStart(2, '0');
  if (s < 60) return (ns / 1e9).toFixed(1) + ' s';
  if (s < 3600) return `${Math.floor(s / 60)}:${two(s % 60)} min`;
  return s < 86400 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)} h` : `${(s / 86400).toFixed(1)} days`;
};
const units = { c: count, l: count, b: bytes, B: bytes, t: duration, s: x => x };
const sum = list => list.reduce((a, b) => a + (b ?? 0), 0);

const find = (tree, path) => path.length === 0 ? tree
  : path[0] === '*' ? sum(Object.values(tree ?? {}).map(t => find(t, path.slice(1))))
  : find(tree?.[path[0]], path.slice(1));
const value = (tree, key) => find(tree, key.split('.'));

const status = async () => (await fetch('/-/status.json', { cache: 'no-store' })).json();
const element = id => document.getElementById(id);

// ---- the counters, every two seconds ----

let last = null, busy = false;

function show(now) {
  for (const e of document.querySelectorAll('[data-k]')) {
    const v = value(now, e.dataset.k);
    if (v !== undefined) e.textContent = units[e.dataset.u](v);
  }
  for (const e of document.querySelectorAll('[data-rate]')) {
    const [key, unit] = e.dataset.rate.split(' ');
    const seconds = last ? (performance.now() - last.at) / 1000 : 0;
    const rate = last ? (value(now, key) - value(last.tree, key)) / seconds : 0;
    e.textContent = rate >= 0.1 ? `+${rate < 10 ? rate.toFixed(1) : units[unit](rate)} a second` : '';
  }
  last = { tree: now, at: performance.now() };
}

async function tick() {
  const dot = document.querySelector('.live');
  try {
    if (!busy) show(await status());
    dot?.classList.add('on');
    if (element('how')) element('how').textContent = 'live, from this domain';
  } catch {
    dot?.classList.remove('on');
    if (element('how')) element('how').textContent = 'the domain does not answer';
  }
  setTimeout(tick, 2000);
}

// ---- what the browser measured ----

function row(table, name, text) {
  const tr = table.insertRow(), th = document.createElement('th');
  th.textContent = name;
  th.scope = 'row';
  tr.append(th);
  tr.insertCell().textContent = text;
}

const ms = n => n < 10 ? n.toFixed(1) + ' ms' : count(n) + ' ms';

function showNavigation() {
  const table = element('journey'), n = performance.getEntriesByType('navigation')[0];
  if (!table || !n || !n.responseEnd) return;
  const fresh = n.connectEnd > n.connectStart;
  table.replaceChildren();
  row(table, 'TCP connection to this domain', fresh ? ms(n.connectEnd - n.connectStart) : 'was still open');
  row(table, 'from the request to the first byte', ms(n.responseStart - n.requestStart));
  row(table, 'from the first byte to the last', ms(n.responseEnd - n.responseStart));
  const known = n.transferSize < n.encodedBodySize;
  row(table, 'this page with its head', known ? 'you had it already' : bytes(n.transferSize));
  const others = performance.getEntriesByType('resource').filter(r => r.name.startsWith(location.origin));
  row(table, 'other files it asked for so far', count(others.length));
}

// ---- one request, counted ----

const things = [
  ['Ethernet frames received', 'interfaces.*.rx_frames'],
  ['Ethernet frames sent', 'interfaces.*.tx_frames'],
  ['events from the backends', 'xen.events'],
  ['hypercalls', 'xen.hypercalls'],
  ['switches between threads', 'threads.switches'],
  ['blocks read from the disk', 'root.device_reads'],
];

// The second look is itself the request: what changed between the two is what one request took.
async function countOne() {
  const button = element('count'), table = element('counted');
  busy = button.disabled = true;
  try {
    await status(); // the connection is open and warm
    const before = await status(), begin = performance.now();
    const after = await status(), took = performance.now() - begin;
    table.replaceChildren();
    for (const [name, key] of things) {
      const difference = value(after, key) - value(before, key);
      if (!Number.isNaN(difference)) row(table, name, count(difference));
    }
    row(table, 'time, as your browser saw it', ms(took));
  } finally {
    busy = button.disabled = false;
  }
}

// ---- start ----

if (element('count')) {
  element('count').hidden = false;
  element('count').addEventListener('click', countOne);
}
status().then(now => {
  const from = element('from');
  if (from && now.root?.device === 'the ramdisk') from.textContent = 'from a ramdisk that Xen’s domain builder loaded';
}).catch(() => {});
addEventListener('load', () => setTimeout(showNavigation, 100));
if (document.querySelector('[data-k]')) tick();
