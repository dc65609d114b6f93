// Streams to a group with the published client for Azure Web PubSub, on a network
// that fails. Usage:
//
//	node streams.mjs HOST_OF_CLIENTS HOST_OF_API KEY
//
// Prints "ok".
import { WebPubSubServiceClient } from "@azure/web-pubsub";
import { WebPubSubClient } from "web-pubsub-client-1.1";
import assert from "node:assert/strict";
import { cuttable } from "./network.mjs";

const [clientHost, apiHost, key] = process.argv.slice(2);
const service = new WebPubSubServiceClient(`Endpoint=http://${apiHost};AccessKey=${key};Version=1.0;`, "streams", { allowInsecureConnection: true });

async function connect() {
  const network = await cuttable(clientHost);
  const client = new WebPubSubClient({
    getClientAccessUrl: async () => {
      const { url } = await service.getClientAccessToken({ roles: ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"] });
      return url.replace(apiHost, network.host);
    },
  });
  await client.start();
  return { client, cut: network.cut };
}

const [publisher, subscriber] = [await connect(), await connect()];
await subscriber.client.joinGroup("room");

// streams is what comes, a list of parts for each; a reader waits for it.
const streams = [];
let more = () => {};
const until = (holds) => new Promise((resolve) => { more = () => holds() && resolve(); more(); });
subscriber.client.onGroupStream(async (stream) => {
  const seen = { parts: [], ended: false };
  streams.push(seen);
  try {
    for await (const part of stream) { seen.parts.push(part.data); more(); }
  } catch (error) { seen.error = error; }
  seen.ended = true;
  more();
});

// Parts of a stream arrive once and in order, whoever loses the connection.
const out = await publisher.client.openGroupStream("room");
const want = [];
for (let i = 0; i < 4; i++) {
  for (const text of [`${i} a`, `${i} b`]) {
    want.push(text);
    await out.write(text, "text");
  }
  if (i % 2 === 0) subscriber.cut();
  else {
    publisher.cut();
    await until(() => streams.length === 1 && streams[0].parts.length >= want.length - 1);
  }
}
await out.end();
await until(() => streams[0].ended);
assert.deepEqual(streams[0].parts, want);
assert.equal(streams[0].error, undefined);

// A publisher that gives up says why.
const broken = await publisher.client.openGroupStream("room");
await broken.write({ n: 1 }, "json");
await broken.abort({ message: "changed my mind", userErrorCode: "E1" });
await until(() => streams.length === 2 && streams[1].ended);
assert.deepEqual(streams[1].parts, [{ n: 1 }]);
assert.equal(streams[1].error.name, "UserError");
assert.equal(streams[1].error.userErrorCode, "E1");

publisher.client.stop();
subscriber.client.stop();
console.log("ok");
process.exit(0);
