// The strip on top: the last hour at a glance.

import { by, el, seconds } from './dom.js';

const SVG = 'http://www.w3.org/2000/svg';

/** Shows the last hour of this instance. */
export function showStrip(liveCount, { calls, failed, medianMs, p95Ms, callsByMinute }) {
  const wait = (ms) => (ms === null ? '–' : seconds(ms));
  by('strip').replaceChildren(
    fact('live', String(liveCount)),
    fact('calls in the last hour', String(calls)),
    fact('median wait', wait(medianMs)),
    fact('95 % wait less than', wait(p95Ms)),
    fact('failed', String(failed), failed > 0 ? 'bad' : ''),
    el('div', { class: 'fact' }, el('dt', {}, 'each minute'), el('dd', {}, sparkline(callsByMinute))),
  );
}

const fact = (name, value, kind = '') => el('div', { class: 'fact' }, el('dt', {}, name), el('dd', { class: kind }, value));

/** A bar for each minute, the current one on the right. */
function sparkline(counts) {
  const svg = document.createElementNS(SVG, 'svg');
  const most = Math.max(1, ...counts);
  svg.setAttribute('viewBox', `0 0 ${counts.length} 10`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', `Calls of each minute of the last hour, ${Math.max(0, ...counts)} at most`);
  counts.forEach((count, n) => {
    const bar = document.createElementNS(SVG, 'rect');
    const height = count === 0 ? 0.4 : Math.max(1, (10 * count) / most);
    const place = { x: n + 0.1, y: 10 - height, width: 0.8, height };
    Object.entries(place).forEach(([key, value]) => bar.setAttribute(key, String(value)));
    svg.append(bar);
  });
  return svg;
}
