// Random operations by four domains on their event channels, against a model of what Xen says.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import fc from 'fast-check';
import { difference } from '../../../src/machine/digest';
import type { Domain } from '../../../src/xen/hypervisor/domain';
import { type XenDomains, errnoOf, page, xenDomains } from '../../helpers/xen-domains';

const SELF = 0x7ff0;
const PORTS = 12;
const EINVAL = 22;
const ENOSPC = 28;

type Model = { kind: 'closed' } | { kind: 'unbound'; remote: number } | { kind: 'ipi' }
  | { kind: 'interdomain'; remote: number; port: number };

type Step = { op: 'alloc' | 'bind' | 'close' | 'send' | 'ipi' | 'take' | 'mask' | 'unmask' | 'reset'; who: number; whom: number; port: number };

const step: fc.Arbitrary<Step> = fc.record({
  op: fc.oneof(
    { weight: 20, arbitrary: fc.constantFrom('alloc' as const, 'bind' as const, 'bind' as const) },
    { weight: 20, arbitrary: fc.constantFrom('send' as const, 'close' as const, 'take' as const) },
    { weight: 10, arbitrary: fc.constantFrom('ipi' as const, 'mask' as const, 'unmask' as const) },
    { weight: 1, arbitrary: fc.constant('reset' as const) },
  ),
  who: fc.nat(2), whom: fc.nat(2), port: fc.integer({ min: 0, max: PORTS + 2 }),
});

class Twin {
  readonly ports: Model[][];
  readonly pending: boolean[][];
  readonly masked: boolean[][];

  constructor(readonly xen: XenDomains, readonly domains: Domain[]) {
    this.ports = domains.map(() => Array.from({ length: PORTS + 3 }, () => ({ kind: 'closed' as const })));
    this.pending = domains.map(() => Array.from({ length: PORTS + 3 }, () => false));
    this.masked = domains.map(() => Array.from({ length: PORTS + 3 }, () => false));
  }

  at(who: number, port: number): Model {
    return port > 0 && port <= PORTS ? (this.ports[who] as Model[])[port] as Model : { kind: 'closed' };
  }

  set(who: number, port: number, model: Model): void {
    (this.ports[who] as Model[])[port] = model;
  }

  free(who: number): number {
    for (let port = 1; port <= PORTS; port++) if (this.at(who, port).kind === 'closed') return port;
    return 0;
  }

  close(who: number, port: number): void {
    const model = this.at(who, port);
    if (model.kind === 'interdomain') this.set(model.remote, model.port, { kind: 'unbound', remote: who });
    this.set(who, port, { kind: 'closed' });
    (this.pending[who] as boolean[])[port] = false;
    (this.masked[who] as boolean[])[port] = false;
  }

  run({ op, who, whom, port }: Step): void {
    const { events } = this.xen.hypervisor;
    const [caller, other] = [this.domains[who] as Domain, this.domains[whom] as Domain];
    const expect = (call: () => unknown, errno: number): boolean => {
      assert.is(errnoOf(call), errno, `${op} ${who} ${whom} ${port}`);
      return errno === 0;
    };
    const free = this.free(who);
    const model = this.at(who, port);
    switch (op) {
      case 'alloc':
        if (expect(() => assert.is(events.allocUnbound(caller.domid, { remoteDom: other.domid }), free), free ? 0 : ENOSPC)) {
          this.set(who, free, { kind: 'unbound', remote: whom });
        }
        break;
      case 'ipi':
        if (expect(() => assert.is(events.bindIpi(caller.domid, 0), free), free ? 0 : ENOSPC)) this.set(who, free, { kind: 'ipi' });
        break;
      case 'bind': {
        const far = this.at(whom, port);
        const may = far.kind === 'unbound' && far.remote === who;
        const errno = !may ? EINVAL : free === 0 ? ENOSPC : 0;
        if (!expect(() => assert.is(events.bindInterdomain(caller.domid, other.domid, port), free), errno)) break;
        this.set(who, free, { kind: 'interdomain', remote: whom, port });
        this.set(whom, port, { kind: 'interdomain', remote: who, port: free });
        (this.pending[who] as boolean[])[free] = true;
        break;
      }
      case 'close':
        if (expect(() => events.close(caller.domid, port), model.kind === 'closed' ? EINVAL : 0)) this.close(who, port);
        break;
      case 'send':
        if (!expect(() => events.send(caller.domid, port), model.kind === 'closed' ? EINVAL : 0)) break;
        if (model.kind === 'ipi') (this.pending[who] as boolean[])[port] = true;
        if (model.kind === 'interdomain') (this.pending[model.remote] as boolean[])[model.port] = true;
        break;
      case 'take':
        assert.is(this.xen.machine.guest(caller).takeEvent(port), this.pending[who]?.[port] ?? false);
        if (port <= PORTS) (this.pending[who] as boolean[])[port] = false;
        break;
      case 'mask': {
        const info = page(this.xen.machine, caller, 0);
        if (model.kind === 'closed') break;
        info.setUint8(2560 + (port >> 3), info.getUint8(2560 + (port >> 3)) | 1 << (port & 7));
        (this.masked[who] as boolean[])[port] = true;
        break;
      }
      case 'unmask':
        if (expect(() => events.unmask(caller.domid, port), model.kind === 'closed' ? EINVAL : 0)) (this.masked[who] as boolean[])[port] = false;
        break;
      default:
        events.reset(caller.domid, SELF);
        for (let one = 1; one <= PORTS; one++) if (this.at(who, one).kind !== 'closed') this.close(who, one);
    }
  }

  check(): void {
    this.domains.forEach((domain, who) => {
      const info = page(this.xen.machine, domain, 0);
      let announced = false;
      for (let port = 1; port <= PORTS; port++) {
        const status = this.xen.hypervisor.events.status(domain.domid, SELF, port);
        const model = this.at(who, port);
        assert.is(status.status, model.kind);
        if (model.kind === 'unbound' && status.status === 'unbound') assert.is(status.dom, this.domains[model.remote]?.domid);
        if (model.kind === 'interdomain' && status.status === 'interdomain') {
          assert.equal([status.dom, status.port], [this.domains[model.remote]?.domid, model.port]);
        }
        const pending = (info.getUint8(2048 + (port >> 3)) >> (port & 7) & 1) === 1;
        const masked = (info.getUint8(2560 + (port >> 3)) >> (port & 7) & 1) === 1;
        assert.equal([pending, masked], [this.pending[who]?.[port], this.masked[who]?.[port]], `domain ${who} port ${port}`);
        announced ||= pending && !masked;
      }
      // an event that may be handled has always been announced
      if (announced) assert.equal([info.getUint8(8) & 1, info.getUint8(0)], [1, 1]);
    });
  }
}

test('any sequence is as the model says, and leaves nothing behind', async () => {
  const xen = await xenDomains();
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 120 }), async (steps) => {
    const before = xen.machine.digest();
    const make = (name: string): Domain => xen.hypervisor.createDomain({ name, kind: 'pv', pages: 8, maxEventPort: PORTS });
    const twin = new Twin(xen, [make('x'), make('y'), make('z')]);
    try {
      for (const one of steps) {
        twin.run(one);
        twin.check();
      }
    } finally {
      for (const { domid } of twin.domains) xen.hypervisor.destroyDomain(domid);
    }
    assert.equal(difference(before, xen.machine.digest()), []);
  }), { numRuns: 60 });
});

test.run();
