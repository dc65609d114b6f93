// A network that can be cut: a way to a host that everything goes through.
import net from "node:net";

export async function cuttable(to) {
  const sockets = new Set();
  const [host, port] = to.split(":");
  const way = net.createServer((client) => {
    const server = net.connect(port, host);
    for (const s of [client, server]) {
      sockets.add(s);
      s.on("error", () => {});
      s.on("close", () => { client.destroy(); server.destroy(); sockets.delete(s); });
    }
    client.pipe(server).pipe(client);
  });
  await new Promise((resolve) => way.listen(0, "127.0.0.1", resolve));
  return { host: `127.0.0.1:${way.address().port}`, cut: () => sockets.forEach((s) => s.destroy()) };
}
