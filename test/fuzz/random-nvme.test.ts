// A host that does anything to an NVMe controller: commands, lists, doorbells, registers, resets at random. The engine never
// traps and always comes to rest.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Random } from '../../src/engine/index';
import { CC, NvmeHost } from '../helpers/nvme-host';

const ROUNDS = Number(process.env['FUZZ_OPERATIONS'] ?? 3000);
const SEED = Number(process.env['FUZZ_SEED'] ?? 1);

test('a host that does anything neither traps the controller nor keeps it running', async () => {
  const random = new Random(SEED);
  const host = await NvmeHost.ready({ namespaces: [{ size: 1 << 20 }, { size: 65536, blockSize: 4096, readOnly: true }] });
  const edge = (): number => [0, 1, 0xffff, 0x80000000, 0xffffffff, 0xfffffff8, 0x7f000000, random.next()][random.below(8)] as number;
  const place = (): number => random.below(8) === 0 ? edge() : random.below(1 << 22) & (random.below(2) === 0 ? ~0xfff : ~3);
  let done = 0;
  let good = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const what = random.below(32);
    if (what === 0) host.write(random.below(0x40) & ~3, edge());
    else if (what === 1) host.write(0x1000 + 4 * random.below(70), random.below(2) === 0 ? random.below(40) : edge());
    else if (what === 2) host.engine.exports.registerWrite(host.fn, 0, random.below(0x4000), [1, 2, 4, 8][random.below(4)] as number, edge(), edge());
    else if (what === 3) for (let i = 0; i < 32; i++) host.view().setUint32((random.below(1 << 22) & ~3), place(), true);
    else if (what === 4 && random.below(8) === 0) host.engine.exports.functionReset(host.fn);
    else if ((host.read(0x1c) & 0xf) !== 1 || random.below(200) === 0) {
      host.engine.exports.configWrite(host.fn, 4, 2, 6);
      host.write(CC, 0);
      host.write(0x24, 0x1f001f);
      host.enable();
      host.admin(0x09, [7, 7 | 7 << 16]);
      host.createQueue(1);
    } else {
      const queue = random.below(2);
      const op = random.below(8) === 0 ? random.below(256) : random.below(13);
      const dw = Array.from({ length: 6 }, () => random.below(3) === 0 ? edge() : random.below(300));
      const flags = random.below(16) === 0 ? random.below(256) : 0;
      host.queue(queue, { op, nsid: random.below(4), prp1: place(), prp2: place(), dw, flags });
      host.ring(queue);
    }
    host.now += random.below(200_000);
    const budget = [1, 7, 1000][random.below(3)] as number;
    for (let i = 0; host.engine.service(host.now, budget) === 1; i++) assert.ok(i < 100_000, 'it comes to rest');
    for (const queue of [0, 1]) {
      for (let entry = host.queues.has(queue) ? host.take(queue) : undefined, i = 0; entry !== undefined && i < 64; i++) {
        done++;
        if (entry.status === 0) good++;
        entry = host.take(queue);
      }
    }
    while (host.engine.pollMessage()) { /* nobody listens */ }
  }
  assert.ok(done > ROUNDS / 8, `commands were completed: ${done}`);
  assert.ok(good > 0 && good < done, `some good, some not: ${good}`);
  assert.equal([host.read(0), host.read(8)], [0x0f0107ff, 0x10400], 'capabilities stay');
});

test.run();
