#include "page_site.hpp"

// The live page. It is told of all jobs by /api/events, see status_json.cpp, and builds what it shows out of text nodes
// alone, so that no name is taken for markup.
namespace runnel::observe::detail {

const std::string_view page_html = R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>runnel</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="page.css{{query}}">
<script src="page.js{{query}}" defer></script>
</head>
<body>
<header class="top">
<h1>runnel</h1>
<nav id="jobs" aria-label="Jobs"></nav>
<p id="link" class="link" role="status">connecting</p>
</header>
<main id="main"><p class="empty">No job yet.</p></main>
<noscript><p class="empty">This page needs JavaScript. The same is at /api/jobs as JSON.</p></noscript>
</body>
</html>
)html";

const std::string_view page_style = R"css(
:root {
  --ground: #f4f6f8; --panel: #ffffff; --text: #1b2430; --soft: #5a6675; --line: #d8dee6;
  --busy: #2b6cd9; --blocked: #d26a08; --idle: #cdd5df; --good: #17794a; --bad: #bf2c2c; --good-ground: #e2f3ea;
  --bad-ground: #fbe6e5; --warn-ground: #fdf0e0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #10141a; --panel: #181e27; --text: #e3e8ef; --soft: #98a4b4; --line: #2b3440;
    --busy: #5e97f6; --blocked: #f0963f; --idle: #3b4656; --good: #56c890; --bad: #f47b77; --good-ground: #16322a;
    --bad-ground: #3a2023; --warn-ground: #3a2b18;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--text);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums; -webkit-text-size-adjust: 100%;
}
h1, h2, h3, p, dl, dd, figure, ul, ol { margin: 0; padding: 0; }
.top {
  position: sticky; top: 0; z-index: 1; display: flex; flex-wrap: wrap; gap: 4px 16px; align-items: baseline;
  padding: 10px 16px; background: var(--panel); border-bottom: 1px solid var(--line);
}
h1 { font-size: 17px; letter-spacing: .02em; }
.top nav { display: flex; flex: 1; gap: 12px; overflow-x: auto; min-width: 0; }
.top a { color: var(--busy); text-decoration: none; white-space: nowrap; }
.top a:hover { text-decoration: underline; }
.link { font-size: 13px; color: var(--soft); white-space: nowrap; }
.link::before {
  content: ""; display: inline-block; width: 8px; height: 8px; margin-right: 6px; border-radius: 50%;
  background: var(--idle);
}
.link.live::before { background: var(--good); }
.link.lost::before { background: var(--bad); }
main { max-width: 1240px; margin: 0 auto; padding: 12px 16px 40px; }
main.old { opacity: .55; }
.empty { padding: 48px 0; text-align: center; color: var(--soft); }
.job { scroll-margin-top: 56px; }
.job + .job { margin-top: 36px; padding-top: 24px; border-top: 2px solid var(--line); }
.job > header { display: flex; flex-wrap: wrap; gap: 4px 12px; align-items: center; margin: 6px 0 12px; }
h2 { font-size: 20px; overflow-wrap: anywhere; }
h3 { font-size: 13px; font-weight: 600; color: var(--soft); margin-bottom: 8px; }
.state { padding: 1px 9px; border-radius: 10px; font-size: 13px; background: var(--idle); }
.state.running { background: var(--good-ground); color: var(--good); }
.state.failed { background: var(--bad-ground); color: var(--bad); }
.state.restarting { background: var(--warn-ground); color: var(--blocked); }
.soft { color: var(--soft); }
.failure, .trouble {
  margin-bottom: 12px; padding: 8px 12px; border-radius: 8px; background: var(--bad-ground); color: var(--bad);
  overflow-wrap: anywhere;
}
.trouble { display: grid; gap: 4px; list-style: none; background: var(--warn-ground); color: var(--text); }
[hidden] { display: none !important; }
.panel {
  min-width: 0; padding: 12px 14px; background: var(--panel); border: 1px solid var(--line); border-radius: 10px;
}
.tiles { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 12px; margin-bottom: 12px; }
.tile { display: flex; flex-direction: column; }
.tile strong { font-size: 22px; font-weight: 600; line-height: 1.2; white-space: nowrap; }
.tile small { font-size: 12px; color: var(--soft); overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.spark { display: block; width: 100%; height: 30px; margin-top: 6px; }
.spark path { fill: none; stroke: var(--busy); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.spark path.under { fill: var(--busy); opacity: .13; stroke: none; }
.graph { margin-bottom: 12px; overflow-x: auto; }
.graph svg { display: block; margin: 0 auto; max-width: 100%; height: auto; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 14px; margin-top: 8px; font-size: 12px; color: var(--soft); }
.legend i { display: inline-block; width: 10px; height: 10px; margin-right: 5px; border-radius: 2px; }
.legend i.busy { background: var(--busy); } .legend i.blocked { background: var(--blocked); }
.legend i.idle { background: var(--idle); }
.box { fill: var(--ground); stroke: var(--line); }
.node.hot .box { stroke: var(--busy); stroke-width: 2; }
.node.stuck .box { stroke: var(--blocked); stroke-width: 2; }
.node.troubled .box { stroke: var(--bad); stroke-width: 2; }
.node text { fill: var(--text); font-size: 13px; }
.node text.name { font-weight: 600; }
.node text.soft { fill: var(--soft); font-size: 12px; }
.node text.warn { fill: var(--blocked); }
.node.troubled text.warn { fill: var(--bad); }
.edge { fill: none; stroke: var(--soft); stroke-width: 1.5; }
.edge.chained { stroke-dasharray: 3 3; stroke: var(--line); stroke-width: 2; }
.tip { fill: var(--soft); }
rect.busy { fill: var(--busy); } rect.blocked { fill: var(--blocked); } rect.idle { fill: var(--idle); }
.panels { columns: 2; column-gap: 12px; }
.panels.single { columns: 1; }
.panels .panel { break-inside: avoid; margin-bottom: 12px; }
.wide { margin-bottom: 12px; overflow-x: auto; }
summary { cursor: pointer; color: var(--soft); }
summary h3 { display: inline; margin: 0; }
details[open] > summary { margin-bottom: 8px; }
table { width: 100%; border-collapse: collapse; font-size: 14px; }
th { font-weight: 500; color: var(--soft); font-size: 12px; }
th, td { padding: 5px 8px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
td:first-child { white-space: normal; overflow-wrap: anywhere; min-width: 110px; }
td:last-child, th:last-child { padding-right: 0; }
tr:last-child td { border-bottom: 0; }
td.warn { color: var(--blocked); font-weight: 600; }
dl.facts { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: 4px 14px; }
dl.facts dt { color: var(--soft); }
dl.facts dd { overflow-wrap: anywhere; }
.note {
  margin-top: 8px; padding: 6px 10px; border-radius: 6px; background: var(--warn-ground); overflow-wrap: anywhere;
}
.samples { list-style: none; display: grid; gap: 8px; font-size: 13px; }
:is(dl, .samples) + .samples:not(:empty) { margin-top: 8px; }
.samples li { overflow-wrap: anywhere; }
.samples code {
  display: block; margin-top: 2px; padding: 3px 7px; border-radius: 5px; background: var(--ground); color: var(--soft);
  font-size: 12px; white-space: pre-wrap;
}
.bars { display: block; width: 100%; height: 96px; }
.bars rect { fill: var(--busy); }
.splits { list-style: none; display: grid; gap: 5px; margin-top: 8px; font-size: 14px; }
.splits li { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 4fr) minmax(56px, auto); gap: 10px;
             align-items: center; }
.splits span { overflow-wrap: anywhere; }
.splits span:last-child { text-align: right; }
.meter { display: block; width: 100%; height: 8px; border-radius: 2px; background: var(--ground); }
.meter rect { fill: var(--busy); }
.axis { display: flex; justify-content: space-between; font-size: 12px; color: var(--soft); }
.series + .series { margin-top: 14px; }
.series p { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 12px; margin-bottom: 4px; }
@media (max-width: 720px) {
  main { padding: 10px 10px 32px; }
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 8px; }
  .panels { columns: 1; }
  .splits li { grid-template-columns: minmax(0, 2fr) minmax(0, 3fr) minmax(56px, auto); }
  .graph, .wide, .tiles, .panels .panel { margin-bottom: 8px; }
  .panel { padding: 10px 12px; }
  .tile strong { font-size: 19px; }
  /* Each row of the table becomes a small list of its own. */
  thead { display: none; }
  tr { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)) minmax(64px, auto); gap: 2px 6px; padding: 8px 0;
       border-bottom: 1px solid var(--line); }
  tr:last-child { border-bottom: 0; padding-bottom: 0; }
  td, td:first-child { display: block; padding: 0; border: 0; text-align: left; white-space: normal; }
  td:first-child { grid-column: 1 / -1; font-weight: 600; }
  td:empty::after { content: "–"; color: var(--soft); }
  td { font-size: 13px; }
  td:not(:first-child)::before { content: attr(data-name); display: block; font-size: 11px; font-weight: 400;
                                 color: var(--soft); }
}
)css";

const std::string_view page_script = R"js('use strict';
(() => {
  const PICTURES = 120;  // Kept for the small curves.
  const LAST = 60;       // Seconds that "the last minute" has.
  const SPLITS = 8;      // That are shown by themselves: those that are most behind.
  const ERRORS = 8;      // That are shown, newest first.
  const narrow = matchMedia('(max-width: 720px)');  // As in the style.

  // ---- Elements: text is only ever set as text.
  const SVG = 'http://www.w3.org/2000/svg';
  const fill = (e, attributes, children) => {
    for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
    e.append(...children);
    return e;
  };
  const html = (tag, cls, ...children) => fill(document.createElement(tag), cls ? { class: cls } : {}, children);
  const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
  const say = (e, text) => { if (e.textContent !== text) e.textContent = text; };
  const alike = (text) => text.replace(/\d+/g, '');  // The same for texts that differ in numbers alone.
  const mark = (e, cls, on) => e.classList.toggle(cls, on);

  // ---- Numbers as people read them.
  const three = (x) => x >= 99.5 ? x.toFixed(0) : x >= 9.95 ? x.toFixed(1) : x.toFixed(2);
  const scaled = (x, units, step) => {
    let i = 0;
    for (; Math.abs(x) >= step && i + 1 < units.length; ++i) x /= step;
    return [x, units[i]];
  };
  const amount = (n) => {
    if (n == null || !isFinite(n)) return '–';
    if (n < 1000) return Number.isInteger(n) ? String(n) : n < 10 ? n.toFixed(1) : n.toFixed(0);
    const [x, unit] = scaled(n, ['', ' k', ' M', ' G', ' T'], 1000);
    return three(x) + unit;
  };
  const bytes = (n) => {
    const [x, unit] = scaled(n, ['B', 'KB', 'MB', 'GB', 'TB'], 1024);
    return (unit === 'B' ? String(x) : three(x)) + ' ' + unit;
  };
  const span = (s) => {
    if (s == null || !isFinite(s)) return '–';
    if (s < 0) return '-' + span(-s);
    if (s === 0) return '0 s';
    if (s < 1e-3) return three(s * 1e6) + ' µs';
    if (s < 1) return three(s * 1e3) + ' ms';
    if (s < 60) return (Number.isInteger(s) ? s : three(s)) + ' s';
    const parts = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
    const from = parts.findIndex(([unit]) => s >= unit);
    const [unit, name] = parts[from];
    const [below, belowName] = parts[from + 1];
    const rest = Math.floor((s % unit) / below);
    return Math.floor(s / unit) + ' ' + name + (rest ? ' ' + rest + ' ' + belowName : '');
  };
  const percent = (x) => (x * 100).toFixed(x > 0 && x < 0.1 ? 1 : 0) + ' %';
  const moment = (s) => {
    const d = new Date(s * 1000);
    return isNaN(d) ? s + ' s' : d.toISOString().replace('T', ' ').replace(/\.\d+Z$/, 'Z');
  };
  // Without the date if that is today's.
  const brief = (s, today) => {
    const [day, time] = moment(s).split(' ');
    return time && day === moment(today).split(' ')[0] ? time : moment(s);
  };

  // ---- Two pictures of a job give its rates.
  const isSource = (o) => o.inputs.length === 0;
  const isSink = (o) => o.kind === 'sink';
  const goes = (job) => job.state === 'running' || job.state === 'restarting';
  const rates = (now, before) => {
    const dt = before ? now.at - before.at : 0;
    const same = before && before.operators.length === now.operators.length;
    return now.operators.map((o, i) => {
      const b = same ? before.operators[i] : null;
      // Counters begin anew when a job goes on after a failure.
      const per = (name) => {
        if (o[name] == null || !b) return null;
        const more = o[name] - (b[name] ?? 0);
        return dt <= 0 ? 0 : more >= 0 ? more / dt : null;
      };
      const times = ['busy', 'blocked', 'idle'].map((n) => Math.max(0, o[n] - (b ? b[n] : 0)));
      const all = times[0] + times[1] + times[2];
      const shares = all > 0 ? times.map((t) => t / all) : [0, 0, 1];
      return { in: per('records_in'), out: per('records_out'), bytes: per('bytes'), busy: shares[0],
               blocked: shares[1], idle: shares[2] };
    });
  };
  const sourceRate = (job, r) => job.operators.reduce((sum, o, i) => isSource(o) ? sum + (r[i].out ?? 0) : sum, 0);
  // The operator whose event time is lowest, the first of those: what it waits for holds all others back. It may not
  // have had any yet.
  const slowest = (job) => {
    let found = null;
    for (const o of job.operators) {
      if (o.is_ended || (o.watermark == null && !o.held_by)) continue;
      if (!found || (found.watermark != null && (o.watermark ?? -Infinity) < found.watermark)) found = o;
    }
    return found;
  };
  const difference = (now, before) => {
    if (!before || before.count > now.count) return now;
    const buckets = now.buckets.map((b, i) => {
      const old = before.buckets[i];
      return { up_to: b.up_to, count: b.count - (old ? old.count : 0) };
    });
    return { count: now.count - before.count, sum: now.sum - before.sum, buckets };
  };
  const quantile = (h, q) => {
    let seen = 0;
    for (const b of h.buckets) {
      seen += b.count;
      if (seen > 0 && seen >= q * h.count) return b.up_to ?? Infinity;
    }
    return null;
  };

  // ---- Small curves.
  const spark = (name) => {
    const under = svg('path', { class: 'under' });
    const line = svg('path', {});
    const root = svg('svg', { class: 'spark', viewBox: '0 0 29 30', preserveAspectRatio: 'none', role: 'img',
                              'aria-label': name }, under, line);
    const show = (values) => {
      const known = values.filter((v) => v != null && isFinite(v));
      root.toggleAttribute('hidden', known.length === 0);
      const top = Math.max(...known, 0) || 1;
      const room = Math.max(30, values.length) - 1;
      root.setAttribute('viewBox', `0 0 ${room} 30`);
      const from = room + 1 - values.length;
      const drawn = values.map((v, i) => [from + i, 28.5 - 27 * Math.max(0, v) / top])
        .filter((p, i) => values[i] != null && isFinite(values[i]));
      const path = drawn.map((p, i) => (i ? 'L' : 'M') + p[0] + ' ' + p[1].toFixed(2)).join('');
      line.setAttribute('d', path);
      under.setAttribute('d', drawn.length > 1 ? path + 'L' + drawn.at(-1)[0] + ' 30L' + drawn[0][0] + ' 30Z' : '');
    };
    return { root, show };
  };

  // ---- The graph.
  const W = 196, H = 84, GAP = 44;
  const place = (operators, width) => {
    const layer = operators.map(() => 0);
    operators.forEach((o, i) => { for (const from of o.inputs) layer[i] = Math.max(layer[i], layer[from] + 1); });
    const layers = [];
    layer.forEach((l, i) => (layers[l] ??= []).push(i));
    const middle = operators.map(() => 0);
    layers.forEach((ids) => {
      // Near to what feeds them.
      const wish = (i) => operators[i].inputs.reduce((s, f) => s + middle[f], 0) / (operators[i].inputs.length || 1);
      ids.sort((a, b) => wish(a) - wish(b) || a - b);
      ids.forEach((i, k) => { middle[i] = k - (ids.length - 1) / 2; });
    });
    const most = Math.max(...layers.map((ids) => ids.length));
    const across = layers.length * (W + GAP) - GAP;
    const flat = across <= width * 1.15;
    const down = !flat;
    const size = flat ? [across, most * (H + 20) - 20]
                      : [most * (W + 20) - 20, layers.length * (H + GAP - 14) - GAP + 14];
    const at = operators.map((o, i) => flat
      ? [layer[i] * (W + GAP), size[1] / 2 + middle[i] * (H + 20) - H / 2]
      : [size[0] / 2 + middle[i] * (W + 20) - W / 2, layer[i] * (H + GAP - 14)]);
    return { at, size, down };
  };
  const short = (text, most) => text.length <= most ? text : text.slice(0, most - 1) + '…';
  // As much of the text as there is room for.
  const fit = (e, text, room) => {
    if (e.dataset.text === text) return;
    e.dataset.text = text;
    let n = Math.min(text.length, 60);
    do { say(e, short(text, n--)); } while (n > 1 && e.getComputedTextLength() > room);
  };
  const graph = () => {
    const root = html('div', '');
    let key = '';
    let nodes = [];
    const draw = (job) => {
      const { at, size, down } = place(job.operators, root.clientWidth || 900);
      const edges = svg('g', {});
      const boxes = svg('g', {});
      nodes = job.operators.map((o, i) => {
        const [x, y] = at[i];
        for (const from of o.inputs) {
          const [fx, fy] = at[from];
          const [x0, y0, x1, y1] = down ? [fx + W / 2, fy + H, x + W / 2, y - 5]
                                        : [fx + W, fy + H / 2, x - 5, y + H / 2];
          const bend = down ? (y1 - y0) / 2 : (x1 - x0) / 2;
          const curve = down ? `C${x0} ${y0 + bend} ${x1} ${y1 - bend}` : `C${x0 + bend} ${y0} ${x1 - bend} ${y1}`;
          const head = down ? `M${x1 - 4} ${y1 - 2}h8l-4 7z` : `M${x1 - 2} ${y1 - 4}v8l7 -4z`;
          const cls = o.is_chained ? 'edge chained' : 'edge';
          edges.append(svg('path', { class: cls, d: `M${x0} ${y0}${curve} ${x1} ${y1}` }),
                       svg('path', { class: 'tip', d: head }));
        }
        const n = {};
        const text = (cls, tx, ty, anchor = 'start') =>
          svg('text', { class: cls, x: tx, y: ty, 'text-anchor': anchor });
        n.title = svg('title', {});
        n.name = text('name', 10, 20);
        n.count = text('soft', W - 10, 20, 'end');
        n.rate = text('', 10, 40);
        n.more = text('soft', 10, 74);
        n.right = text('soft', W - 10, 74, 'end');
        n.bars = ['busy', 'blocked', 'idle'].map((cls) => svg('rect', { class: cls, y: 50, height: 8 }));
        n.root = svg('g', { class: 'node', transform: `translate(${x} ${y})` }, n.title,
                     svg('rect', { class: 'box', width: W, height: H, rx: 8 }), n.name, n.count, n.rate, n.more,
                     n.right, ...n.bars);
        boxes.append(n.root);
        return n;
      });
      const [w, h] = size;
      root.replaceChildren(svg('svg', { viewBox: `-2 -2 ${w + 4} ${h + 4}`, width: w + 4, height: h + 4, role: 'img',
                                        'aria-label': 'The graph of operators' }, edges, boxes));
    };
    const show = (job, r) => {
      const now = root.clientWidth + JSON.stringify(job.operators.map((o) => [o.name, o.inputs, o.is_chained]));
      if (now !== key) {
        key = now;
        draw(job);
      }
      job.operators.forEach((o, i) => {
        const n = nodes[i], q = r[i];
        const copies = o.subtasks.length;
        say(n.title, `${o.name} (${o.kind}${o.detail ? ': ' + o.detail : ''})`);
        fit(n.name, o.name, W - (copies > 1 ? 50 : 20));
        say(n.count, copies > 1 ? '×' + copies : '');
        const way = isSource(o) ? 'out' : 'in';
        const both = !isSource(o) && !isSink(o) && q.out != null && Math.abs(q.out - q.in) > 0.02 * (q.in + 1);
        say(n.rate, amount(q[way]) + '/s ' + way + (both ? ', ' + amount(q.out) + '/s out' : '') +
                    (q.bytes != null ? ', ' + bytes(Math.round(q.bytes)) + '/s' : ''));
        const parts = [];
        if (o.trouble) parts.push('in trouble');
        if (o.late_dropped) parts.push(amount(o.late_dropped) + ' late');
        if (o.skipped) parts.push(amount(o.skipped) + ' bad');
        say(n.more, parts.join(', ') || (o.is_ended ? 'ended' : o.kind === o.name ? '' : short(o.kind, 16)));
        mark(n.more, 'warn', parts.length > 0);
        say(n.right, isSource(o) || o.is_chained ? '' : 'queue ' + percent(o.queue_fill));
        let x = 10;
        [q.busy, q.blocked, q.idle].forEach((share, k) => {
          const w = share * (W - 20);
          n.bars[k].setAttribute('x', x.toFixed(1));
          n.bars[k].setAttribute('width', w.toFixed(1));
          x += w;
        });
        mark(n.root, 'troubled', o.trouble !== '');
        mark(n.root, 'hot', q.busy > 0.8 && job.state === 'running');
        mark(n.root, 'stuck', q.blocked > 0.5 && job.state === 'running');
      });
    };
    return { root, show };
  };

  // ---- Panels.
  const panel = (title, cls = '') => {
    const body = html('div', '');
    return { root: html('section', 'panel ' + cls, html('h3', '', title), body), body };
  };
  // One that can be closed, and is where there is little room.
  const drawer = (title) => {
    const body = html('div', '');
    const root = html('details', 'panel wide', html('summary', '', html('h3', '', title)), body);
    const fold = () => { root.open = !narrow.matches; };
    fold();
    return { root, body, fold };
  };
  const facts = () => {
    const root = html('dl', 'facts');
    const known = new Map();
    const show = (pairs) => {
      const names = pairs.map(([name]) => name);
      if (names.join() !== [...known.keys()].join()) {
        known.clear();
        root.replaceChildren();
        for (const name of names) {
          const dd = html('dd', '');
          known.set(name, dd);
          root.append(html('dt', '', name), dd);
        }
      }
      for (const [name, text] of pairs) say(known.get(name), text);
    };
    return { root, show };
  };
  const table = (columns) => {
    const rows = [];
    const body = html('tbody', '');
    const head = html('tr', '', ...columns.map((c) => html('th', '', c)));
    const show = (lines) => {
      while (rows.length > lines.length) rows.pop().row.remove();
      while (rows.length < lines.length) {
        const cells = columns.map((c) => {
          const td = html('td', '');
          td.dataset.name = c;
          return td;
        });
        const row = html('tr', '', ...cells);
        rows.push({ row, cells });
        body.append(row);
      }
      lines.forEach((line, i) => line.forEach((cell, k) => {
        const warns = Array.isArray(cell);
        say(rows[i].cells[k], warns ? cell[0] : cell);
        mark(rows[i].cells[k], 'warn', warns);
      }));
    };
    return { root: html('table', '', html('thead', '', head), body), show };
  };
  const bars = () => {
    const root = svg('svg', { class: 'bars', viewBox: '0 0 260 96', preserveAspectRatio: 'none', role: 'img',
                              'aria-label': 'Histogram of latency' });
    const show = (buckets, from, to) => {
      const most = Math.max(...buckets.map((b) => b.count), 1);
      const n = to - from + 1;
      root.replaceChildren(...buckets.slice(from, to + 1).map((b, i) => {
        const h = b.count ? Math.max(1.5, 94 * b.count / most) : 0;
        const bar = svg('rect', { x: (i * 260 / n + 1).toFixed(1), y: (96 - h).toFixed(1),
                                  width: Math.max(1, 260 / n - 2).toFixed(1), height: h.toFixed(1) });
        bar.append(svg('title', {}, 'up to ' + span(b.up_to) + ': ' + b.count));
        return bar;
      }));
    };
    return { root, show };
  };
  // Built anew only when there is something new.
  const list = (make) => {
    const root = html('ul', 'samples');
    let key = '';
    const show = (items) => {
      const now = JSON.stringify(items);
      if (now === key) return;
      key = now;
      root.replaceChildren(...items.map(make));
    };
    return { root, show };
  };

  const meter = (share) => svg('svg', { class: 'meter', viewBox: '0 0 100 8', preserveAspectRatio: 'none' },
                               svg('rect', { width: (100 * share).toFixed(1), height: 8 }));

  const tile = (title) => {
    const value = html('strong', '', '–');
    const small = html('small', '', ' ');
    const curve = spark(title);
    return { root: html('div', 'panel tile', html('h3', '', title), value, small, curve.root), value, small, curve };
  };

  // ---- A job.
  let number = 0;
  const view = () => {
    const v = { pictures: [], history: { rate: [], lag: [], latency: [], took: [] },
                said: [], errors: [] };
    const name = html('h2', '');
    const state = html('span', 'state');
    const time = html('span', 'soft');
    const failure = html('p', 'failure');
    const trouble = list((text) => html('li', '', text));
    trouble.root.className = 'trouble';
    const tiles = ['Records per second', 'Event time behind', 'Latency, 99 %', 'Checkpoint'].map(tile);
    const picture = graph();
    const legend = html('div', 'legend', ...['busy', 'blocked', 'idle'].map((c) => html('span', '', html('i', c), c)),
                        html('span', '', 'dashed: in one subtask, without a queue'));
    const operators = table(['Operator', 'In/s', 'Out/s', 'Records', 'Late', 'Bad', 'Busy', 'Blocked', 'Queue', 'Keys',
                             'Watermark']);
    const time_facts = facts(), held = html('p', 'note');
    const checks = facts(), latencies = html('div', ''), series = new Map();
    const bad = list((b) => html('li', '', html('span', 'soft', b.where + ': '), b.why,
                                 b.times > 1 ? html('span', 'soft', ` (${b.times} times among the latest)`) : '',
                                 ...(b.raw ? [html('code', '', b.raw)] : [])));
    const late = list((l) => html('li', '', html('span', 'soft', l.where + ': '), l.why,
                                  ...(l.raw ? [html('code', '', l.raw)] : [])));
    const errors = list(([at, text]) => html('li', '', html('span', 'soft', at + ' '), text));
    const unread = new Map();
    const details = drawer('Operators'), not_read = panel('Not read yet', 'wide');
    // Each is there while it has something to say.
    const panels = {
      time: panel('Event time'), latency: panel('Latency from source to sink'), checkpoints: panel('Checkpoints'),
      bad: panel('Late and bad records'), errors: panel('Recent errors'),
    };
    const bad_facts = facts();
    details.body.append(operators.root);
    panels.time.body.append(time_facts.root, held);
    panels.latency.body.append(latencies);
    panels.checkpoints.body.append(checks.root);
    panels.bad.body.append(bad_facts.root, bad.root, late.root);
    panels.errors.body.append(errors.root);
    const others = html('div', 'panels', ...Object.values(panels).map((p) => p.root));
    v.root = html('section', 'job', html('header', '', name, state, time), failure, trouble.root,
                  html('div', 'tiles', ...tiles.map((t) => t.root)),
                  html('figure', 'panel graph', picture.root, legend), details.root, not_read.root, others);
    v.root.id = 'job-' + ++number;

    // The picture of a minute ago, or the oldest that this page has; none for a job that is new or over.
    const lately = (job) => {
      const old = goes(job) && job.running_for > LAST && v.pictures.find((p) => job.at - p.at <= LAST && p !== job);
      if (!old) return [null, 'since the start'];
      const past = Math.max(1, Math.round(job.at - old.at));
      return [old, 'in the last ' + (past > 0.9 * LAST ? 'minute' : span(past))];
    };

    v.fold = details.fold;
    v.resized = () => { if (v.pictures.length) picture.show(v.pictures.at(-1), v.rates); };
    v.show = (job) => {
      const before = v.pictures.at(-1);
      // One that has ended: its rates become 0, then nothing changes any more.
      if (v.pictures.length > 1 && before.at === job.at && v.pictures.at(-2).at === job.at) return;
      const r = v.rates = rates(job, before);
      v.pictures.push(job);
      if (v.pictures.length > PICTURES) v.pictures.shift();
      const keep = (list, value) => {
        list.push(value);
        if (list.length > PICTURES) list.shift();
      };

      say(name, job.name);
      say(state, job.state);
      state.className = 'state ' + job.state;
      say(time, (goes(job) ? 'for ' : 'after ') + span(Math.floor(job.running_for)));
      const said = { failed: 'Failed: ', restarting: 'Goes on soon after: ' }[job.state] ?? 'Has gone on after: ';
      say(failure, said + job.failure);
      failure.hidden = !job.failure;
      const troubles = job.operators.filter((o) => o.trouble && goes(job)).map((o) => `${o.name}: ${o.trouble}`);
      trouble.show(troubles);
      trouble.root.hidden = troubles.length === 0;

      const [rate, lag, latency, check] = tiles;
      const perSecond = before ? sourceRate(job, r) : null;
      keep(v.history.rate, perSecond);
      say(rate.value, amount(perSecond));
      say(rate.small, amount(job.operators.filter(isSource).reduce((s, o) => s + o.records_out, 0)) + ' in all');

      const timed = job.operators.some((o) => o.has_event_time);
      const low = slowest(job);
      const behind = low?.watermark != null ? job.at - low.watermark : null;
      keep(v.history.lag, behind);
      const ended = job.operators.every((o) => o.is_ended);
      const time_now = low?.watermark != null ? moment(low.watermark) : ended ? 'ended' : 'none yet';
      say(lag.value, ended && timed ? 'ended' : span(behind));
      say(lag.small, !timed ? 'no event time in this job' : behind != null ? 'at ' + time_now :
                     ended ? ' ' : 'no watermark yet');

      const sinks = job.operators.map((o, i) => [o, i]).filter(([o]) => o.latency);
      const [old, when] = lately(job);
      const latest = sinks.map(([o, i]) => difference(o.latency, old?.operators[i]?.latency));
      const worst = latest.filter((h) => h.count).map((h) => quantile(h, 0.99));
      const p99 = worst.length ? Math.max(...worst) : null;
      keep(v.history.latency, p99);
      say(latency.value, p99 == null ? '–' : p99 === Infinity ? '> 33 s' : '≤ ' + span(p99));
      say(latency.small, p99 == null ? 'no record ' + when : sinks.length > 1 ? 'of the slowest sink' : when);

      const c = job.checkpoints;
      keep(v.history.took, c.took);
      say(check.value, c.newest ? span(c.took) : 'none');
      say(check.small, c.newest ? '№ ' + c.newest + ', ' + bytes(c.bytes) : ' ');
      rate.curve.show(v.history.rate);
      lag.curve.show(v.history.lag);
      latency.curve.show(v.history.latency);
      check.curve.show(v.history.took);

      picture.show(job, r);
      operators.show(job.operators.map((o, i) => [
        o.name, isSource(o) ? '' : amount(r[i].in), isSink(o) ? '' : amount(r[i].out),
        amount(isSource(o) ? o.records_out : o.records_in),
        o.late_dropped ? [amount(o.late_dropped)] : '0', o.skipped ? [amount(o.skipped)] : '0',
        percent(r[i].busy), r[i].blocked > 0.5 ? [percent(r[i].blocked)] : percent(r[i].blocked),
        isSource(o) || o.is_chained ? '' : percent(o.queue_fill), o.keys == null ? '' : amount(o.keys),
        o.is_ended ? 'ended' : o.watermark != null ? brief(o.watermark, job.at) : o.has_event_time ? 'none yet' : '–',
      ]));

      const holder = !low?.held_by ? 'nothing' : isSource(low) ? `split ${low.held_by} of ${low.name}` : low.held_by;
      const waits = holder + (low?.held_for > 1 ? ', for ' + span(low.held_for) : '');
      time_facts.show([['Watermark', time_now], ...(low ? [
        ...(behind != null ? [['Behind the clock', span(behind)]] : []), ['Lowest at', low.name], ['Waits for', waits],
      ] : [])]);
      const stands = low && low.held_by && low.held_for > 5 && job.state === 'running';
      held.hidden = !stands;
      if (stands)
        say(held, `Event time stands still: ${holder} has not moved on for ${span(Math.floor(low.held_for))}.`);

      const behinds = job.operators.filter((o) => o.lag != null);
      for (const o of behinds) {
        if (!unread.has(o.name)) {
          const u = { figures: html('span', 'soft'), curve: spark('Records not read yet'), history: [],
                      splits: list(([split, n, share]) => html('li', '', html('span', '', split), meter(share),
                                                               html('span', 'soft', n))) };
          u.splits.root.className = 'splits';
          not_read.body.append(html('div', 'series', html('p', '', html('span', '', o.name), u.figures),
                                    u.curve.root, u.splits.root));
          unread.set(o.name, u);
        }
        const u = unread.get(o.name);
        keep(u.history, o.lag);
        u.curve.show(u.history);
        const growth = (o.lag - u.history[0]) / (job.at - v.pictures[0].at);
        say(u.figures, amount(o.lag) + ' records' + (Math.abs(growth) < 1 || !isFinite(growth) ? '' :
                       `, ${growth > 0 ? 'grows' : 'shrinks'} by ${amount(Math.abs(growth))}/s`));
        const all = Object.entries(o.lag_by_split).sort((a, b) => b[1] - a[1]);
        const most = Math.max(1, all[0]?.[1] ?? 0);
        const rest = all.slice(SPLITS);
        const lines = all.slice(0, SPLITS).map(([split, n]) => [split, amount(n), n / most]);
        if (rest.length) lines.push([`${rest.length} more`, amount(rest.reduce((sum, [, n]) => sum + n, 0)), 0]);
        u.splits.show(lines);
      }
      not_read.root.hidden = !behinds.some((o) => unread.get(o.name).history.some((n) => n > 0));

      sinks.forEach(([o], k) => {
        if (!series.has(o.name)) {
          const s = { title: html('span', ''), figures: html('span', 'soft'), chart: bars() };
          s.axis = html('div', 'axis');
          s.from = html('span', '');
          s.to = html('span', '');
          s.axis.append(s.from, s.to);
          latencies.append(html('div', 'series', html('p', '', s.title, s.figures), s.chart.root, s.axis));
          series.set(o.name, s);
        }
        const s = series.get(o.name);
        const h = latest[k];
        say(s.title, o.name + (h.count ? ', ' + when : ''));
        s.chart.root.toggleAttribute('hidden', !h.count);
        s.axis.hidden = !h.count;
        if (!h.count) { say(s.figures, 'no record ' + when); return; }
        const bound = (q) => { const x = quantile(h, q); return x === Infinity ? '> 33 s' : '≤ ' + span(x); };
        say(s.figures, 'half ' + bound(0.5) + ', 99 % ' + bound(0.99) + ', all ' + bound(1));
        const first = h.buckets.findIndex((b) => b.count);
        let last = h.buckets.length - 1;
        while (last > first && !h.buckets[last].count) --last;
        s.chart.show(h.buckets, first, last);
        say(s.from, first ? '> ' + span(h.buckets[first - 1].up_to) : '0');
        say(s.to, h.buckets[last].up_to == null ? 'above' : '≤ ' + span(h.buckets[last].up_to));
      });

      const some = (name, n) => n ? [[name, amount(n)]] : [];
      checks.show([
        ['Completed', amount(c.completed)], ...some('Failed', c.failed),
        ['Newest', c.newest ? '№ ' + c.newest + ', ' + span(Math.max(0, job.at - c.completed_at)) + ' ago' : 'none'],
        ['Took', span(c.took)], ['State', bytes(c.bytes)],
        ...job.operators.filter((o) => o.state_bytes).sort((a, b) => b.state_bytes - a.state_bytes).slice(0, 3)
          .map((o) => ['in ' + o.name, bytes(o.state_bytes)]),
        ...some('Restarts', c.restarts),
      ]);

      const dropped = job.operators.reduce((s, o) => s + o.late_dropped, 0);
      const skipped = job.operators.reduce((s, o) => s + o.skipped, 0);
      bad_facts.show([...some('Late, dropped', dropped), ...some('Bad, left out', skipped)]);
      // The same again and again is shown once, at the latest place of its kind: "topic/0:17" is one with "topic/1:4".
      const kinds = new Map();
      for (const b of [...job.bad_records].reverse()) {
        const key = JSON.stringify([alike(b.where), b.why, b.raw]);
        if (kinds.has(key)) ++kinds.get(key).times;
        else kinds.set(key, { ...b, times: 1 });
      }
      bad.show([...kinds.values()].slice(0, 5));
      late.show([...job.late_records].reverse().slice(0, 3));
      // With the time at which this page first saw them; what has passed stays a while. Some differ in numbers alone.
      const now = [job.failure, c.last_failure, ...troubles].filter((t) => t).map((t) => [t, alike(t)]);
      for (const [text, same] of now) if (!v.said.includes(same)) v.errors.unshift([brief(job.at, job.at), text]);
      v.said = now.map(([, same]) => same);
      v.errors.splice(ERRORS);
      errors.show(v.errors);

      const says = {
        time: timed && !ended, latency: sinks.some(([o]) => o.latency.count),
        checkpoints: c.completed || c.failed || c.restarts,
        bad: dropped || skipped || job.bad_records.length || job.late_records.length, errors: v.errors.length,
      };
      for (const [name, p] of Object.entries(panels)) p.root.hidden = !says[name];
      mark(others, 'single', Object.values(says).filter((s) => s).length === 1);
    };
    return v;
  };

  // ---- All jobs.
  const views = new Map();
  const main = document.getElementById('main');
  const nav = document.getElementById('jobs');
  const link = document.getElementById('link');
  const show = (jobs) => {
    const names = new Set(jobs.map((j) => j.name));
    let changed = false;
    for (const [name, v] of views)
      if (!names.has(name)) { v.root.remove(); views.delete(name); changed = true; }
    for (const job of jobs) {
      if (!views.has(job.name)) {
        const v = view();
        views.set(job.name, v);
        if (views.size === 1) main.replaceChildren();
        main.append(v.root);
        changed = true;
      }
      views.get(job.name).show(job);
    }
    if (!changed) return;
    nav.replaceChildren(...(views.size < 2 ? [] : [...views].map(([name, v]) => {
      const a = html('a', '', name);
      a.href = '#' + v.root.id;
      return a;
    })));
    document.title = [...names].join(', ') + ' · runnel';
  };
  const state = (cls, text) => {
    link.className = 'link ' + cls;
    say(link, text);
    mark(main, 'old', cls === 'lost');
  };
  const events = new EventSource('api/events' + location.search);
  events.onopen = () => state('live', 'live');
  events.onmessage = (e) => show(JSON.parse(e.data).jobs);
  events.onerror = () => state('lost', 'no connection');
  let pending = 0;
  narrow.addEventListener('change', () => { for (const v of views.values()) v.fold(); });
  addEventListener('resize', () => {
    clearTimeout(pending);
    pending = setTimeout(() => { for (const v of views.values()) v.resized(); }, 150);
  });
})();
)js";

}  // namespace runnel::observe::detail
