// One call, opened: a live one as it goes on, a finished one with its lanes and what can be downloaded of it.

import { ask, el, urlOf } from './dom.js';
import { lanes } from './lanes.js';
import { Recording } from './recording.js';
import { timeline } from './timeline.js';

const GONE = 'This call is not kept any more, or another instance has it. Reload the page.';

/** Shows a finished call in `body`. */
export async function showCall(call, body) {
  body.replaceChildren(el('p', {}, 'One moment…'));
  try {
    const { lines } = await ask(`/calls/${call.id}.json`);
    const { recording, why } = await recordingOf(call);
    body.replaceChildren(
      ...about(call),
      exports(call) ?? '',
      lanes(lines, { tookMs: call.tookMs, recording, why }),
      timeline(lines),
    );
  } catch (error) {
    body.replaceChildren(el('p', { class: 'notice' }, error.message.startsWith('there is nothing') ? GONE : error.message));
  }
}

/** Shows a live call in `body` as it goes on. Returns what ends that. */
export function showLive(call, body) {
  const source = new EventSource(urlOf(`/softphone/events/${call.callSid}`));
  let lines = [];
  const show = () => body.replaceChildren(...about(call), timeline(lines));
  show();
  source.addEventListener('line', ({ data }) => {
    // What is passing is replaced by whatever follows.
    lines = [...lines.filter(({ what, isFinal }) => what !== 'transcript' || isFinal), JSON.parse(data)];
    show();
  });
  source.addEventListener('over', () => source.close());
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) body.append(el('p', { class: 'notice' }, GONE));
    // The browser connects again, and is told all lines anew.
    lines = [];
  };
  return () => source.close();
}

/** Which call this is, and whether its words are shown. */
function about({ callSid, language, words }) {
  const link = el('a', { href: `#call-${callSid}` }, 'Link to this call');
  const hidden = words ? '' : ' Its words are not shown (PAGE_TRANSCRIPTS).';
  return [el('p', { class: 'quiet' }, `${callSid}, ${language}.${hidden} `, link)];
}

/** The call's recording, or why there is none. */
async function recordingOf(call) {
  if (!call.tape) return { why: 'Nothing to play: the call was not recorded (RECORD_DIR).' };
  if (!call.words) return { why: 'Nothing to play: the page may not give what was said in phone calls (PAGE_TRANSCRIPTS).' };
  try {
    return { recording: await Recording.of(call.id) };
  } catch (error) {
    return { why: `Nothing to play. ${error.message}` };
  }
}

/** What can be downloaded. Undefined if the call was not recorded. */
function exports(call) {
  if (!call.tape) return undefined;
  const command = `dialbridge test new ${call.tape}`;
  if (!call.words) {
    return el('p', { class: 'exports quiet' }, 'Make this a test, where RECORD_DIR is: ', el('code', {}, command));
  }
  const link = (file, text, kind) => el('a', { class: `button small${kind}`, href: urlOf(`/calls/${call.id}/${file}`), download: true }, text);
  const name = call.callSid;
  return el(
    'div',
    { class: 'exports' },
    link('test.zip', 'Make this a test', ' primary'),
    link('tape.jsonl', 'Tape', ''),
    link('call.wav', 'WAV', ''),
    el(
      'details',
      { class: 'folded' },
      el('summary', {}, 'How to run it'),
      el('p', {}, 'The test is a conversation file with the caller’s recordings. Unpack it, put in what it asks for, and run it once against your agent; from then on it runs without:'),
      el('pre', {}, `unzip ${name}.zip\ndialbridge test --record ${name}\ndialbridge test ${name}`),
      el('p', {}, 'With the tape alone: ', el('code', {}, `dialbridge test new ${name}.jsonl`)),
    ),
  );
}
