import type { DiskBackend, DiskRequest } from './disks';

/** What is needed of `node:fs`, which the caller gives: a page has none. */
export interface FileCalls {
  readSync(fd: number, bytes: Uint8Array, offset: number, length: number, position: number): number;
  writeSync(fd: number, bytes: Uint8Array, offset: number, length: number, position: number): number;
  fsyncSync(fd: number): void;
}

const ZEROS = 65536;

/** A disk in a file that is open. What lies behind the file's end reads 0, so a sparse or short file will do. */
export class FileDisk implements DiskBackend {
  readonly #calls: FileCalls;
  readonly #fd: number;

  constructor(calls: FileCalls, fd: number) {
    this.#calls = calls;
    this.#fd = fd;
  }

  submit(request: DiskRequest, complete: (done: boolean) => void): void {
    if (request.op === 'read') this.#read(request.bytes, request.offset);
    else if (request.op === 'write') this.#write(request.bytes, request.offset);
    else if (request.op === 'zero') this.#zero(request.offset, request.length);
    else this.#calls.fsyncSync(this.#fd);
    complete(true);
  }

  #read(bytes: Uint8Array, offset: number): number {
    let done = 0;
    while (done < bytes.length) {
      const got = this.#calls.readSync(this.#fd, bytes, done, bytes.length - done, offset + done);
      if (got === 0) break;
      done += got;
    }
    bytes.fill(0, done);
    return done;
  }

  #write(bytes: Uint8Array, offset: number): void {
    for (let done = 0; done < bytes.length;) {
      done += this.#calls.writeSync(this.#fd, bytes, done, bytes.length - done, offset + done);
    }
  }

  /** What reads 0 already is left alone, so that holes stay holes. */
  #zero(offset: number, length: number): void {
    for (let at = 0; at < length; at += ZEROS) {
      const bytes = new Uint8Array(Math.min(ZEROS, length - at));
      const there = this.#read(bytes, offset + at);
      if (bytes.every((byte) => byte === 0)) continue;
      this.#write(bytes.subarray(0, there).fill(0), offset + at);
    }
  }
}
