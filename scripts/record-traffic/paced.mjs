import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';

/** Sends `bytes` in chunks with a pause after each, waiting for the peer when the socket's buffer is full. */
export async function sendPaced(socket, bytes, { chunk, pauseMs }) {
  for (let at = 0; at < bytes.length; at += chunk) {
    if (!socket.write(bytes.subarray(at, at + chunk))) await once(socket, 'drain');
    await pause(pauseMs);
  }
}
