/**
 * Converts decimals between their text and Avro's form, which is the unscaled number as big-endian two's
 * complement, in the fewest bytes.
 */

/** Numbers of up to this many digits, or bytes, are exact in all arithmetic and need no bigint. */
const MAX_EXACT_DIGITS = 15
const MAX_EXACT_BYTES = 6

const DECIMAL = /^([+-]?)(\d*)(?:\.(\d*))?$/

/**
 * Returns the bytes of a decimal's text; undefined if the text is no decimal or has too many digits. The text
 * may have any number of trailing zeros.
 */
export function decimalBytes(text: string, precision: number, scale: number): Uint8Array | undefined {
  const match = DECIMAL.exec(text)
  if (match === null) return undefined
  const whole = match[2] ?? ''
  const fraction = (match[3] ?? '').replace(/0+$/, '')
  if (whole.length + (match[3] ?? '').length === 0 || fraction.length > scale) return undefined
  const digits = `${whole}${fraction.padEnd(scale, '0')}`.replace(/^0+/, '')
  if (digits.length > precision) return undefined
  if (digits.length <= MAX_EXACT_DIGITS)
    return numberBytes(match[1] === '-' ? -Number(digits) : Number(digits))
  return bigintBytes(match[1] === '-' ? -BigInt(digits) : BigInt(digits))
}

function numberBytes(unscaled: number): Uint8Array {
  let length = 1
  let limit = 128
  while (unscaled >= limit || unscaled < -limit) {
    length++
    limit *= 256
  }
  const bytes = new Uint8Array(length)
  let rest = unscaled
  for (let i = length - 1; i >= 0; i--) {
    bytes[i] = rest // This stores the low byte, since typed arrays wrap negative numbers as two's complement does.
    rest = Math.floor(rest / 256)
  }
  return bytes
}

function bigintBytes(unscaled: bigint): Uint8Array {
  let length = 1
  while (BigInt.asIntN(length * 8, unscaled) !== unscaled) length++
  const bytes = new Uint8Array(length)
  let rest = unscaled
  for (let i = length - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 255n)
    rest >>= 8n
  }
  return bytes
}

/** Returns the unscaled number of these bytes: a number if it is safe, else a bigint. */
export function unscaledOf(bytes: Uint8Array): number | bigint {
  const first = bytes[0] ?? 0
  if (bytes.length <= MAX_EXACT_BYTES) {
    let unscaled = first >= 128 ? -1 : 0
    for (const byte of bytes) unscaled = unscaled * 256 + byte
    return unscaled
  }
  let unscaled = first >= 128 ? -1n : 0n
  for (const byte of bytes) unscaled = (unscaled << 8n) | BigInt(byte)
  return unscaled >= BigInt(Number.MIN_SAFE_INTEGER) && unscaled <= BigInt(Number.MAX_SAFE_INTEGER)
    ? Number(unscaled)
    : unscaled
}

/** Returns the text of an unscaled number, with exactly `scale` digits behind the point. Zero has no sign. */
export function decimalText(unscaled: number | bigint, scale: number): string {
  const negative = unscaled < 0
  const digits = String(negative ? -unscaled : unscaled).padStart(scale + 1, '0')
  const whole = digits.slice(0, digits.length - scale)
  const text = scale === 0 ? whole : `${whole}.${digits.slice(digits.length - scale)}`
  return negative ? `-${text}` : text
}
