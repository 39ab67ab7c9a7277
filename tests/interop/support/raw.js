// A turn in bytes, so that a field which a client would pass over in silence is seen.

import { grpc } from 'google-gax';

/** One turn; gives the responses as they came over the wire. */
export async function rawTurn(edition, port, messages) {
  const Request = edition.protos.StreamingDetectIntentRequest;
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  const bytes = (buffer) => buffer;
  const path = `/${edition.service}/StreamingDetectIntent`;
  const stream = client.makeBidiStreamRequest(path, bytes, bytes, { deadline: Date.now() + 15_000 });
  const responses = [];
  try {
    await new Promise((resolve, reject) => {
      stream.on('data', (response) => responses.push(response));
      stream.on('error', reject);
      stream.on('end', resolve);
      for (const message of messages) stream.write(Buffer.from(Request.encode(Request.fromObject(message)).finish()));
      stream.end();
    });
  } finally {
    client.close();
  }
  return responses;
}

/**
 * Reads a message and fails where it holds anything that its type does not know: what is read and written again must
 * have the same length. Enumerations must have a name.
 */
export function strictly(Type, bytes) {
  const message = Type.decode(bytes);
  const again = Type.encode(message).finish();
  if (again.length !== bytes.length) {
    const read = JSON.stringify(Type.toObject(message, { enums: String, bytes: String }));
    throw new Error(`of ${bytes.length} bytes ${Type.name} knows ${again.length}: ${read}`);
  }
  const fault = Type.verify(message);
  if (fault) throw new Error(`${Type.name}: ${fault}`);
  return Type.toObject(message, { enums: String, bytes: Buffer, longs: Number, oneofs: true });
}
