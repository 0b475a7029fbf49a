// What is recorded: addresses, ports, objects and amounts, shared by both ends and by the check of the result.
import { createRandom, html, json, log, noise } from './seeded.mjs';

export const SEED = 20;

/** Documentation addresses (RFC 5737) and locally administered MACs: nothing of the recording host is on the wire. */
export const CLIENT = { ip: '192.0.2.10', mac: '02:00:00:00:01:0a' };
export const SERVER = { ip: '198.51.100.20', mac: '02:00:00:00:02:14' };

export const PORTS = { http: 80, bulk: 9100, rpc: 9200, dns: 53 };

/** No run may take longer than this, whatever happens. */
export const LIMIT_MS = 60_000;

/** HTTP: pages fetched by `workers` clients at a time. Every third worker opens a connection for each request. */
export const HTTP = { workers: 6, requestsPerWorker: 50, uploads: 12 };

/** Bulk: one-way transfers in both directions, in paced chunks so that the other traffic comes between. */
export const BULK = { toClient: 2_300_000, toServer: 700_000, chunk: 24_000, pauseMs: 12 };

/** Request/response: TCP calls on a few connections, and DNS questions over UDP. */
export const RPC = { connections: 4, callsPerConnection: 400 };
export const DNS = { clients: 3, questionsPerClient: 330 };

/** The objects the HTTP server has: path → type and body. Sizes run from nothing to 60 KB, small ones more often. */
export function createObjects() {
  const random = createRandom(SEED);
  const objects = new Map();
  for (let i = 0; i < 90; i++) {
    const length = Math.floor(60 * 1000 ** random.next()) + i;
    const kind = random.next();
    const seed = SEED + i;
    if (kind < 0.55) objects.set(`/pages/${i}.html`, { type: 'text/html', body: html(seed, length) });
    else if (kind < 0.8) objects.set(`/api/${i}.json`, { type: 'application/json', body: json(seed, length) });
    else if (kind < 0.9) objects.set(`/logs/${i}.txt`, { type: 'text/plain', body: log(seed, length) });
    else objects.set(`/img/${i}.bin`, { type: 'application/octet-stream', body: noise(seed, length >> 1) });
  }
  objects.set('/empty.txt', { type: 'text/plain', body: Buffer.alloc(0) });
  return objects;
}
