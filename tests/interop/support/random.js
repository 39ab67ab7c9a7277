// Random requests that are the same ones every time.

/** Numbers from 0 to below 1 (mulberry32). */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Characters of names and values. The private and special ones from U+E000 to U+FFFF are left out: JavaScript sorts
 * them after those beyond U+FFFF and a sort by bytes before, and Twilio does not say which of them it does.
 */
const CHARACTERS = [
  ...'abcXYZ019 +-_.~!*\'();:@&=$,/?#[]%"<>\\^`{|}\t\r\n',
  ...'éßñ\u0085\u00a0Ωжשلहि中かな한\u2028\u202e\u{1f600}\u{10ffff}',
];

const NAMES = ['CallSid', 'Caller', 'From', 'To', 'Digits', 'SpeechResult', 'ErrorCode', 'A', 'a', 'a.b', 'AA'];

const HOSTS = ['example.com', 'calls.example.co.uk', '[::1]', 'dialbridge-abc123-ew.a.run.app'];

export class Random {
  #next;

  constructor(seed) {
    this.#next = generator(seed);
  }

  below(bound) {
    return Math.floor(this.#next() * bound);
  }

  of(list) {
    return list[this.below(list.length)];
  }

  text(most) {
    return Array.from({ length: this.below(most + 1) }, () => this.of(CHARACTERS)).join('');
  }

  /** Names and values, some names repeated, some values repeated or empty. */
  form() {
    const pairs = [];
    for (let left = this.below(12); left > 0; left -= 1) {
      const name = this.below(4) > 0 ? this.of(NAMES) : this.text(6);
      const again = pairs.length > 0 && this.below(3) === 0 ? this.of(pairs) : undefined;
      pairs.push([again?.[0] ?? name, again && this.below(2) === 0 ? again[1] : this.text(10)]);
    }
    return pairs;
  }

  /** A URL with a scheme of these: with and without port, path, query, slash at its end. */
  url(schemes) {
    const host = this.of(HOSTS);
    const port = this.of(['', '', ':80', ':443', ':8080']);
    const path = this.of(['/', '/', '/twiml', '/twiml/', '/media/eyJh.b_c-d', '/a%20b/%C3%A9', "/o'brien", '/a;b=c,d']);
    const query = this.below(2) === 0 ? '' : `?${this.#query()}`;
    return `${this.of(schemes)}://${host}${port}${path}${query}`;
  }

  #query() {
    const encoded = () => encodeURIComponent(this.text(6));
    const part = () => (this.below(2) === 0 ? encoded() : this.of(['a', "o'b", 'a+b', '%27', '(x)', '']));
    const pair = () => (this.below(5) > 0 ? `${part()}=${part()}` : part());
    return Array.from({ length: this.below(4) }, pair).join('&');
  }
}

/** A form as Twilio's library takes it: a list of values where a name is repeated. */
export function asParameters(form) {
  const parameters = Object.create(null);
  for (const [name, value] of form) {
    if (name in parameters) parameters[name] = [parameters[name], value].flat();
    else parameters[name] = value;
  }
  return parameters;
}
