import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, describe, expect, it } from 'vitest'
import { Decimal, JsonText, type Column, type Row } from '@sluice/contracts/values'
import { streamContract } from '../../test/stream-contract.ts'
import { changeOf, COLUMNS, StreamTopics } from '../../test/stream-played.ts'
import { openStreamState, type StreamStateOptions } from './sqlite.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-stream-state-'))
afterAll(() => rmSync(folder, { recursive: true }))

let files = 0
const newFile = (): string => join(folder, `${++files}.sqlite`)
const open = (file: string, options: Partial<StreamStateOptions> = {}) => {
  const state = openStreamState({ sync: 's', incarnation: 'i', partitions: 2, file, ...options })
  state.setColumns(COLUMNS)
  return state
}

streamContract('sqlite', ({ partitions }) =>
  openStreamState({ sync: 's', incarnation: 'i', partitions, file: newFile() }),
)

/** Fills a file with keys, and closes it. */
async function filled(keys: readonly string[] = ['a', 'b']): Promise<string> {
  const file = newFile()
  await using state = open(file)
  new StreamTopics(state).take(
    keys.map(key => ({ key, epoch: 2 })),
    { outcomes: { a: 'rejected' } },
  )
  return file
}

describe('the file of a state by key', () => {
  it('has everything when it is opened again', async () => {
    const file = await filled()
    await using state = open(file, { onDiscard: why => expect.fail(why) })
    expect(state.inOrder(null, 10)).toMatchObject([
      { key: 'a', state: 'absent', failed: { outcome: 'rejected' } },
      { key: 'b' },
    ])
    expect(state.positions()).toMatchObject({
      changes: [2, 0],
      retry: [1, 0],
      lastChange: [{ offset: 1, seq: 1 }, null],
    })
    expect([state.count(), state.newestEpoch()]).toEqual([{ believed: 1, failed: 1 }, 2])
  })

  it.each<[string, Partial<StreamStateOptions>, string]>([
    ['incarnation', { incarnation: 'j' }, 'its incarnation is i instead of j'],
    ['number of partitions', { partitions: 3 }, 'its partitions is 2 instead of 3'],
    ['sync', { sync: 't' }, 'its sync is s instead of t'],
  ])('is thrown away if it is of another %s', async (_, options, reason) => {
    const why: string[] = []
    await using state = open(await filled(), { ...options, onDiscard: is => why.push(is) })
    expect(why).toEqual([reason])
    expect(state.inOrder(null, 10)).toEqual([])
    expect(state.positions()).toMatchObject({ changes: expect.arrayContaining([0, 0]) })
  })

  it.each<[string, (file: string) => void, RegExp]>([
    [
      'another version made it',
      file => execute(file, "UPDATE meta SET value = '0' WHERE name = 'format'"),
      /^another version of Sluice made it$/,
    ],
    ['it is no database', file => writeFileSync(file, 'x'.repeat(8_192)), /^it cannot be read: /],
    ['it is cut off', file => truncateSync(file, statSync(file).size - 8_192), /^it cannot be read: /],
    ['it lacks a table', file => execute(file, 'DROP TABLE meta'), /^it cannot be read: /],
    ['its positions were lost', file => execute(file, 'DELETE FROM positions'), /^its positions do not/],
  ])('is thrown away if %s', async (_, damage, reason) => {
    const file = await filled()
    damage(file)
    const why: string[] = []
    await using state = open(file, { onDiscard: is => why.push(is) })
    expect(why).toEqual([expect.stringMatching(reason)])
    expect(state.inOrder(null, 10)).toEqual([])
    new StreamTopics(state).take([{ key: 'c' }])
    expect(state.of(['c']).size).toBe(1)
  })

  it('that turns out to be damaged throws `corrupt`, and a reset makes a new one', async () => {
    const file = await filled(Array.from({ length: 5_000 }, (_, index) => `key ${index}`))
    const bytes = readFileSync(file)
    writeFileSync(file, bytes.fill(0xff, 200_000, 300_000))
    await using state = open(file)
    expect(() => state.inOrder(null, 10_000)).toThrow(expect.objectContaining({ code: 'corrupt' }))
    state.reset()
    expect(state.inOrder(null, 10)).toEqual([])
  })

  it('is open once at a time', async () => {
    const file = await filled()
    await using state = open(file)
    expect(() => open(file)).toThrow(expect.objectContaining({ code: 'conflict' }))
    expect(state.of(['a']).size).toBe(1)
  })

  it('keeps nothing of a feed that fails', async () => {
    const file = await filled(['b'])
    await using state = open(file)
    const before = state.positions()
    const row = {
      get id(): string {
        throw new Error('no row')
      },
    } as unknown as Row
    const changes = {
      records: [
        { offset: 5, timestamp: 0, change: changeOf({ key: 'x', after: { other: 1 } }) },
        { offset: 6, timestamp: 0, change: changeOf({ key: 'y', after: row }) },
      ],
      nextOffset: 7,
    }
    expect(() => state.take({ partition: 0, changes })).toThrow('no row')
    expect(state.positions()).toEqual(before)
    expect(state.inOrder(null, 10).map(({ key }) => key)).toEqual(['b'])
    state.take({ partition: 0, changes: { records: changes.records.slice(0, 1), nextOffset: 6 } })
    state.setColumns([{ name: 'other', type: { kind: 'long' } }])
    expect(state.of(['x']).get('x')?.row).toEqual({ other: 1 })
  })

  it('is gone from the disk with all that belongs to it once its state is reset', async () => {
    const file = await filled()
    await using state = open(file)
    const bytes = readFileSync(file)
    state.reset()
    expect(existsSync(file)).toBe(true)
    expect(readFileSync(file)).not.toEqual(bytes)
  })
})

describe('rows of a state by key', () => {
  const TYPES: readonly (readonly [Column['type'], readonly Row[string][]])[] = [
    [{ kind: 'boolean' }, [true, false]],
    [{ kind: 'integer' }, [0, -2147483648]],
    [{ kind: 'long' }, [1, Number.MAX_SAFE_INTEGER, 9223372036854775807n, -9223372036854775808n]],
    [{ kind: 'float' }, [0.1, -0, NaN, Infinity, -Infinity, 3.4028235e38]],
    [{ kind: 'double' }, [0.1, -0, NaN, Infinity, -Infinity, 5e-324, 1e300, 12]],
    [{ kind: 'decimal', precision: 12, scale: 2 }, [new Decimal('-12.50'), new Decimal('0.00')]],
    [{ kind: 'decimal', precision: 38, scale: 0 }, [5, 99999999999999999999999999999999999999n]],
    [{ kind: 'text' }, ['', 'null', '-0', 'a\0b', 'ä "\\\n😀', '123', 'NaN']],
    [{ kind: 'bytes' }, [new Uint8Array([]), new Uint8Array([0, 255, 128])]],
    [{ kind: 'uuid' }, ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11']],
    [{ kind: 'date' }, ['2024-02-29', '-000043-03-15', 'infinity']],
    [{ kind: 'time' }, ['24:00:00', '12:34:56.000001']],
    [{ kind: 'timestamp', zone: true }, ['2024-02-29T12:34:56Z', '-infinity']],
    [{ kind: 'interval' }, ['P1Y2M3DT4H5M6.5S']],
    [{ kind: 'json' }, [new JsonText('{"a": 1.0}'), new JsonText('null'), new JsonText('1e400')]],
    [{ kind: 'list', of: { kind: 'double' } }, [[], [null], [-0, NaN, 1.5]]],
    [{ kind: 'list', of: { kind: 'list', of: { kind: 'bytes' } } }, [[[new Uint8Array([7])], null, []]]],
    [
      {
        kind: 'struct',
        fields: [
          { name: 'd', type: { kind: 'decimal', precision: 9, scale: 1 } },
          { name: '__proto__', type: { kind: 'long' } },
        ],
      },
      [
        Object.fromEntries([
          ['d', new Decimal('1.0')],
          ['__proto__', 10n ** 18n],
        ]),
      ],
    ],
  ]

  it.each(TYPES)('of the type %j are the same when they are read', async (type, values) => {
    await using state = openStreamState({ sync: 's', incarnation: 'i', partitions: 2, file: newFile() })
    state.setColumns([{ name: '__proto__', type }])
    const rows = [...values, null].map((value): Row => Object.fromEntries([['__proto__', value]]))
    new StreamTopics(state).take(
      rows.map((after, index) => ({
        key: String(index),
        op: 'settled',
        settledState: 'present',
        after,
        wanted: rows.at(-1 - index) ?? null,
      })),
    )
    const found = state.of(rows.map((_, index) => String(index)))
    expect(rows.map((_, index) => found.get(String(index))?.row)).toStrictEqual(rows)
    expect(rows.map((_, index) => found.get(String(index))?.wanted)).toStrictEqual(rows.toReversed())
  })

  it('of an earlier type have the text or number that they had', async () => {
    await using state = openStreamState({ sync: 's', incarnation: 'i', partitions: 2, file: newFile() })
    const topics = new StreamTopics(state)
    topics.take([
      { key: 'a', after: { id: 'a', v: 5 } },
      { key: 'b', after: { id: 'b', v: new Decimal('1.50') } },
    ])
    state.setColumns([{ name: 'v', type: { kind: 'text' } }])
    expect(state.of(['a', 'b'])).toMatchObject(
      new Map([
        ['a', { row: { v: 5 } }],
        ['b', { row: { v: '1.50' } }],
      ]),
    )
  })
})

function execute(file: string, sql: string): void {
  using db = new DatabaseSync(file)
  db.exec(sql)
}
