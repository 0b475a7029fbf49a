// Errors of devices, told to the front end (xen-passthrough.md 1.6). Results: none 1, can recover 2, need reset 3,
// disconnect 4, recovered 5.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { AerEvent } from '../../../src/xen/pciback/aer';
import type { Job } from '../../../src/xen/schedule/scheduler';
import { PciSplit } from '../../helpers/pci-split';

const EVENTS: AerEvent[] = ['error_detected', 'mmio_enabled', 'slot_reset', 'resume'];
const AER_ACTIVE = 4;
/** Of aer_op in the page: cmd, err, domain, bus, devfn. */
const AER = 552;

async function connected(): Promise<PciSplit> {
  const split = await PciSplit.create();
  split.connect();
  return split;
}

function report(split: PciSplit, event: AerEvent, index = 1, channel?: number): Job<number> {
  return split.backend?.report(split.stub.seized[index] as never, event, channel) as Job<number>;
}

function result(split: PciSplit, job: Job<number>): number | undefined {
  split.scheduler.wait(() => job.done);
  return job.result;
}

const marked = (split: PciSplit): string | undefined => split.read(`${split.back}/aerState`);

const flow = suite('errors of devices');

flow('each call reaches the guest\'s driver with its address, and its answer comes back', async () => {
  const split = await connected();
  const told: string[] = [];
  const front = split.pcifront as NonNullable<typeof split.pcifront>;
  front.onError = ({ name }, cmd, channel) => {
    told.push(`${name} ${cmd} ${channel}`);
    return 5;
  };
  const results = EVENTS.map((event) => result(split, report(split, event, 1, 2)));
  assert.equal(told, ['0000:00:01.0 6 2', '0000:00:01.0 8 2', '0000:00:01.0 9 2', '0000:00:01.0 7 2']);
  // resume has no result: none
  assert.equal(results, [5, 5, 5, 1]);
  assert.is(split.domU.page(split.pages[0] as number).getUint32(0, true), 2);
});

flow('the page, byte by byte', async () => {
  const split = await connected();
  const job = report(split, 'error_detected', 1, 2);
  const page = split.domU.page(split.pages[0] as number);
  split.domU.offEvent(Number(split.read(`${split.front}/event-channel`)));
  split.scheduler.settle();
  assert.equal([0, 4, 8, 12, 16].map((off) => page.getUint32(AER + off, true)), [6, 2, 0, 0, 8]);
  assert.is(page.getUint32(0, true), 2 | AER_ACTIVE);
  page.setInt32(AER + 4, 3, true);
  page.setUint32(0, 2, true);
  assert.is(result(split, job), 3);
  assert.is(marked(split), undefined);
});

flow('no driver, none and disconnect: the domain is marked', async () => {
  for (const answer of [undefined, 1, 4]) {
    const split = await connected();
    if (answer !== undefined && split.pcifront) split.pcifront.onError = () => answer;
    assert.is(result(split, report(split, 'error_detected')), answer ?? 1);
    assert.is(marked(split), 'aerfail');
  }
});

flow('an answer that is none counts as none', async () => {
  for (const answer of [0, 6, -1, 0x7fffffff]) {
    const split = await connected();
    if (split.pcifront) split.pcifront.onError = () => answer;
    assert.is(result(split, report(split, 'error_detected')), 1);
    assert.is(marked(split), 'aerfail');
  }
});

flow('a device that no front end has', async () => {
  const split = await connected();
  assert.is(split.backend?.report(split.stub.seized[2] as never, 'error_detected'), undefined);
});

flow('a front end that is not connected: what is answered for it', async () => {
  const split = await PciSplit.create({ front: 'none' });
  split.connect();
  assert.equal(EVENTS.map((event) => result(split, report(split, event))), [2, 5, 5, 1]);
  assert.is(marked(split), 'aerfail');
});

flow('a front end without a handler: two of the calls mark it', async () => {
  for (const [event, otherwise, marks] of [['error_detected', 2, true], ['mmio_enabled', 5, false], ['slot_reset', 5, false],
    ['resume', 1, true]] as const) {
    const split = await connected();
    split.domU.page(split.pages[0] as number).setUint32(0, 0, true);
    assert.is(result(split, report(split, event)), otherwise);
    assert.is(marked(split), marks ? 'aerfail' : undefined, event);
  }
});

flow('no answer: after 300 s, and nobody waits meanwhile', async () => {
  const split = await connected();
  split.domU.stop();
  const job = report(split, 'slot_reset');
  const start = split.scheduler.now;
  let others = 0;
  split.scheduler.spawn('other', 0, (function* other() {
    for (; !job.done; others++) yield { timeout: 1e9 };
  })());
  assert.is(result(split, job), 5);
  assert.is(split.scheduler.now - start, 300e9);
  assert.is(others >= 299, true);
  assert.match(split.dom0.log.join('\n'), 'does not answer');
  // the next one is asked all the same
  const page = split.domU.page(split.pages[0] as number);
  assert.is(page.getUint32(0, true), 2);
});

flow('two at a time: the second waits for the first', async () => {
  const split = await connected();
  const told: number[] = [];
  if (split.pcifront) {
    split.pcifront.onError = ({ devfn }) => {
      told.push(devfn);
      return 5;
    };
  }
  const [one, other] = [report(split, 'error_detected', 0), report(split, 'error_detected', 1)];
  assert.equal([result(split, one), result(split, other)], [5, 5]);
  assert.equal(told, [0, 8]);
});

flow('the device or the front end goes meanwhile: it is over at once', async () => {
  for (const go of [(split: PciSplit) => split.destroy(), (split: PciSplit) => split.removeDirectories(),
    (split: PciSplit) => split.backend?.exports[0]?.forget(split.stub.seized[1] as never)]) {
    const split = await connected();
    split.domU.offEvent(Number(split.read(`${split.front}/event-channel`)));
    const start = split.scheduler.now;
    const job = report(split, 'slot_reset');
    split.scheduler.settle();
    assert.is(job.done, false);
    go(split);
    assert.is(result(split, job), 5);
    assert.is(split.scheduler.now, start);
  }
});

flow('an error is reported while an operation is under way: both are answered', async () => {
  const split = await connected();
  const edu = split.stub.seized[1];
  let job: Job<number> | undefined;
  if (split.pcifront) split.pcifront.onError = () => 3;
  if (edu) {
    edu.onAccess = () => {
      edu.onAccess = undefined;
      job = report(split, 'error_detected');
    };
  }
  assert.is(split.pcifront?.readConfig(8, 0, 4).value, 0x11e81234);
  assert.is(result(split, job as Job<number>), 3);
});

flow.run();
