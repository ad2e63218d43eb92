import {
  EXITED,
  REQUESTED,
  RequestTable,
  STARTED,
} from '../../../src/cli/shared/verification/request-table'
import { lineText, verifyText } from '../../support/verified'

const idOf = (n: number) => n.toString(16).padStart(32, '0')

/** Growing makes new arrays, so the slot comes first. */
function set(table: RequestTable, id: string, flags: number): void {
  const slot = table.slotOf(id)
  table.flags[slot] = flags
}

function get(table: RequestTable, id: string): number | undefined {
  const slot = table.slotOf(id)
  return table.flags[slot]
}

describe('the table of requests', () => {
  const add = (table: RequestTable, n: number, flags: number) => {
    set(table, idOf(n), flags)
  }
  const has = (table: RequestTable, n: number) => get(table, idOf(n))

  it('knows each of many requests while it grows', () => {
    const table = new RequestTable(2 ** 16)
    for (let n = 0; n < 2 ** 15; n++) add(table, n, (n % 15) + 1)
    const wrong = Array.from({ length: 2 ** 15 }, (_, n) => n).filter(
      (n) => has(table, n) !== (n % 15) + 1,
    )
    expect([wrong, table.forgotten, table.lost]).toEqual([[], 0, 0])
  })

  const hex = (value: number) => (value >>> 0).toString(16).padStart(8, '0')
  it.each<[string, (n: number) => string]>([
    ['counters', idOf],
    ['counters in their first digits', (n) => hex(n).padEnd(32, '0')],
    ['counters in the middle', (n) => `${'0'.repeat(12)}${hex(n)}`.padEnd(32, 'f')],
    ['multiples of 2^16', (n) => idOf(n * 65_536)],
    // These met in one place while the multipliers were constants.
    ['made to meet', (n) => `${hex(Math.imul(n, 0x9e3779b1))}${hex(n)}${'0'.repeat(16)}`],
  ])('finds ids that are %s in a few steps', (_, idFor) => {
    const table = new RequestTable(2 ** 16)
    const ids = 20_000
    for (const round of [1, 2, 3]) {
      for (let n = 0; n < ids; n++) set(table, idFor(n), round)
    }
    expect(table.count(() => true)).toBe(ids)
    expect(table.probes / (3 * ids)).toBeLessThan(8)
  })

  it('distinguishes ids that differ in any one bit', () => {
    const table = new RequestTable(1_024)
    const ids = Array.from({ length: 128 }, (_, bit) =>
      (1n << BigInt(bit)).toString(16).padStart(32, '0'),
    )
    for (const [i, id] of ids.entries()) set(table, id, (i % 15) + 1)
    expect(ids.map((id) => get(table, id))).toEqual(ids.map((_, i) => (i % 15) + 1))
  })

  it('forgets the oldest that have ended, and keeps the open ones', () => {
    const table = new RequestTable(1_024)
    for (let n = 0; n < 100; n++) add(table, n, REQUESTED | STARTED)
    for (let n = 100; n < 10_000; n++) add(table, n, REQUESTED | STARTED | EXITED)
    expect(table.lost).toBe(0)
    expect(table.forgotten).toBeGreaterThan(8_000)
    expect(table.count((flags) => (flags & EXITED) === 0)).toBe(100)
    expect(has(table, 9_999)).toBe(REQUESTED | STARTED | EXITED)
  })

  it('counts the open ones that it could not keep, so that the answer is "cannot tell"', async () => {
    const log = (event: string) =>
      Array.from({ length: 3_000 }, (_, n) => `${lineText(event, idOf(n), 1)}\n`).join('')
    const small = await verifyText(log('request'), { maxRequests: 1_024 })
    expect([small.verdict, small.broken, small.unsure, small.notes.openRequests]).toEqual([
      'unsure',
      0,
      0,
      3_000,
    ])
    const denied = await verifyText(log('denial'), { maxRequests: 1_024 })
    expect([denied.verdict, denied.notes.openRequests]).toEqual(['good', 0])
    expect(denied.notes.forgottenRequests).toBeGreaterThan(1_000)
  })
})
