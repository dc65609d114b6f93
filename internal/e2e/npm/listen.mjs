// One client of the npm package "ws". Usage: node listen.mjs URL COUNT
//
// Prints "connected", then the data of COUNT group messages, one a line, then
// ends. Whatever a line on standard input holds is sent as it is.
import WebSocket from "ws";
import readline from "node:readline";

const [url, count] = process.argv.slice(2);
let left = Number(count);
const socket = new WebSocket(url, "json.sluice.v1");
socket.on("message", (data) => {
  const message = JSON.parse(data.toString());
  if (message.event === "connected") console.log("connected");
  if (message.type !== "message") return;
  console.log(message.data);
  if (--left === 0) socket.close(1000);
});
socket.on("close", () => process.exit(left === 0 ? 0 : 1));
socket.on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
readline.createInterface({ input: process.stdin }).on("line", (line) => socket.send(line));
