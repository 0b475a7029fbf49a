// Just enough of the DNS message format (RFC 1035) for questions and answers that a dissector accepts.

const A = 1;
const TXT = 16;
const AAAA = 28;
const CLASS_IN = 1;

export const TYPES = [A, A, A, AAAA, TXT];

function encodeName(name) {
  const labels = name.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label, 'latin1')]));
  return Buffer.concat([...labels, Buffer.from([0])]);
}

function u16(...values) {
  const bytes = Buffer.alloc(values.length * 2);
  values.forEach((value, i) => bytes.writeUInt16BE(value, i * 2));
  return bytes;
}

/** A question for one name. */
export function question(id, name, type) {
  return Buffer.concat([u16(id, 0x0100, 1, 0, 0, 0), encodeName(name), u16(type, CLASS_IN)]);
}

/** The answer to `query`: one to four records with documentation addresses, or a text of up to 255 bytes. */
export function answer(query, random, text) {
  const type = query.readUInt16BE(query.length - 4);
  const records = [];
  const count = type === TXT ? 1 : random.between(1, 4);
  for (let i = 0; i < count; i++) {
    let data;
    if (type === TXT) data = Buffer.concat([Buffer.from([text.length]), text]);
    else if (type === AAAA) data = Buffer.from([0x20, 1, 0x0d, 0xb8, ...Buffer.alloc(11), random.between(1, 254)]);
    else data = Buffer.from([198, 51, 100, random.between(1, 254)]);
    // 0xC00C points back to the name in the question; then type, class, 32-bit time to live (300 s), length.
    records.push(u16(0xc00c, type, CLASS_IN, 0, 300, data.length), data);
  }
  const id = query.readUInt16BE(0);
  return Buffer.concat([u16(id, 0x8180, 1, count, 0, 0), query.subarray(12), ...records]);
}
