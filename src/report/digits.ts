/** Numbers as a table shows them: about three digits that mean something, never an exponent. */

/** Throughput: three digits, more only before the decimal point. */
export function threeDigits(value: number): string {
  if (value === 0) return '0';
  if (value >= 99.95) return grouped(Math.round(value));
  return value.toFixed(value >= 9.995 ? 1 : 2);
}

/** CPU cycles: whole ones, but not of a few. */
export function cycleCount(value: number): string {
  return value >= 9.995 ? grouped(Math.round(value)) : threeDigits(value);
}

/** A count per packet; a rare event keeps two digits, so that it does not look like never. */
export function perPacket(value: number): string {
  if (value === 0) return '0';
  if (value < 0.00005) return '<0.0001';
  if (value < 0.0995) return value.toFixed(value < 0.00095 ? 5 : value < 0.0095 ? 4 : 3);
  return Number.isInteger(value) && value < 100 ? String(value) : threeDigits(value);
}

/** A share in percent: 100% and 0% only if it is that. */
export function percent(share: number): string {
  const rounded = Math.round(share * 100);
  if (rounded === 100 && share < 1) return '>99%';
  if (rounded === 0 && share > 0) return '<1%';
  return `${rounded}%`;
}

/** Packets per second in thousands or millions. */
export function rate(value: number): string {
  if (value >= 999_500) return `${threeDigits(value / 1e6)} M`;
  if (value >= 1000) return `${threeDigits(value / 1e3)} k`;
  return String(Math.round(value));
}

/** 1234567 as 1,234,567. */
export function grouped(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}
