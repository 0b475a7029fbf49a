// The asking end: runs every kind of traffic at once, each a fixed number of times, and exits.
import dgram from 'node:dgram';
import http from 'node:http';
import net from 'node:net';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { TYPES, question } from './dns.mjs';
import { sendPaced } from './paced.mjs';
import { BULK, CLIENT, DNS, HTTP, LIMIT_MS, PORTS, RPC, SEED, SERVER, createObjects } from './plan.mjs';
import { createRandom, json, log } from './seeded.mjs';

const objects = createObjects();
const paths = [...objects.keys()];

async function request(agent, method, path, headers, body) {
  const options = {
    host: SERVER.ip, port: PORTS.http, localAddress: CLIENT.ip, agent, method, path,
    headers: { Host: 'www.example.test', 'User-Agent': 'recorder/1', Accept: '*/*', ...headers },
  };
  const outgoing = http.request(options);
  outgoing.end(body);
  const [response] = await once(outgoing, 'response');
  let received = 0;
  for await (const chunk of response) received += chunk.length;
  return { status: response.statusCode, etag: response.headers.etag, received };
}

async function browse(worker) {
  const random = createRandom(SEED + 100 + worker);
  const keepAlive = worker % 3 !== 0;
  const agent = keepAlive ? new http.Agent({ keepAlive: true, maxSockets: 1 }) : new http.Agent({ keepAlive: false });
  for (let i = 0; i < HTTP.requestsPerWorker; i++) {
    const path = random.next() < 0.04 ? `/missing/${i}` : random.pick(paths);
    const first = await request(agent, 'GET', path, {}, undefined);
    const wanted = objects.get(path)?.body.length;
    if (wanted !== undefined && first.received !== wanted) {
      throw new Error(`${path}: ${first.received} of ${wanted} bytes`);
    }
    if (first.etag !== undefined && random.next() < 0.1) {
      await request(agent, 'GET', path, { 'If-None-Match': first.etag }, undefined);
    }
    await pause(random.between(0, 12));
  }
  agent.destroy();
}

async function upload() {
  const random = createRandom(SEED + 200);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  for (let i = 0; i < HTTP.uploads; i++) {
    const body = json(SEED + 200 + i, random.between(300, 30_000));
    await request(agent, 'POST', `/upload/${i}`, { 'Content-Length': body.length }, body);
    await pause(random.between(10, 40));
  }
  agent.destroy();
}

function connect(port) {
  const socket = net.connect({ host: SERVER.ip, port, localAddress: CLIENT.ip });
  socket.setNoDelay(true);
  return socket;
}

async function download() {
  const socket = connect(PORTS.bulk);
  socket.write('d');
  let received = 0;
  for await (const chunk of socket) received += chunk.length;
  if (received !== BULK.toClient) throw new Error(`bulk transfer: ${received} of ${BULK.toClient} bytes`);
}

async function push() {
  const socket = connect(PORTS.bulk);
  await once(socket, 'connect');
  await sendPaced(socket, Buffer.concat([Buffer.from('u'), log(SEED + 4, BULK.toServer - 1)]), BULK);
  socket.end();
  socket.resume();
  await once(socket, 'close');
}

async function call(connection) {
  const random = createRandom(SEED + 300 + connection);
  const socket = connect(PORTS.rpc);
  await once(socket, 'connect');
  const chunks = socket[Symbol.asyncIterator]();
  const body = json(SEED + 300 + connection, 1400);
  for (let i = 0; i < RPC.callsPerConnection; i++) {
    const length = random.next() < 0.8 ? random.between(8, 200) : random.between(200, 1400);
    const wanted = random.next() < 0.7 ? random.between(8, 300) : random.between(300, 2500);
    const head = Buffer.alloc(4);
    head.writeUInt16BE(length, 0);
    head.writeUInt16BE(wanted, 2);
    socket.write(Buffer.concat([head, body.subarray(0, length)]));
    for (let received = 0; received < wanted;) {
      const { done, value } = await chunks.next();
      if (done) throw new Error('the server ended an RPC connection');
      received += value.length;
    }
    if (i % 8 === 7) await pause(random.between(1, 20));
  }
  socket.end();
  await chunks.next();
}

/** Asks up to five times, as a resolver does: a datagram that waits for ARP is lost when the neighbour is forgotten. */
async function ask(socket, query) {
  for (let tries = 0; tries < 5; tries++) {
    socket.send(query, PORTS.dns, SERVER.ip);
    const timeout = AbortSignal.timeout(300);
    try {
      for (;;) {
        const [reply] = await once(socket, 'message', { signal: timeout });
        if (reply.readUInt16BE(0) === query.readUInt16BE(0)) return;
      }
    } catch (error) {
      if (error.name !== 'AbortError') throw error;
    }
  }
  throw new Error('five DNS questions without an answer');
}

async function resolve(client) {
  const random = createRandom(SEED + 400 + client);
  const socket = dgram.createSocket('udp4');
  socket.bind(0, CLIENT.ip);
  await once(socket, 'listening');
  for (let i = 0; i < DNS.questionsPerClient; i++) {
    const name = `${random.pick(['www', 'mail', 'api', 'cdn-eu-west', 'a'])}.h${random.between(0, 4000)}.example.test`;
    await ask(socket, question(random.between(0, 65535), name, random.pick(TYPES)));
    if (i % 4 === 3) await pause(random.between(1, 16));
  }
  socket.close();
}

setTimeout(() => {
  console.error(`the traffic was not done after ${LIMIT_MS / 1000} s`);
  process.exit(1);
}, LIMIT_MS).unref();

const each = (count, run) => Array.from({ length: count }, (_, i) => run(i));
await Promise.all([
  ...each(HTTP.workers, browse),
  upload(),
  download(),
  push(),
  ...each(RPC.connections, call),
  ...each(DNS.clients, resolve),
]);
