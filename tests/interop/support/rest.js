// Twilio's REST API as a proxy before the lab's, which keeps the requests; and Twilio's own client for it.

import { createServer, request } from 'node:http';

import twilio from 'twilio';
import RequestClient from 'twilio/lib/base/RequestClient.js';

/** Serves the API; what comes is kept in `requests` and handed on. */
export async function serveProxy(restUrl) {
  const requests = [];
  const server = createServer(async (incoming, outgoing) => {
    const pieces = [];
    for await (const piece of incoming) pieces.push(piece);
    const { method, url, headers } = incoming;
    requests.push({ method, url, headers, body: Buffer.concat(pieces).toString() });
    const onward = request(new URL(url, restUrl), { method, headers }, (response) => {
      outgoing.writeHead(response.statusCode, response.headers);
      response.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    onward.end(Buffer.concat(pieces));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${server.address().port}`, requests, stop: () => server.close() };
}

/** Twilio's client, whose requests go to that URL and not to api.twilio.com. */
export function restClient(accountSid, token, url) {
  class Redirected extends RequestClient {
    request(options) {
      return super.request({ ...options, uri: options.uri.replace('https://api.twilio.com', url) });
    }
  }
  return twilio(accountSid, token, { httpClient: new Redirected({ timeout: 10_000 }) });
}
