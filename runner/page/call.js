// A call over a media socket, in Twilio's protocol: the page plays Twilio's part.
// https://www.twilio.com/docs/voice/media-streams/websocket-messages

import { Audio } from './audio.js';
import { urlOf } from './dom.js';

/** When this many bytes wait, 20 s of audio, we take the network for stuck. */
const MOST_BUFFERED = 400_000;

/** How long the socket may take to open, in milliseconds. */
const OPENS_WITHIN = 10_000;

/** The keys of a telephone. */
export const KEYS = ['1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '0', '#'];

export class Call {
  #audio;
  #socket;
  #ids;
  #sequence = 0;
  #chunk = 0;
  #on;
  #state = 'opening';

  /**
   * Opens the audio. `on` has `started()` for the media stream, `levels(levels)`, and `over(how)`, which is called once. `how`
   * is `refused` (the socket did not open), `hung up`, `closed` (by the service), `stuck` (the network takes nothing) or
   * `lost` (no microphone).
   */
  static async begin(on, options) {
    const call = new Call();
    call.#on = on;
    call.#audio = await Audio.begin(
      {
        frame: (frame) => call.#onFrame(frame),
        marks: (names) => names.forEach((name) => call.#send('mark', { mark: { name } })),
        levels: (levels) => on.levels(levels),
        lost: () => call.end('lost'),
      },
      options,
    );
    return call;
  }

  /** Opens the media socket at `path`, as the call `callSid`, with the parameters that TwiML would name. */
  stream({ path, callSid, parameters }) {
    if (this.#state === 'over') return;
    this.#ids = { callSid, streamSid: `MZ${callSid.replace(/^browser-/, '')}` };
    const socket = new WebSocket(urlOf(path).replace(/^http/, 'ws'));
    this.#socket = socket;
    const overdue = setTimeout(() => this.end('refused'), OPENS_WITHIN);
    socket.onopen = () => {
      clearTimeout(overdue);
      if (this.#state === 'opening') this.#start(parameters);
    };
    socket.onmessage = ({ data }) => this.#onMessage(JSON.parse(data));
    socket.onclose = () => {
      clearTimeout(overdue);
      this.end(this.#state === 'opening' ? 'refused' : 'closed');
    };
  }

  #start(parameters) {
    this.#socket.send(JSON.stringify({ event: 'connected', protocol: 'Call', version: '1.0.0' }));
    this.#state = 'live';
    this.#on.started();
    const { callSid, streamSid } = this.#ids;
    const mediaFormat = { encoding: 'audio/x-mulaw', sampleRate: 8000, channels: 1 };
    const accountSid = 'browser';
    this.#send('start', {
      start: { accountSid, streamSid, callSid, tracks: ['inbound'], mediaFormat, customParameters: parameters },
    });
  }

  #onMessage({ event, media, mark }) {
    if (event === 'media') this.#audio.play(Uint8Array.from(atob(media.payload), (c) => c.charCodeAt(0)));
    else if (event === 'mark') this.#audio.mark(mark.name);
    else if (event === 'clear') this.#audio.clear();
  }

  #onFrame(frame) {
    if (this.#state !== 'live') return;
    if (this.#socket.bufferedAmount > MOST_BUFFERED) {
      this.end('stuck');
      return;
    }
    this.#chunk += 1;
    const [chunk, timestamp] = [String(this.#chunk), String((this.#chunk - 1) * 20)];
    this.#send('media', { media: { track: 'inbound', chunk, timestamp, payload: btoa(String.fromCharCode(...frame)) } });
  }

  #send(event, content) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#sequence += 1;
    const sequenceNumber = String(this.#sequence);
    this.#socket.send(JSON.stringify({ event, sequenceNumber, streamSid: this.#ids.streamSid, ...content }));
  }

  /** Sends a digit. */
  press(digit) {
    if (this.#state === 'live') this.#send('dtmf', { dtmf: { track: 'inbound_track', digit } });
  }

  /** Mutes or unmutes: a muted call sends silence. */
  mute(muted) {
    this.#audio.mute(muted);
  }

  /** Ends the call. A second time has no effect. */
  end(how = 'hung up') {
    if (this.#state === 'over') return;
    if (this.#state === 'live') {
      this.#send('stop', { stop: { accountSid: 'browser', callSid: this.#ids.callSid } });
    }
    this.#state = 'over';
    this.#socket?.close(1000);
    this.#audio.end();
    this.#on.over(how);
  }
}
