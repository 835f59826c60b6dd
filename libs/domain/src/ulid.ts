/** Crockford's base 32, in which text order is the order of the numbers. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const TIME_LETTERS = 10
const RANDOM_BYTES = 10

/**
 * Makes a ULID: 48 bits of time (ms since 1970) and 80 random bits, in 26 letters that sort by time
 * (https://github.com/ulid/spec). `random` has at least ten bytes that cannot be guessed.
 */
export function ulid(nowMs: number, random: Uint8Array): string {
  if (random.length < RANDOM_BYTES)
    throw new Error(`a ULID wants ${RANDOM_BYTES} random bytes, found ${random.length}`)
  let time = ''
  for (let i = 0, rest = nowMs; i < TIME_LETTERS; i += 1, rest = Math.floor(rest / 32))
    time = letter(rest % 32) + time
  let chance = ''
  let bits = 0
  let held = 0
  for (const byte of random.subarray(0, RANDOM_BYTES)) {
    held = (held << 8) | byte
    bits += 8
    for (; bits >= 5; bits -= 5) chance += letter((held >> (bits - 5)) & 31)
    held &= (1 << bits) - 1
  }
  return time + chance
}

function letter(value: number): string {
  return ALPHABET.charAt(value)
}
