// Microphone and loudspeaker of this browser, used like a telephone's.

/** Why there is no audio, in a sentence that says what to do. `mayGoOn`: a call without a microphone would work. */
export class AudioFault extends Error {
  constructor(message, { mayGoOn = false } = {}) {
    super(message);
    this.mayGoOn = mayGoOn;
  }
}

/** Why this browser cannot make calls. Undefined if it can. */
export function unable() {
  if (!('WebSocket' in globalThis)) return 'This browser has no WebSocket. Use a current Chrome, Edge, Firefox or Safari.';
  if (!globalThis.isSecureContext) {
    return 'Browsers give the microphone to pages over https or from localhost only. Open this page so.';
  }
  if (!('AudioWorkletNode' in globalThis)) {
    return 'This browser has no AudioWorklet. Use a current Chrome, Edge, Firefox or Safari.';
  }
  return undefined;
}

/** Running audio. */
export class Audio {
  #context;
  #stream;
  #microphone;
  #loudspeaker;
  #timer;

  /**
   * Starts the audio. Call it from a click handler: browsers play nothing before a click.
   * `on` has `frame(bytes)`, `marks(names)`, `levels({ microphone, loudspeaker })`, and `lost()` for a microphone
   * that is gone.
   */
  static async begin(on, { withMicrophone = true } = {}) {
    const fault = unable();
    if (fault) throw new AudioFault(fault);
    const audio = new Audio();
    audio.#context = new AudioContext({ latencyHint: 'interactive' });
    try {
      const resumed = audio.#context.resume();
      if (withMicrophone) audio.#stream = await microphone();
      await audio.#context.audioWorklet.addModule(new URL('./worklet.js', import.meta.url)).catch(() => {
        throw new AudioFault('The audio code did not load. Look whether the service is still running, then reload the page.');
      });
      await resumed;
      audio.#connect(on);
      return audio;
    } catch (error) {
      audio.end();
      throw error;
    }
  }

  #connect(on) {
    const context = this.#context;
    const options = { numberOfInputs: 1, numberOfOutputs: 1, outputChannelCount: [1], channelCount: 1 };
    this.#microphone = new AudioWorkletNode(context, 'microphone', { ...options, channelCountMode: 'explicit' });
    this.#loudspeaker = new AudioWorkletNode(context, 'loudspeaker', { ...options, numberOfInputs: 0 });
    this.#microphone.port.onmessage = ({ data: { frame, level } }) => {
      on.frame(frame);
      on.levels({ microphone: level });
    };
    this.#loudspeaker.port.onmessage = ({ data: { marks, level, tooMuch } }) => {
      if (marks) on.marks(marks);
      if (level !== undefined) on.levels({ loudspeaker: level });
      if (tooMuch) console.warn('more than ten minutes of audio wait to be played: the rest is left out');
    };
    if (this.#stream) {
      context.createMediaStreamSource(this.#stream).connect(this.#microphone);
      for (const track of this.#stream.getAudioTracks()) track.onended = () => on.lost();
    }
    // A node runs only if it is connected to an output. This one outputs silence.
    this.#microphone.connect(context.destination);
    this.#loudspeaker.connect(context.destination);
    const tell = () => this.#loudspeaker.port.postMessage({ latency: context.outputLatency || context.baseLatency || 0 });
    tell();
    this.#timer = setInterval(tell, 1000);
  }

  /** Queues mu-law audio for playout. */
  play(audio) {
    this.#loudspeaker.port.postMessage({ audio }, [audio.buffer]);
  }

  /** Queues a mark. */
  mark(name) {
    this.#loudspeaker.port.postMessage({ mark: name });
  }

  /** Stops the playout and empties the queue. */
  clear() {
    this.#loudspeaker.port.postMessage({ clear: true });
  }

  /** Mutes or unmutes: a muted call sends silence. */
  mute(muted) {
    this.#microphone.port.postMessage({ muted });
  }

  /** Ends the audio and releases the microphone. */
  end() {
    clearInterval(this.#timer);
    for (const track of this.#stream?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
    for (const node of [this.#microphone, this.#loudspeaker]) {
      node?.port.postMessage({ end: true });
      node?.disconnect();
    }
    if (this.#context.state !== 'closed') this.#context.close();
  }
}

async function microphone() {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new AudioFault('This browser gives no microphone. Use a current Chrome, Edge, Firefox or Safari.', { mayGoOn: true });
  }
  const audio = { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    const other = `The microphone cannot be used (${error.name}). Choose another one in the browser's settings, and call again.`;
    throw new AudioFault(WITHOUT_MICROPHONE[error.name] ?? other, { mayGoOn: true });
  }
}

const WITHOUT_MICROPHONE = {
  NotAllowedError:
    'The browser was told not to give this page the microphone. Allow it beside the address, or in the settings of the system, and call again.',
  NotFoundError: 'There is no microphone. Connect one and call again.',
  NotReadableError: 'Another program has the microphone. Close it and call again.',
};
