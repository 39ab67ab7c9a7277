// Plain HTTP, and a WebSocket's handshake.

import { createHash } from 'node:crypto';
import { request } from 'node:http';

const ANSWER_MS = 10_000;
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

/** What answers a key (RFC 6455, section 4.2.2). */
const accepted = (key) => createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');

/** The answer to our own handshakes. */
export const ACCEPT = accepted(KEY);

/** A whole answer that accepts a handshake. */
export function accept(key) {
  const lines = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket'];
  return [...lines, `Sec-WebSocket-Accept: ${accepted(key)}`, '', ''].join('\r\n');
}

/** Sends a request to a port of the loopback address; gives status, headers and body. */
export function send(port, method, path, headers = {}, body = '') {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', method, path, headers, timeout: ANSWER_MS }, (response) => {
      const pieces = [];
      response.on('data', (piece) => pieces.push(piece));
      response.on('error', reject);
      response.on('end', () => {
        const { statusCode: status, headers } = response;
        resolve({ status, headers, body: Buffer.concat(pieces).toString() });
      });
    });
    sent.on('timeout', () => sent.destroy(new Error(`no answer to ${path}`)));
    // A handshake that is accepted is left at once: the caller has hung up.
    sent.on('upgrade', ({ statusCode: status, headers }, socket) => {
      socket.destroy();
      resolve({ status, headers, body: '' });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

/** Posts a form as Twilio does, with a signature or without. */
export function post(port, path, form, signature, headers = {}) {
  const signed = signature === undefined ? {} : { 'x-twilio-signature': signature };
  const body = new URLSearchParams(form).toString();
  const type = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' };
  return send(port, 'POST', path, { ...type, ...signed, ...headers }, body);
}

/** Asks for a WebSocket. */
export function handshake(port, path, signature, headers = {}) {
  const signed = signature === undefined ? {} : { 'x-twilio-signature': signature };
  const upgrade = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-key': KEY,
    'sec-websocket-version': '13',
  };
  return send(port, 'GET', path, { ...upgrade, ...signed, ...headers });
}
