// The published packages for Azure Web PubSub, unchanged: a back end and two
// clients. Usage:
//
//	node sdk.mjs HOST_OF_CLIENTS HOST_OF_API KEY
//
// Prints "ok".
import { WebPubSubServiceClient } from "@azure/web-pubsub";
import { WebPubSubClient, WebPubSubJsonProtocol } from "@azure/web-pubsub-client";
import assert from "node:assert/strict";

const [clientHost, apiHost, key] = process.argv.slice(2);
const hub = "sdk";
const service = new WebPubSubServiceClient(`Endpoint=http://${apiHost};AccessKey=${key};Version=1.0;`, hub, { allowInsecureConnection: true });

class Client {
  constructor(userId, roles, groups) {
    this.messages = [];
    this.waiting = [];
    this.client = new WebPubSubClient({
      getClientAccessUrl: async () => {
        const { url } = await service.getClientAccessToken({ userId, roles, groups });
        return url.replace(apiHost, clientHost);
      },
    }, { protocol: WebPubSubJsonProtocol(), autoReconnect: false });
    this.client.on("connected", (e) => (this.id = e.connectionId));
    this.client.on("group-message", (e) => this.got("group", e.message));
    this.client.on("server-message", (e) => this.got("server", e.message));
    this.client.on("disconnected", (e) => (this.reason = e.message?.message));
    this.stopped = new Promise((resolve) => this.client.on("stopped", resolve));
  }
  got(from, m) {
    const message = { from, group: m.group, fromUserId: m.fromUserId, dataType: m.dataType, data: m.data };
    const waiter = this.waiting.shift();
    if (waiter) waiter(message);
    else this.messages.push(message);
  }
  next() {
    if (this.messages.length > 0) return Promise.resolve(this.messages.shift());
    return new Promise((resolve) => this.waiting.push(resolve));
  }
  async start() {
    await this.client.start();
    return this;
  }
}

const join = "webpubsub.joinLeaveGroup", send = "webpubsub.sendToGroup";
const alice = await new Client("alice", [join, send]).start();
const bob = await new Client("bob", [join + ".room"], ["hall"]).start();

// Clients among each other.
await alice.client.joinGroup("room");
await bob.client.joinGroup("room");
await assert.rejects(bob.client.joinGroup("cellar"), (e) => e.errorDetail?.name === "Forbidden");
await alice.client.sendToGroup("room", { n: 1.50 }, "json", { noEcho: true });
assert.deepEqual(await bob.next(), { from: "group", group: "room", fromUserId: "alice", dataType: "json", data: { n: 1.5 } });
await alice.client.sendToGroup("room", "text", "text", { noEcho: true });
assert.equal((await bob.next()).data, "text");
await alice.client.sendToGroup("room", new Uint8Array([1, 2]).buffer, "binary", { noEcho: true });
assert.deepEqual([...new Uint8Array((await bob.next()).data)], [1, 2]);

// The back end sends.
await service.sendToAll({ to: "all" });
assert.deepEqual((await alice.next()).data, { to: "all" });
assert.deepEqual(await bob.next(), { from: "server", group: undefined, fromUserId: undefined, dataType: "json", data: { to: "all" } });
await service.sendToAll("filtered", { contentType: "text/plain", filter: "userId eq 'bob'" });
assert.equal((await bob.next()).data, "filtered");
await service.sendToUser("alice", "to alice", { contentType: "text/plain" });
assert.equal((await alice.next()).data, "to alice");
await service.sendToConnection(bob.id, "to bob", { contentType: "text/plain" });
assert.equal((await bob.next()).data, "to bob");
const room = service.group("room");
await room.sendToAll("to the room", { contentType: "text/plain", excludedConnections: [bob.id] });
assert.deepEqual(await alice.next(), { from: "group", group: "room", fromUserId: undefined, dataType: "text", data: "to the room" });

// It asks and manages.
assert.equal(await service.connectionExists(alice.id), true);
assert.equal(await service.connectionExists("nobody"), false);
assert.equal(await service.userExists("alice"), true);
assert.equal(await service.userExists("carol"), false);
assert.equal(await service.groupExists("room"), true);
assert.equal(await service.groupExists("cellar"), false);
assert.equal(await service.hasPermission(bob.id, "sendToGroup", { targetName: "room" }), false);
await service.grantPermission(bob.id, "sendToGroup", { targetName: "room" });
assert.equal(await service.hasPermission(bob.id, "sendToGroup", { targetName: "room" }), true);
await bob.client.sendToGroup("room", "granted", "text", { noEcho: true });
assert.equal((await alice.next()).data, "granted");
await service.revokePermission(bob.id, "sendToGroup", { targetName: "room" });
await assert.rejects(bob.client.sendToGroup("room", "revoked", "text"), (e) => e.errorDetail?.name === "Forbidden");
const members = [];
for await (const m of await room.listConnections()) members.push(m.connectionId);
assert.deepEqual(members.sort(), [alice.id, bob.id].sort());
await room.removeConnection(bob.id);
await room.addUser("bob");
await room.removeUser("bob");
await service.group("cellar").addConnection(bob.id);
await service.group("cellar").sendToAll("cellar", { contentType: "text/plain" });
assert.equal((await bob.next()).group, "cellar");
await assert.rejects(room.addConnection("nobody"), (e) => e.statusCode === 404 || e.code === "Info.Connection.NotExisted");
await service.removeUserFromAllGroups("bob");
assert.equal(await service.groupExists("cellar"), false);
await service.addConnectionsToGroups(["attic"], "userId eq 'bob'");
assert.equal(await service.groupExists("attic"), true);
await service.removeConnectionsFromGroups(["attic"], "userId eq 'bob'");
assert.equal(await service.groupExists("attic"), false);
await service.removeConnectionFromAllGroups(alice.id);
assert.equal(await service.groupExists("room"), false);

// It ends connections.
await service.closeConnection(bob.id, { reason: "enough" });
await bob.stopped;
assert.equal(bob.reason, "enough");
await service.closeUserConnections("alice");
await alice.stopped;
console.log("ok");
process.exit(0);
