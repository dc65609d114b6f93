// Sends prices to everybody who watches, as fast as it can. The conflation key of a
// price is its share: for a slow reader only the newest of each is of use.
import { createHmac } from "node:crypto";

const { SLUICE_KEY: key, SLUICE_API: api = "http://127.0.0.1:8081", COUNT = "Infinity" } = process.env;
const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

// The token for calls about a hub says which address it is for: the path will do.
const says = { aud: "/api/hubs/market", exp: Math.floor(Date.now() / 1000) + 3600 };
const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(says)}`;
const token = `${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}`;

const prices = { ACME: 100, EMCA: 50, MACE: 10 };
for (let n = 1; n <= Number(COUNT); n++) {
  for (const share of Object.keys(prices)) {
    prices[share] = Math.max(1, prices[share] + Math.random() - 0.5);
    const url = `${api}/api/hubs/market/groups/prices/:send?conflationKey=${share}`;
    const response = await fetch(url, {
      method: "POST",
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
      body: JSON.stringify({ share, price: prices[share].toFixed(2), n, chart: "x".repeat(20_000) }),
    });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  }
}
console.log("published", COUNT, "prices of each share");
