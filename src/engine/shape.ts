// Whether plain data has the shape that a document must have, before anybody goes by it.
import { PortcullisError } from '../errors';

/** `whole` is a whole number from 0 on; `text`, `flag` and `object` (whose fields are looked at elsewhere). */
export type Shape = 'whole' | 'text' | 'flag' | 'object' | { optional: Shape } | { each: Shape }
  | { tuple: readonly Shape[] } | { fields: Readonly<Record<string, Shape>> };

function complain(path: string, value: unknown, wanted: string): string {
  const text = value === undefined ? 'missing' : typeof value === 'object' ? 'something else' : JSON.stringify(value);
  return `${path} is ${text}; it must be ${wanted}`;
}

/** What is wrong, undefined when nothing is. Fields that the shape does not name are wrong too. */
export function shapeProblem(value: unknown, shape: Shape, path: string): string | undefined {
  if (shape === 'whole') {
    return Number.isSafeInteger(value) && (value as number) >= 0 ? undefined : complain(path, value, 'a whole number');
  }
  if (shape === 'text') return typeof value === 'string' ? undefined : complain(path, value, 'a text');
  if (shape === 'flag') return typeof value === 'boolean' ? undefined : complain(path, value, 'true or false');
  if (shape === 'object' || 'fields' in shape) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return complain(path, value, 'an object');
    if (shape === 'object') return undefined;
    const unknown = Object.keys(value).find((name) => !Object.hasOwn(shape.fields, name));
    if (unknown !== undefined) return `${path} has a field "${unknown}" that nobody knows`;
    return first(Object.entries(shape.fields), ([name, one]) =>
      shapeProblem((value as Record<string, unknown>)[name], one, `${path}.${name}`));
  }
  if ('optional' in shape) return value === undefined ? undefined : shapeProblem(value, shape.optional, path);
  if (!Array.isArray(value)) return complain(path, value, 'a list');
  if ('each' in shape) return first(value, (one, i) => shapeProblem(one, shape.each, `${path}[${i}]`));
  if (value.length !== shape.tuple.length) return complain(path, value, `a list of ${shape.tuple.length}`);
  return first(shape.tuple, (one, i) => shapeProblem(value[i], one, `${path}[${i}]`));
}

function first<T>(items: readonly T[], problemOf: (item: T, index: number) => string | undefined): string | undefined {
  for (let i = 0; i < items.length; i++) {
    const problem = problemOf(items[i] as T, i);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** Throws SNAPSHOT_FORMAT, naming the field, unless the value has the shape. */
export function requireShape(value: unknown, shape: Shape, path: string): void {
  const problem = shapeProblem(value, shape, path);
  if (problem === undefined) return;
  throw new PortcullisError('SNAPSHOT_FORMAT', `this is no snapshot, or a damaged one: ${problem}`, { path });
}
