// The back end of a chat: it serves the page, and gives whoever asks a token. A real
// one would ask who they are first.
import { createHmac } from "node:crypto";
import { createServer } from "node:http";
import { readFileSync } from "node:fs";

const { SLUICE_KEY: key, SLUICE_CLIENTS: clients = "ws://127.0.0.1:8080", PORT = "8090" } = process.env;
const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

// A token is three pieces: how it is signed, what it says, and the signature.
function token(user) {
  const says = { sub: user, aud: "/client/hubs/chat", exp: Math.floor(Date.now() / 1000) + 3600,
    role: ["sluice.sendToGroup.lobby"], "sluice.group": ["lobby"] };
  const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(says)}`;
  return `${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}`;
}

const server = createServer((request, response) => {
  const url = new URL(request.url, "http://localhost");
  if (url.pathname === "/connect") {
    const address = `${clients}/client/hubs/chat?access_token=${token(url.searchParams.get("user") || "somebody")}`;
    return response.end(address);
  }
  response.setHeader("Content-Type", "text/html; charset=utf-8");
  response.end(readFileSync(new URL("index.html", import.meta.url)));
});
server.listen(PORT, "127.0.0.1", () => console.log(`open http://127.0.0.1:${server.address().port}`));
