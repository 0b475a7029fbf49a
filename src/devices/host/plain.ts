import { PortcullisError } from '../../errors';

const DEEPEST = 64;

/**
 * A copy of plain data: null, booleans, finite numbers, strings, arrays and plain objects of these. Throws NOT_PLAIN,
 * with the path, for anything that JSON would lose or change.
 */
export function plainCopy<T>(value: T, path = 'state', depth = 0): T {
  const refuse = (what: string): never => {
    throw new PortcullisError('NOT_PLAIN', `${path} is ${what}; a device's state is plain data: null, booleans, finite `
      + 'numbers, strings, arrays and objects of these', { path });
  };
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : refuse(String(value));
  if (typeof value !== 'object') return refuse(typeof value);
  if (depth === DEEPEST) return refuse(`nested more than ${DEEPEST} deep, or a circle`);
  if (Array.isArray(value)) {
    return Array.from(value, (item: unknown, index) => plainCopy(item, `${path}[${index}]`, depth + 1)) as T;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return refuse(`a ${value.constructor?.name ?? 'class'}`);
  const entries = Object.entries(value).map(([key, item]) => [key, plainCopy(item, `${path}.${key}`, depth + 1)]);
  return Object.fromEntries(entries) as T;
}
