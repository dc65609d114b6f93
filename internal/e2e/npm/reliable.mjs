// The published client for Azure Web PubSub with its usual protocol, the reliable
// one, on a network that fails. Usage:
//
//	node reliable.mjs HOST_OF_CLIENTS HOST_OF_API KEY
//
// Prints "ok".
import { WebPubSubServiceClient } from "@azure/web-pubsub";
import { WebPubSubClient } from "@azure/web-pubsub-client";
import assert from "node:assert/strict";
import { cuttable } from "./network.mjs";

const [clientHost, apiHost, key] = process.argv.slice(2);
const hub = "sdk";
const service = new WebPubSubServiceClient(`Endpoint=http://${apiHost};AccessKey=${key};Version=1.0;`, hub, { allowInsecureConnection: true });

const network = await cuttable(clientHost);

const client = new WebPubSubClient({
  getClientAccessUrl: async () => {
    const { url } = await service.getClientAccessToken({ userId: "alice", roles: ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"] });
    return url.replace(apiHost, network.host);
  },
});
const connections = [];
const got = [];
let more = () => {};
client.on("connected", (e) => connections.push(e.connectionId));
client.on("group-message", (e) => { got.push(e.message.data); more(); });
const until = (n) => new Promise((resolve) => { more = () => got.length >= n && resolve(); more(); });

await client.start();
await client.joinGroup("room");
const room = service.group("room");
const send = (text) => room.sendToAll(text, { contentType: "text/plain" });
await send("before");
await until(1);
for (let i = 0; i < 3; i++) {
  network.cut();
  await send(`while away ${i}`);
  await until(2 + 2 * i);
  await send(`back ${i}`);
  await until(3 + 2 * i);
}
assert.deepEqual(got, ["before", "while away 0", "back 0", "while away 1", "back 1", "while away 2", "back 2"]);
assert.equal(connections.length, 1, "it never had to start afresh");

// What a back end has ended is over: the client starts afresh and joins again.
await service.closeConnection(connections[0], { reason: "enough" });
while (connections.length < 2) await new Promise((resolve) => setTimeout(resolve, 50));
await client.joinGroup("room");
await send("afresh");
await until(8);
assert.equal(got[7], "afresh");
client.stop();
console.log("ok");
process.exit(0);
