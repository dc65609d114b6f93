// Two clients of the npm package "ws" in one group. Usage:
//
//	node chat.mjs URL_OF_ALICE URL_OF_BOB GROUP
//
// Alice waits in the group; Bob joins, sends one message of each data type and
// must get the acknowledgements and, with noEcho, no copies. Prints "ok".
import WebSocket from "ws";
import assert from "node:assert/strict";

const [aliceURL, bobURL, group] = process.argv.slice(2);

class Client {
  constructor(url) {
    this.messages = [];
    this.waiting = [];
    this.socket = new WebSocket(url, "json.sluice.v1");
    this.socket.on("message", (data, isBinary) => {
      assert.equal(isBinary, false);
      const message = JSON.parse(data.toString());
      const waiter = this.waiting.shift();
      if (waiter) waiter(message);
      else this.messages.push(message);
    });
    this.socket.on("error", (error) => {
      console.error(error.message);
      process.exit(1);
    });
  }
  next() {
    if (this.messages.length > 0) return Promise.resolve(this.messages.shift());
    return new Promise((resolve) => this.waiting.push(resolve));
  }
  send(message) {
    this.socket.send(JSON.stringify(message));
  }
  close() {
    return new Promise((resolve) => {
      this.socket.on("close", resolve);
      this.socket.close(1000);
    });
  }
}

const alice = new Client(aliceURL);
const hello = await alice.next();
assert.equal(hello.type, "system");
assert.equal(hello.event, "connected");
assert.ok(hello.connectionId);
alice.send({ type: "joinGroup", group, ackId: 1 });
assert.deepEqual(await alice.next(), { type: "ack", ackId: 1, success: true });

const bob = new Client(bobURL);
const bobHello = await bob.next();
bob.send({ type: "joinGroup", group, ackId: 1 });
assert.deepEqual(await bob.next(), { type: "ack", ackId: 1, success: true });

const sent = [
  { dataType: "text", data: "hello \u{1F30A} \"quoted\"" },
  { dataType: "json", data: { price: 1.5, nested: [null, true] } },
  { dataType: "binary", data: Buffer.from([0, 1, 254, 255]).toString("base64") },
];
for (const [i, message] of sent.entries()) {
  bob.send({ type: "sendToGroup", group, noEcho: true, ackId: 10 + i, ...message });
  assert.deepEqual(await bob.next(), { type: "ack", ackId: 10 + i, success: true });
  const got = await alice.next();
  assert.equal(got.type, "message");
  assert.equal(got.from, "group");
  assert.equal(got.group, group);
  assert.equal(got.fromUserId, bobHello.userId);
  assert.deepEqual({ dataType: got.dataType, data: got.data }, message);
}

bob.send({ type: "ping" });
assert.deepEqual(await bob.next(), { type: "pong" });

assert.equal(await bob.close(), 1000);
assert.equal(await alice.close(), 1000);
console.log("ok");
