// The agents of this instance side by side: for one that gets a share of another one's callers.

import { ask, by, el } from './dom.js';

/** How often the figures are asked for while the page is seen, in milliseconds. */
const EVERY_MS = 10_000;

/** Shows the figures as long as the page is open, once two agents have had calls. */
export function followComparison() {
  const follow = async () => {
    // If the service cannot be reached, the list of calls says so.
    if (!document.hidden) await ask('/agents/compared.json').then(show, () => {});
    setTimeout(follow, EVERY_MS);
  };
  void follow();
}

function show(comparison) {
  const isSeen = comparison !== null && comparison.agents.length > 1;
  by('comparison').hidden = !isSeen;
  if (!isSeen) return;
  const { agents, rows } = comparison;
  const head = el('tr', {}, el('td', {}), ...agents.map((name) => el('th', { scope: 'col' }, name)), el('td', {}));
  by('comparison-table').replaceChildren(el('thead', {}, head), el('tbody', {}, ...rows.map(row)));
}

const row = ({ title, cells, verdict, says }) =>
  el(
    'tr',
    {},
    el('th', { scope: 'row' }, title),
    ...cells.map((cell) => el('td', {}, cell?.text ?? '–')),
    el('td', { class: verdict === 'differs' ? 'differs' : 'quiet' }, says),
  );
