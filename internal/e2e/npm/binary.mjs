// Clients of the binary subprotocols, made of the npm packages ws, protobufjs and
// @msgpack/msgpack. Usage:
//
//	node binary.mjs ADDRESS TOKEN SCHEMA
//
// One speaks Protobuf, one MessagePack in a reliable session, one JSON. Each sends
// each type of data to the group and all must get it, as their subprotocol says it.
// Then the reliable one loses its connection and comes back. Prints "ok".
import WebSocket from "ws";
import protobuf from "protobufjs";
import { encode, decode } from "@msgpack/msgpack";
import assert from "node:assert/strict";

const [address, token, schema] = process.argv.slice(2);
const root = await protobuf.load(schema);
const Upstream = root.lookupType("sluice.v1.UpstreamMessage");
const Downstream = root.lookupType("sluice.v1.DownstreamMessage");

const grammars = {
  "json.sluice.v1": { write: JSON.stringify, read: (d) => JSON.parse(d.toString()) },
  "msgpack.reliable.sluice.v1": { write: encode, read: decode },
  "protobuf.reliable.sluice.v1": {
    write: (m) => Upstream.encode(Upstream.fromObject(m)).finish(),
    read: (d) => Downstream.toObject(Downstream.decode(d), { longs: Number, bytes: Buffer }),
  },
};

class Client {
  constructor(subprotocol, query = `access_token=${token}`) {
    this.grammar = grammars[subprotocol];
    this.got = [];
    this.waiting = [];
    this.socket = new WebSocket(`${address}?${query}`, subprotocol);
    this.socket.on("message", (data, isBinary) => {
      assert.equal(isBinary, subprotocol !== "json.sluice.v1");
      const message = this.grammar.read(data);
      const waiter = this.waiting.shift();
      if (waiter) waiter(message);
      else this.got.push(message);
    });
    this.socket.on("error", (error) => {
      console.error(subprotocol, error.message);
      process.exit(1);
    });
  }
  next() {
    if (this.got.length > 0) return Promise.resolve(this.got.shift());
    return new Promise((resolve) => this.waiting.push(resolve));
  }
  send(message) {
    this.socket.send(this.grammar.write(message));
  }
}

const proto = new Client("protobuf.reliable.sluice.v1");
const pack = new Client("msgpack.reliable.sluice.v1");
const text = new Client("json.sluice.v1");
assert.ok((await proto.next()).system.connected.connectionId);
const connected = await pack.next();
assert.equal(connected.event, "connected");
await text.next();

proto.send({ joinGroup: { group: "g", ackId: 1 } });
assert.deepEqual(await proto.next(), { ack: { ackId: 1, success: true } });
pack.send({ type: "joinGroup", group: "g", ackId: 2 });
assert.deepEqual(await pack.next(), { type: "ack", ackId: 2, success: true });
text.send({ type: "joinGroup", group: "g", ackId: 3 });
await text.next();

// What is sent in one subprotocol arrives in each.
const bytes = Buffer.from([0, 1, 254, 255]);
let sequence = 0;
async function all(dataType, asProto, asPack, asText) {
  sequence++;
  const p = (await proto.next()).data;
  assert.equal(p.group, "g");
  assert.deepEqual({ ...p.data }, asProto);
  assert.equal(p.sequenceId, sequence);
  const m = await pack.next();
  assert.deepEqual([m.dataType, m.sequenceId], [dataType, sequence]);
  assert.deepEqual(dataType === "binary" ? Buffer.from(m.data) : m.data, asPack);
  const t = await text.next();
  assert.deepEqual([t.dataType, t.data], [dataType, asText]);
}
proto.send({ sendToGroup: { group: "g", data: { textData: "hé" } } });
await all("text", { textData: "hé" }, "hé", "hé");
pack.send({ type: "sendToGroup", group: "g", dataType: "json", data: '{"a": 1}' });
await all("json", { jsonData: '{"a": 1}' }, '{"a": 1}', { a: 1 });
text.send({ type: "sendToGroup", group: "g", dataType: "binary", data: bytes.toString("base64") });
await all("binary", { binaryData: bytes }, bytes, bytes.toString("base64"));
pack.send({ type: "sendToGroup", group: "g", dataType: "binary", data: bytes, metadata: { k: "v" } });
await all("binary", { binaryData: bytes }, bytes, bytes.toString("base64"));
proto.send({ sendToGroup: { group: "elsewhere", ackId: 9, data: { textData: "no" } } });
assert.equal((await proto.next()).ack.error.name, "Forbidden");

// The reliable session outlives its connection.
pack.send({ type: "sequenceAck", sequenceId: sequence });
await new Promise((resolve) => pack.socket.on("close", resolve).terminate());
text.send({ type: "sendToGroup", group: "g", dataType: "text", data: "while away" });
await text.next();
const back = new Client("msgpack.reliable.sluice.v1",
  `connection_id=${connected.connectionId}&reconnection_token=${encodeURIComponent(connected.reconnectionToken)}`);
assert.equal((await back.next()).connectionId, connected.connectionId);
const missed = await back.next();
assert.deepEqual([missed.data, missed.sequenceId], ["while away", sequence + 1]);

// What is not a message of the subprotocol closes with the code for that.
for (const [client, data, code] of [[back, Buffer.from([0xc1]), 1007], [proto, "text", 1003]]) {
  const closed = new Promise((resolve) => client.socket.on("close", resolve));
  client.socket.send(data);
  assert.equal(await closed, code);
}
console.log("ok");
process.exit(0);
