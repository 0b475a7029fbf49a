// Seeded content for the recorded traffic: the same seed gives the same bytes, and every byte is made up here.

/** A small generator of numbers in [0, 1) (mulberry32). @param {number} seed unsigned 32-bit */
export function createRandom(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return {
    next,
    /** An integer in [low, high]. */
    between: (low, high) => low + Math.floor(next() * (high - low + 1)),
    /** One element of a list, all equally likely. */
    pick: (list) => list[Math.floor(next() * list.length)],
  };
}

const SYLLABLES = 'ba ce di fo gu la me ni po ru sa te vi ko an er is'.split(' ');

function createWords(count) {
  const random = createRandom(0x5eed);
  const words = [];
  for (let i = 0; i < count; i++) {
    let word = '';
    for (let n = random.between(1, 4); n > 0; n--) word += random.pick(SYLLABLES);
    words.push(word);
  }
  return words;
}

const WORDS = createWords(1200);

/** A word; early words of the list come more often, as in real text. */
function word(random) {
  return WORDS[Math.floor(random.next() ** 2.5 * WORDS.length)];
}

function sentence(random) {
  const words = [];
  for (let n = random.between(5, 14); n > 0; n--) words.push(word(random));
  const text = words.join(' ');
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}

/** Pieces of text until `length` bytes are reached, then cut there. All text is ASCII: one byte a character. */
function fill(length, head, piece) {
  const parts = [head];
  let have = head.length;
  while (have < length) {
    const part = piece();
    parts.push(part);
    have += part.length;
  }
  return Buffer.from(parts.join('').slice(0, length), 'latin1');
}

/** A page of HTML-like text, exactly `length` bytes. */
export function html(seed, length) {
  const random = createRandom(seed);
  const head = '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n' +
    `<title>${sentence(random)}</title></head><body>\n`;
  return fill(length, head, () => {
    const kind = random.next();
    if (kind < 0.2) return `<h2 class="title">${word(random)} ${word(random)}</h2>\n`;
    if (kind < 0.5) {
      return `<li class="item"><a href="/${word(random)}/${random.between(1, 999)}">${word(random)}</a></li>\n`;
    }
    return `<p class="text">${sentence(random)} ${sentence(random)}</p>\n`;
  });
}

/** A JSON-like list of records, exactly `length` bytes (the end may cut a record). */
export function json(seed, length) {
  const random = createRandom(seed);
  return fill(length, '{"items":[', () => {
    const state = random.pick(['open', 'closed', 'waiting']);
    const count = random.between(0, 99);
    return `{"id":${random.between(1, 99999)},"name":"${word(random)}","state":"${state}","count":${count}},`;
  });
}

/** Lines of a made-up log, exactly `length` bytes. */
export function log(seed, length) {
  const random = createRandom(seed);
  let second = 0;
  return fill(length, '', () => {
    second += random.between(0, 2);
    const level = random.pick(['info', 'info', 'info', 'warn', 'debug']);
    const took = random.between(1, 900);
    return `t=${second} level=${level} unit=${word(random)} msg="${sentence(random)}" took=${took}ms\n`;
  });
}

/** Bytes that do not compress, as pictures and archives do not. */
export function noise(seed, length) {
  const random = createRandom(seed);
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = Math.floor(random.next() * 256);
  return bytes;
}
