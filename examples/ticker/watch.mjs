// Watches the prices, and now and then does something else for SLOW milliseconds.
// What it gets afterwards is new: the old prices have given way.
import { createHmac } from "node:crypto";
import WebSocket from "ws";

const { SLUICE_KEY: key, SLUICE_CLIENTS: clients = "ws://127.0.0.1:8080", SLOW = "3000" } = process.env;
const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const says = { aud: "/client/hubs/market", exp: Math.floor(Date.now() / 1000) + 3600, "sluice.group": ["prices"] };
const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(says)}`;
const token = `${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}`;

const socket = new WebSocket(`${clients}/client/hubs/market?access_token=${token}`, "json.sluice.v1");
let last = 0, missed = 0, got = 0;
socket.on("message", (data) => {
  const message = JSON.parse(data);
  if (message.event === "connected") console.log("watching");
  if (message.type !== "message") return;
  const { share, price, n } = message.data;
  got++;
  if (share === "ACME") {
    missed += n - last - 1;
    last = n;
  }
  console.log(`${share} ${price} (number ${n}; ${missed} older ones of ACME were left out)`);
  if (got % 1000 === 1) {
    socket._socket.pause(); // not reading at all: the node has to decide what to do
    setTimeout(() => socket._socket.resume(), Number(SLOW));
  }
});
socket.on("close", (code, reason) => console.log("closed", code, reason.toString()));
