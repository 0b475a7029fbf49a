import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Scheduler, type Task, type Time } from '../../../src/xen/schedule/scheduler';

/** A clock with appointments, and a list of what has happened when. */
function rig(): { scheduler: Scheduler; seen: string[]; note: (text: string) => void; dates: number[]; time: Time } {
  let now = 0;
  const seen: string[] = [];
  const dates: number[] = [];
  const time: Time = {
    now: () => now,
    settle: () => false,
    nextDeadline: () => Math.min(Infinity, ...dates.filter((date) => date > now)),
    advance: (to) => { now = to; },
  };
  return { scheduler: new Scheduler(time), seen, dates, time, note: (text) => seen.push(`${now} ${text}`) };
}

test('tasks go on in the order in which they came, and time passes only when none can', () => {
  const { scheduler, seen, note } = rig();
  function* walk(name: string, pauses: number[]): Task {
    for (const pause of pauses) {
      note(name);
      yield { timeout: pause };
    }
    note(`${name} ends`);
  }
  scheduler.spawn('a', 1, walk('a', [10, 0, 5]));
  scheduler.spawn('b', 2, walk('b', [0, 12]));
  scheduler.pass(100);
  assert.equal(seen, ['0 a', '0 b', '0 b', '10 a', '10 a', '12 b ends', '15 a ends']);
  assert.is(scheduler.now, 100);
  assert.is(scheduler.jobs().length, 0);
});

test('a wait ends by its condition or by its time, and is told which', () => {
  const { scheduler, note, seen } = rig();
  let ready = false;
  scheduler.spawn('waits', 1, (function* waits(): Task {
    note(String(yield { until: () => ready, timeout: 50 }));
    note(String(yield { until: () => false, timeout: 50 }));
  })());
  scheduler.spawn('sets', 1, (function* sets(): Task {
    yield { timeout: 20 };
    ready = true;
  })());
  scheduler.pass(200);
  assert.equal(seen, ['20 true', '70 false']);
});

test('a nested wait lets the others go on, not whoever waits', () => {
  const { scheduler, note, seen } = rig();
  let answered = false;
  scheduler.spawn('asks', 1, (function* asks(): Task {
    note(`asks: ${scheduler.wait(() => answered, 1000)}`);
    yield { timeout: 1 };
    note('asks: over');
  })());
  scheduler.spawn('answers', 2, (function* answers(): Task {
    yield { timeout: 30 };
    note('answers');
    answered = true;
  })());
  scheduler.pass(50);
  assert.equal(seen, ['30 answers', '30 asks: true', '31 asks: over']);
});

test('a nested wait that nobody answers ends by its time', () => {
  const { scheduler } = rig();
  assert.not(scheduler.wait(() => false, 2_000_000_000));
  assert.is(scheduler.now, 2_000_000_000);
});

test('appointments of devices are kept on the way', () => {
  const { scheduler, dates, time, note, seen } = rig();
  dates.push(7, 9);
  const { advance } = time;
  time.advance = (to) => {
    advance(to);
    note('device');
  };
  scheduler.pass(10);
  assert.equal(seen, ['7 device', '9 device', '10 device']);
});

test('a worker runs to its end, and is not entered again by what it does', () => {
  const { scheduler, note, seen } = rig();
  let pending = 2;
  scheduler.addWorker({
    domid: 0,
    ready: () => pending > 0,
    work: () => {
      pending--;
      note('begins');
      assert.not(scheduler.wait(() => false, 5));
      note('ends');
    },
  });
  scheduler.settle();
  assert.equal(seen, ['0 begins', '5 ends', '5 begins', '10 ends']);
});

test('the tasks of a domain that is killed end where they stand, and its `finally` runs', () => {
  const { scheduler, note, seen } = rig();
  function* forever(name: string): Task {
    try {
      for (;;) yield { timeout: 10 };
    } finally {
      note(`${name} ends`);
    }
  }
  scheduler.spawn('a', 1, forever('a'));
  scheduler.spawn('b', 2, forever('b'));
  scheduler.pass(15);
  scheduler.kill(1);
  assert.equal(seen, ['15 a ends']);
  assert.equal(scheduler.jobs().map(({ name }) => name), ['b']);
  scheduler.kill(2);
  assert.is(scheduler.nextDeadline(), Infinity);
});

test('a task that is killed by what it does itself does not go on', () => {
  const { scheduler, note, seen } = rig();
  scheduler.spawn('suicide', 3, (function* suicide(): Task {
    scheduler.kill(3);
    note('still here');
    yield { timeout: 0 };
    note('never');
  })());
  scheduler.pass(10);
  assert.equal(seen, ['0 still here']);
});

test('the tasks of a domain that is held wait, and go on with what has come', () => {
  const { time, note, seen } = rig();
  let held = true;
  const scheduler = new Scheduler(time, (domid) => held && domid === 4);
  for (const domid of [4, 5]) {
    scheduler.spawn('walks', domid, (function* walks(): Task {
      yield { timeout: 2.5 };
      note(`domain ${domid}`);
    })());
  }
  scheduler.pass(20);
  held = false;
  scheduler.pass(5);
  assert.equal(seen, ['3 domain 5', '23 domain 4']);
});

test('run gives what a task gives, and throws what it throws', () => {
  const { scheduler } = rig();
  assert.is(scheduler.run('gives', 0, (function* gives(): Task<number> {
    yield { timeout: 5 };
    return 7;
  })()), 7);
  assert.throws(() => scheduler.run('throws', 0, (function* throws(): Task {
    yield { timeout: 5 };
    throw new Error('no');
  })()), 'no');
});

test('what a task throws is kept with the job, and hurts nobody else', () => {
  const { scheduler, note, seen } = rig();
  const job = scheduler.spawn('throws', 1, (function* throws(): Task {
    yield { timeout: 1 };
    throw new Error('no');
  })(), ({ error }) => note(`over: ${(error as Error).message}`));
  scheduler.pass(5);
  assert.ok(job.done);
  assert.equal(seen, ['1 over: no']);
});

test('a task that nobody waits for is told of when it throws', () => {
  const { time } = rig();
  const heard: string[] = [];
  const scheduler = new Scheduler(time, undefined, ({ name, error }) => heard.push(`${name}: ${(error as Error).message}`));
  const fails = function* fails(): Task {
    yield { timeout: 1 };
    throw new Error('no');
  };
  scheduler.spawn('alone', 1, fails());
  scheduler.spawn('waited for', 1, fails(), () => undefined);
  scheduler.pass(5);
  assert.equal(heard, ['alone: no']);
});

test('who only spins keeps nobody from the end of a wait', () => {
  const { scheduler } = rig();
  scheduler.spawn('spins', 1, (function* spins(): Task {
    for (;;) yield { timeout: 0 };
  })());
  let busy = true;
  scheduler.addWorker({ domid: 2, ready: () => busy, work: () => undefined });
  assert.not(scheduler.wait(() => false, 10_000_000_000));
  assert.is(scheduler.now, 10_000_000_000);
  scheduler.kill(1);
  assert.not(scheduler.settle());
  busy = false;
  assert.ok(scheduler.settle());
});

test('a wait for what cannot come is an error, not for ever', () => {
  const { scheduler } = rig();
  assert.throws(() => scheduler.wait(() => false), /cannot come/);
});

test.run();
