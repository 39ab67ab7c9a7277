// The page: the configuration, the softphone and the calls.

import { showAgents } from './agents.js';
import { followCalls } from './calls.js';
import { followComparison } from './comparison.js';
import { ask, by, clock, el } from './dom.js';
import { showSoftphone } from './softphone.js';

function trouble(sentence) {
  by('trouble').textContent = sentence;
  by('trouble').hidden = !sentence;
}

function showService(status) {
  const facts = [
    `version ${status.version}`,
    status.platform,
    `since ${clock(status.startedMs)}`,
    status.publicUrl ? `Twilio sees ${status.publicUrl}` : '',
    `at most ${status.maxCalls} calls`,
  ];
  by('service').textContent = facts.filter(Boolean).join(' · ');
  showInstance(status.instance);
  by('logout').hidden = !status.hasLogin;
  by('notices').replaceChildren(...status.notices.map((notice) => el('li', {}, notice)));
  by('words').textContent = status.showsPhoneTranscripts
    ? 'What was said in phone calls is shown, for PAGE_TRANSCRIPTS is set.'
    : 'What was said in phone calls is not shown.';
}

function showInstance(name) {
  by('instance').textContent = `instance ${name}`;
}

try {
  const status = await ask('/status.json');
  showService(status);
  showSoftphone(status.agents);
  showAgents(status.agents);
  if (status.agents.length > 1) followComparison();
  followCalls({ onState: trouble, onInstance: showInstance });
} catch (error) {
  trouble(error.message);
}
