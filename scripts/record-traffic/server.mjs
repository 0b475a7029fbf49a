// The serving end: HTTP, bulk, RPC and DNS, bound to the server namespace's address only. Prints "ready" once.
import dgram from 'node:dgram';
import http from 'node:http';
import net from 'node:net';
import { once } from 'node:events';
import { answer } from './dns.mjs';
import { sendPaced } from './paced.mjs';
import { BULK, LIMIT_MS, PORTS, SEED, SERVER, createObjects } from './plan.mjs';
import { createRandom, log, noise } from './seeded.mjs';

const objects = createObjects();

const web = http.createServer({ keepAliveTimeout: 2000 }, (request, response) => {
  // The recording must not carry the date of the day it was made on.
  response.sendDate = false;
  response.setHeader('Server', 'example');
  if (request.method === 'POST') {
    let received = 0;
    request.on('data', (chunk) => (received += chunk.length));
    request.on('end', () => {
      response.writeHead(201, { 'Content-Type': 'application/json' }).end(`{"bytes":${received}}`);
    });
    return;
  }
  const object = objects.get(request.url);
  if (object === undefined) {
    response.writeHead(404, { 'Content-Type': 'text/plain' }).end('no such page\n');
    return;
  }
  const etag = `"${object.body.length.toString(16)}"`;
  if (request.headers['if-none-match'] === etag) {
    response.writeHead(304, { ETag: etag }).end();
    return;
  }
  response.writeHead(200, { 'Content-Type': object.type, 'Content-Length': object.body.length, ETag: etag });
  response.end(object.body);
});

// The first byte a client sends says which way the transfer goes: 'd' to the client, 'u' to the server.
const bulk = net.createServer((socket) => {
  socket.on('error', () => socket.destroy());
  socket.once('data', async (first) => {
    if (first[0] !== 0x64) return void socket.resume().on('end', () => socket.end());
    const tail = noise(SEED, 200_000);
    await sendPaced(socket, Buffer.concat([log(SEED, BULK.toClient - tail.length), tail]), BULK);
    socket.end();
  });
});

// A call is "u16 length, u16 wanted, bytes"; the reply is `wanted` bytes. One call is outstanding at a time.
const rpc = net.createServer((socket) => {
  const body = log(SEED + 1, 4096);
  let have = Buffer.alloc(0);
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    have = Buffer.concat([have, chunk]);
    while (have.length >= 4 && have.length >= 4 + have.readUInt16BE(0)) {
      socket.write(body.subarray(0, have.readUInt16BE(2)));
      have = have.subarray(4 + have.readUInt16BE(0));
    }
  });
  socket.on('end', () => socket.end());
});

const names = dgram.createSocket('udp4');
const random = createRandom(SEED + 2);
const text = log(SEED + 3, 255);
names.on('message', (query, from) => {
  names.send(answer(query, random, text.subarray(0, random.between(20, 255))), from.port, from.address);
});

names.bind(PORTS.dns, SERVER.ip);
web.listen(PORTS.http, SERVER.ip);
bulk.listen(PORTS.bulk, SERVER.ip);
rpc.listen(PORTS.rpc, SERVER.ip);
await Promise.all([web, bulk, rpc, names].map((server) => once(server, 'listening')));
console.log('ready');
setTimeout(() => process.exit(1), 2 * LIMIT_MS);
