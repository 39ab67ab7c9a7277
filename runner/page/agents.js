// The agents: their settings, and whether they answer.

import { ask, by, clock, el, seconds } from './dom.js';
import { chip } from './timeline.js';

/** Shows the agents, and asks each once whether it answers. */
export function showAgents(agents) {
  by('agents-list').replaceChildren(...agents.map((agent) => card(agent, agents.length > 1)));
}

function card(agent, areSeveral) {
  const result = el('p', { class: 'check', role: 'status' });
  const button = el('button', { type: 'button', class: 'small' }, 'Check again');
  const check = () => void checkAgent(agent.name, result, button);
  button.addEventListener('click', check);
  check();
  return el(
    'article',
    { class: 'agent', 'aria-label': `Agent ${agent.name}` },
    el('h3', {}, agent.name, ' ', agent.isDefault && areSeveral ? chip('default') : '', chip(agent.edition.toUpperCase())),
    agent.isDown ? el('p', { class: 'notice' }, 'Fails for all calls: new calls get their fallback until it answers again.') : '',
    el('p', { class: 'row' }, result, button),
    el('dl', {}, ...facts(agent).flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)])),
    ...agent.notices.map((notice) => el('p', { class: 'notice' }, notice)),
  );
}

function facts(agent) {
  const begins = [agent.event && `the event ${agent.event}`, agent.text && `the text “${agent.text}”`].filter(Boolean);
  const facts = [
    ['Agent', agent.address],
    ['Language', agent.language],
    ['Begins with', begins.join(', else ') || 'listening'],
    ['Barge-in', agent.bargeIn],
    ['When it is done', agent.endsAt ? `the call goes on at ${agent.endsAt}` : 'the call is hung up'],
  ];
  if (agent.numbers > 0) facts.push(['Numbers', String(agent.numbers)]);
  if (agent.isLab) facts.push(['Served by', agent.script ?? 'this program itself; set DIALOGFLOW_AGENT to serve yours']);
  if (agent.writesTapes) facts.push(['Tapes', 'every call is recorded']);
  return facts;
}

async function checkAgent(name, result, button) {
  button.disabled = true;
  result.className = 'check';
  result.textContent = 'Asking it…';
  try {
    const { answers, by: how, tookMs, fault, atMs } = await ask(`/agents/${encodeURIComponent(name)}/check`, { method: 'POST' });
    const when = `Checked ${clock(atMs)}; a result holds for a minute.`;
    const listens = how === 'audio' ? 'Takes calls' : `Answers the starting ${how} within ${seconds(tookMs)}`;
    result.classList.add(answers ? 'good' : 'bad');
    result.textContent = answers ? `${listens}. ${when}` : `Does not answer: ${fault}. Look at its name, region and credentials. ${when}`;
  } catch (error) {
    result.classList.add('bad');
    result.textContent = error.message;
  }
  button.disabled = false;
}
