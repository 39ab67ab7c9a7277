// A stand-in for Twilio's runtime of Functions: the global `Twilio`, a context, an event, a callback.
// https://www.twilio.com/docs/serverless/functions-assets/handler

import { createRequire } from 'node:module';

import twilio from 'twilio';

const require = createRequire(import.meta.url);

/** How long a Function may take, in milliseconds: Twilio's own bound. */
const WITHIN_MS = 10_000;

globalThis.Twilio = twilio;

/** Runs a Function of `docs/functions/` as Twilio does; gives its answer's text. `variables` are its environment's. */
export function runFunction(name, variables, event) {
  const { handler } = require(`../../../docs/functions/${name}.protected.js`);
  const context = { DOMAIN_NAME: 'handoff-1234.twil.io', PATH: `/${name}`, ...variables };
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${name} has not called back`)), WITHIN_MS);
    handler(context, event, (error, answer) => {
      clearTimeout(timer);
      if (error) reject(error);
      else resolve(answer.toString());
    });
  });
}
