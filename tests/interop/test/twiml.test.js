// Every TwiML document that the service writes means what Twilio's own library would have written.

import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';

import twilio from 'twilio';

import { Random } from '../support/random.js';
import { Rust } from '../support/rust.js';
import { tree } from '../support/xml.js';

const { VoiceResponse } = twilio.twiml;

/** Twilio's bound for the `Twiml` of a REST update, in characters. */
const MOST_CHARACTERS = 4000;

const rust = new Rust();
after(() => rust.stop());

const documents = (list) => rust.ask('documents', { documents: list });

/** The same document by Twilio's library. */
function byTwilio(verbs) {
  const response = new VoiceResponse();
  for (const verb of verbs) {
    switch (verb.verb) {
      case 'connectStream': {
        const { url, statusCallback } = verb;
        const stream = response.connect({ action: verb.action, method: 'POST' }).stream({ url, statusCallback });
        for (const [name, value] of verb.parameters) stream.parameter({ name, value });
        break;
      }
      case 'redirect':
        response.redirect({ method: 'POST' }, verb.url);
        break;
      case 'dial': {
        const { action, callerId, timeoutS: timeout } = verb;
        const answerOnBridge = verb.answerOnBridge || undefined;
        const dial = response.dial({ action, method: 'POST', timeout, answerOnBridge, callerId: callerId ?? undefined });
        if (verb.to.startsWith('sip')) dial.sip(verb.to);
        else dial.number(verb.to);
        break;
      }
      case 'enqueue':
        if (verb.workflowSid === null) response.enqueue({}, verb.content);
        else response.enqueue({ workflowSid: verb.workflowSid }).task({}, verb.content);
        break;
      case 'say':
        response.say(Object.fromEntries(['voice', 'language'].flatMap((name) => (verb[name] ? [[name, verb[name]]] : []))), verb.text);
        break;
      case 'hangup':
        response.hangup();
        break;
      default:
        throw new Error(verb.verb);
    }
  }
  return response.toString();
}

/** What a transfer to that number or address is, where the settings say nothing. */
const dialled = (to) => ({
  verb: 'dial',
  to,
  callerId: null,
  timeoutS: 30,
  answerOnBridge: true,
  action: 'dialbridge:dial-ended',
});

const HOSTILE = [
  '',
  ' ',
  '  two  spaces  ',
  '</Say><Dial>+15550666</Dial><Say>',
  '"/><Redirect>https://evil.example/</Redirect><Parameter x="',
  "' onload='x",
  '<!-- --> <?xml version="1.0"?> <![CDATA[ ]]> ]]>',
  '&amp; &lt; &#10; &unknown; & &&',
  '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>&e;',
  'line\nbreak\r\nand\ttab\rreturn',
  '\n',
  '\r',
  '\t',
  'é ß ñ Ω ж שלום हिन्दी 中文 かな 한국어',
  '\u{1f600}\u{10ffff}\u{10000}',
  '\u0085\u2028\u2029\u00a0\u202e\ufeff\u200b',
  '\u007f\u009f',
  'https://example.com/?a=1&b=2&c=%26#d',
];

/** Characters that XML 1.0 cannot hold: Twilio's library refuses them in text. Ours leaves them out. */
const ILLEGAL = ['\u0000', 'a\u0001b', '\u0008\u000b\u000c\u000e\u001f', '\ufffe', '\uffff x', '\u001b[31m<b>&'];

const withoutIllegal = (text) => text.replace(/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, '');

function verbsWith(text, more = text) {
  return [
    {
      verb: 'connectStream',
      action: `https://example.com/${text}`,
      url: `wss://example.com/${more}`,
      statusCallback: more,
      parameters: [
        ['from', text],
        [more, 'x'],
        [text, more],
      ],
    },
    { verb: 'redirect', url: text },
    { verb: 'dial', to: more, callerId: text, timeoutS: 20, answerOnBridge: true, action: text },
    { verb: 'enqueue', workflowSid: text, content: more },
    { verb: 'enqueue', workflowSid: null, content: text },
    { verb: 'say', text },
    { verb: 'say', text, voice: 'Google.de-DE-Neural2-C', language: 'de-DE' },
    { verb: 'hangup' },
  ];
}

async function assertSame(lists) {
  const ours = await documents(lists);
  for (const [n, verbs] of lists.entries()) assert.deepEqual(tree(ours[n]), tree(byTwilio(verbs)), ours[n]);
}

describe('a TwiML document of ours', () => {
  it("is Twilio's own, for every verb", async () => {
    const ticket = 'eyJjIjoiQ0EifQ.c2ln';
    await assertSame([
      [],
      [{ verb: 'hangup' }],
      [
        {
          verb: 'connectStream',
          action: 'https://example.com/connect-ended?s=abc.def',
          url: `wss://example.com/media/${ticket}`,
          statusCallback: 'https://example.com/stream-status',
          parameters: [['from', '+15550100'], ['to', '+15550199'], ['param.shop', 'north']],
        },
        { verb: 'say', language: 'en-US', text: 'We are sorry, the connection was lost. Please call again.' },
        { verb: 'hangup' },
      ],
      [{ verb: 'connectStream', action: 'https://e.com/a', url: 'wss://e.com/m', parameters: [] }],
      [{ verb: 'redirect', url: 'https://example.com/next?a=1&b=2' }],
      [dialled('+15550123')],
      [{ ...dialled('sip:desk@example.com;transport=tls'), callerId: '+15550199', answerOnBridge: false }],
      [{ verb: 'enqueue', workflowSid: 'WW0', content: '{"skill":"cakes & bread"}' }],
      [{ verb: 'enqueue', workflowSid: null, content: 'support' }],
    ]);
  });

  it("is Twilio's own, whatever stands in it", async () => {
    await assertSame(HOSTILE.map((text) => verbsWith(text)));
    await assertSame(HOSTILE.flatMap((text) => HOSTILE.map((more) => verbsWith(text, more))));
    const random = new Random(9);
    await assertSame(Array.from({ length: 300 }, () => verbsWith(random.text(40), random.text(40))));
  });

  it('leaves out what XML cannot hold, and is XML then', async () => {
    for (const text of ILLEGAL) {
      assert.throws(() => byTwilio([{ verb: 'say', text }]), /Invalid character/, "Twilio's library refuses it");
      const [ours] = await documents([verbsWith(text)]);
      assert.deepEqual(tree(ours), tree(byTwilio(verbsWith(withoutIllegal(text)))));
    }
  });
});

describe("a hand-off's TwiML", () => {
  const URL_OF_NEXT = 'https://example.com/next?a=1&b=%20x#top';
  const config = { endOfInteractionUrl: URL_OF_NEXT };
  const outcome = {
    callSid: 'CA1',
    session: 'projects/p/sessions/CA1',
    intent: { name: 'intents/7', displayName: 'order & <pay> "now"' },
    parameters: { loaves: 2, note: "it's 100% rye & more", nested: { list: [1, null, 'é\u{1f600}'] } },
    queryText: 'two loaves + one = three? #yes',
    action: 'order.pay',
  };
  const metadata = { queue: 'cakes & bread', skills: ['de', 'en'] };
  const content = {
    intent: outcome.intent,
    parameters: outcome.parameters,
    queryText: outcome.queryText,
    action: outcome.action,
  };
  const provider = { ConversationId: 'CA1', EndUserId: 'CA1' };

  const ended = (end, more = {}) => rust.ask('ended', { config, end, outcome, ...more });
  const failed = (more = {}) => rust.ask('failed', { config, outcome, ...more });

  /** The one `<Redirect>`'s URL, once the document is the one that Twilio's library makes for it. */
  function redirected(xml) {
    const [redirect] = tree(xml).children;
    const [url] = redirect.children;
    assert.deepEqual(tree(xml), tree(byTwilio([{ verb: 'redirect', url }])));
    assert.ok([...xml].length < MOST_CHARACTERS);
    return url;
  }

  function assertRedirect(xml, status, dialogflow, data) {
    const url = redirected(xml);
    const { origin, pathname, searchParams, hash } = new URL(url);
    assert.equal(origin + pathname + hash, 'https://example.com/next#top');
    const pairs = [...searchParams];
    assert.deepEqual(
      pairs.map(([name]) => name),
      ['a', 'b', 'dialogflowJSON', 'VirtualAgentStatus', 'VirtualAgentProviderData'],
    );
    assert.deepEqual([searchParams.get('a'), searchParams.get('b')], ['1', ' x']);
    assert.deepEqual(JSON.parse(searchParams.get('dialogflowJSON')), dialogflow);
    assert.equal(searchParams.get('VirtualAgentStatus'), status);
    assert.deepEqual(JSON.parse(searchParams.get('VirtualAgentProviderData')), data);
    return url;
  }

  it('redirects with what the agent found', async () => {
    assertRedirect(await ended({ kind: 'endInteraction' }), 'completed', content, provider);
    assertRedirect(
      await ended({ kind: 'liveAgentHandoff', metadata }),
      'live-agent-handoff',
      { ...content, liveAgentHandoff: metadata },
      { ...provider, AgentHandoffParameters: metadata },
    );
    assertRedirect(await failed(), 'failed', { ...content, intent: { name: '', displayName: '' }, reason: 'agent-failed' }, provider);
  });

  it('redirects with hostile text in every value', async () => {
    for (const text of [...HOSTILE, ...ILLEGAL]) {
      const intent = { name: text, displayName: text };
      const pair = { [text]: text };
      const hostile = { intent, parameters: pair, queryText: text, action: `${text}.` };
      assertRedirect(
        await ended({ kind: 'liveAgentHandoff', metadata: pair }, { outcome: { ...outcome, ...hostile } }),
        'live-agent-handoff',
        { ...hostile, liveAgentHandoff: pair },
        { ...provider, AgentHandoffParameters: pair },
      );
    }
  });

  it('stays under the bound whatever the agent found', async () => {
    const random = new Random(10);
    for (let n = 0; n < 40; n += 1) {
      const parameters = Object.fromEntries(Array.from({ length: 5 }, (_, n) => [`p${n}`, random.text(600)]));
      const large = { ...outcome, parameters, queryText: random.text(1500) };
      const xml = await ended({ kind: 'liveAgentHandoff', metadata: { note: random.text(800) } }, { outcome: large });
      const found = JSON.parse(new URL(redirected(xml)).searchParams.get('dialogflowJSON'));
      for (const [name, value] of Object.entries(found.parameters ?? {})) assert.equal(value, parameters[name]);
    }
  });

  it('dials, hangs up and apologises as Twilio writes it', async () => {
    const same = (xml, verbs) => assert.deepEqual(tree(xml), tree(byTwilio(verbs)));
    for (const number of ['+15550123', ...HOSTILE]) {
      same(await ended({ kind: 'transfer', to: number }), [dialled(number)]);
    }
    const attributes = { skill: 'cakes & <bread>' };
    const task = { verb: 'enqueue', workflowSid: 'WW0', content: JSON.stringify(attributes) };
    same(await ended({ kind: 'enqueue', workflowSid: 'WW0', attributes }), [task]);
    same(await ended({ kind: 'enqueue', queue: 'support' }), [{ verb: 'enqueue', workflowSid: null, content: 'support' }]);
    same(await ended({ kind: 'endInteraction' }, { config: {} }), [{ verb: 'hangup' }]);
    const text = 'We are sorry, there is a technical problem. Please call again later.';
    same(await failed({ config: {} }), [{ verb: 'say', language: 'en-US', text }, { verb: 'hangup' }]);
    const words = { language: 'ar-EG', failed: 'مع السلامة' };
    same(await failed({ config: {}, words }), [{ verb: 'say', language: 'arb', text: words.failed }, { verb: 'hangup' }]);
    const fallbackTwiml = byTwilio([{ verb: 'say', text: 'Bye.' }, { verb: 'hangup' }]);
    assert.equal(await failed({ config: { fallbackTwiml } }), fallbackTwiml);
  });
});
