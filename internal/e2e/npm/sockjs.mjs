// Two clients of the published sockjs-client talk through a group, over one of its
// transports: node sockjs.mjs ORIGIN TOKEN TRANSPORT. It prints ok, or what is wrong.
import SockJS from "sockjs-client";

const [origin, token, transport] = process.argv.slice(2);
const url = `${origin}/sockjs/hubs/chat?access_token=${token}&subprotocol=json.sluice.v1`;
const text = "ünï 100% \u2028 \u200d \"quoted\" \\ 😀 <&>";

setTimeout(() => { console.log("timeout"); process.exit(1); }, 20000).unref();

function connect(name) {
  return new Promise((resolve, reject) => {
    const socket = new SockJS(url, null, { transports: [transport], timeout: 10000 });
    const seen = [], waiting = [];
    socket.onmessage = (event) => {
      seen.push(JSON.parse(event.data));
      while (waiting.length > 0 && seen.length > 0) waiting.shift()(seen.shift());
    };
    const next = () => new Promise((r) => (seen.length > 0 ? r(seen.shift()) : waiting.push(r)));
    const say = (message) => socket.send(JSON.stringify(message));
    const closed = new Promise((r) => { socket.onclose = (event) => { r(event.code); reject(new Error(`${name}: closed ${event.code} ${event.reason}`)); }; });
    socket.onopen = async () => {
      const first = await next();
      if (first.event !== "connected") return reject(new Error(`${name}: ${JSON.stringify(first)}`));
      if (socket.transport !== transport) return reject(new Error(`${name}: over ${socket.transport}`));
      resolve({ socket, next, say, closed });
    };
  });
}

function expect(what, got, want) {
  if (JSON.stringify(got) !== JSON.stringify(want)) throw new Error(`${what}: ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
}

try {
  const [a, b] = await Promise.all([connect("a"), connect("b")]);
  for (const c of [a, b]) {
    c.say({ type: "joinGroup", group: "lounge", ackId: 1 });
    expect("join", (await c.next()).success, true);
  }
  const count = 60;
  for (let i = 0; i < count; i++) a.say({ type: "sendToGroup", group: "lounge", dataType: "text", data: `${i} ${text}`, noEcho: true });
  for (let i = 0; i < count; i++) expect("message", (await b.next()).data, `${i} ${text}`);
  b.say({ type: "sendToGroup", group: "lounge", dataType: "json", data: { back: true }, noEcho: true });
  expect("answer", (await a.next()).data, { back: true });
  a.say({ type: "nonsense" });
  while ((await Promise.race([a.next(), a.closed])) !== 1007);
  b.socket.close();
  console.log("ok");
  process.exit(0);
} catch (error) {
  console.log(error.message ?? error);
  process.exit(1);
}
