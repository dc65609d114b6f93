// Two clients of the npm package "ws" without a subprotocol. Usage:
//
//	node raw.mjs URL
//
// What the one sends goes to the group that the address names, as it is; the other
// is in that group by its token. Prints "ok".
import WebSocket from "ws";
import assert from "node:assert/strict";

const [url] = process.argv.slice(2);
const open = (query) => new Promise((resolve, reject) => {
  const socket = new WebSocket(url + query);
  socket.on("open", () => resolve(socket));
  socket.on("error", reject);
});
const next = (socket) => new Promise((resolve) => socket.once("message", (data, isBinary) => resolve([data, isBinary])));

const reader = await open("");
const sender = await open("&mode=sendToGroup&group=g&noEcho=true");
for (const sent of ["héllo", "", '{"type":"joinGroup","group":"x"}', Buffer.from([0, 1, 254, 255])]) {
  const coming = next(reader);
  sender.send(sent);
  const [data, isBinary] = await coming;
  assert.equal(isBinary, typeof sent !== "string");
  assert.deepEqual(data, Buffer.from(sent));
}
for (const [query, status] of [["&mode=shout", 400], ["&mode=sendToGroup", 400]]) {
  await assert.rejects(open(query), new RegExp(`${status}`));
}
const stranger = await open("&mode=sendToGroup&group=elsewhere");
const closed = new Promise((resolve) => stranger.once("close", resolve));
stranger.send("no role for this");
assert.equal(await closed, 1008);
console.log("ok");
process.exit(0);
