// The Functions of docs/functions, given what the service hands over: from real calls at the lab's agent.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { EDITIONS } from '../support/dialogflow.js';
import { runFunction } from '../support/functions.js';
import { Rust } from '../support/rust.js';
import { tree } from '../support/xml.js';

const TOKEN = 'the-token-of-the-functions';
const FROM = '+15550100';

/** How an agent ends a call, and what is behind it. */
const ENDS = {
  person: 'intent = "speak-to-an-agent"\nparameters = { bread = "rye <&>", loaves = 2 }\nhandoff = { department = "cakes" }',
  done: 'intent = "good-bye"\nend = true',
};

const rust = new Rust();
after(() => rust.stop());

/** What Twilio posts to END_OF_INTERACTION_URL after a call at an agent that ends it so; `undefined`: there is no agent. */
async function handedOver(end) {
  const script = `end_of_utterance_ms = 500\n[start]\nsay = "one moment"\ntone = { hz = 400, ms = 200 }\n${end}`;
  const agentPort = end ? (await rust.ask('agent', { script })).port : 9;
  const rest = await rust.ask('twilio', { token: TOKEN });
  const { port } = await rust.ask('service', {
    agentPort,
    agent: EDITIONS.cx.agent,
    token: TOKEN,
    accountSid: rest.accountSid,
    apiUrl: rest.restUrl,
    endUrl: `${rest.restUrl}/handoff`,
  });
  const voiceUrl = `http://127.0.0.1:${port}/twiml`;
  const call = await rust.ask('call', { voiceUrl, from: FROM, say: [], patienceMs: 20_000 });
  const [, url] = call.events.join('\n').match(/Redirected \{ url: "([^"]*)"/) ?? assert.fail(call.events.join('\n'));
  return { CallSid: call.callSid, From: FROM, ...Object.fromEntries(new URL(url).searchParams) };
}

describe('the Functions', () => {
  const events = {};
  before(async () => {
    events.person = await handedOver(ENDS.person);
    events.done = await handedOver(ENDS.done);
    events.failed = await handedOver(undefined);
  });

  const dial = (event, AGENT_NUMBER = '+15550123') => runFunction('dial', { AGENT_NUMBER }, event);
  const enqueue = (event) => runFunction('enqueue', { WORKFLOW_SID: 'WW1' }, event);
  const same = (text, expected) => assert.deepEqual(tree(text), tree(expected), text);

  it('get what the service says: a person, done, failed', () => {
    const statuses = ['person', 'done', 'failed'].map((name) => events[name].VirtualAgentStatus);
    assert.deepEqual(statuses, ['live-agent-handoff', 'completed', 'failed']);
  });

  const DIALLED = (to) =>
    `<Response><Dial action="https://handoff-1234.twil.io/dial" answerOnBridge="true" timeout="30">${to}</Dial></Response>`;

  it('dial a person who is asked for, by the intent alone too, and when the agent has failed', async () => {
    same(await dial(events.person), DIALLED('<Number>+15550123</Number>'));
    same(await dial({ ...events.person, VirtualAgentStatus: 'completed' }), DIALLED('<Number>+15550123</Number>'));
    same(await dial(events.failed), DIALLED('<Number>+15550123</Number>'));
    same(await dial(events.person, 'sip:desk@example.com'), DIALLED('<Sip>sip:desk@example.com</Sip>'));
  });

  it('hang up when the agent is done, and when people have talked; say so when nobody was there', async () => {
    const hungUp = '<Response><Hangup/></Response>';
    same(await dial(events.done), hungUp);
    same(await enqueue(events.done), hungUp);
    same(await dial({ DialCallStatus: 'completed' }), hungUp);
    const text = await dial({ DialCallStatus: 'no-answer' });
    assert.match(text, /<Say>All our colleagues are busy.*<Hangup\/>/);
  });

  it('queue a call with what the agent has understood', async () => {
    const text = await enqueue(events.person);
    assert.match(text, /<Enqueue workflowSid="WW1"><Task>/);
    const task = JSON.parse(tree(text).children[0].children[0].children[0]);
    const parameters = { bread: 'rye <&>', loaves: 2 };
    const handoff = { department: 'cakes' };
    const expected = { type: 'inbound', name: FROM, reason: 'live-agent-handoff', intent: 'speak-to-an-agent', parameters, handoff };
    assert.deepEqual(task, expected);
  });

  it('queue the call of an agent that has failed, whatever stands in the rest', async () => {
    for (const dialogflowJSON of [events.failed.dialogflowJSON, undefined, '', 'null', '{"truncated":true}', '{']) {
      assert.match(await enqueue({ ...events.failed, dialogflowJSON }), /<Task>.*&quot;reason&quot;:&quot;failed&quot;|"reason":"failed"/);
      assert.match(await dial({ ...events.failed, dialogflowJSON }), /<Dial /);
    }
  });
});
