import { closeSync, fdatasyncSync, openSync, readFileSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { ExecAuditOptions } from '../../src'
import { linesOf } from '../harness/read-back'
import type { Contender } from '../harness/trial'
import { type AuditCall, lineOf, submit } from '../harness/workload'
import { Reference } from './reference'

/*
 * The contenders that need no other package. Those that do are in peers.ts.
 */

type Library = typeof import('../../src')

const LIBRARY: Library = require('../../dist')

/** The library of a checkout that is built. Throws if there is none. */
export function libraryOf(checkout: string): Library {
  return createRequire(join(checkout, 'package.json'))('./dist/index.js')
}

/** The name of the other checkout's writer. */
export const BEFORE = 'before'

/** The common part of contenders that take any number of events in flight. */
const LINES = { inFlightMax: Number.POSITIVE_INFINITY, stored: linesOf } as const

function ours(
  name: string,
  outcome: 'durable' | 'written',
  options: ExecAuditOptions,
  { ExecAudit, ExecDiagnostics }: Library = LIBRARY,
): Contender {
  return {
    ...LINES,
    name,
    outcome,
    keepsOrder: true,
    open(path) {
      const policy = { enabled: true, auditLogPath: path } as const
      const audit = new ExecAudit(policy, new ExecDiagnostics(), options)
      return { append: (call) => submit(audit, call), close: () => audit.close() }
    },
  }
}

export const OURS = ours('x0x-exec-audit', 'durable', {})

/** The writer of another checkout: the state before a change, or none. */
export function beforeOf(checkout: string | undefined): readonly Contender[] {
  return checkout === undefined ? [] : [ours(BEFORE, 'durable', {}, libraryOf(checkout))]
}

/** The writer without syncing, which shows the price of durability. */
export const OURS_UNSYNCED = ours("method: 'none'", 'written', { fsync: { method: 'none' } })

export const REFERENCE: Contender = {
  ...LINES,
  name: 'reference',
  outcome: 'durable',
  keepsOrder: false,
  // It opens the file for each event, all of them before it writes the first.
  inFlightMax: descriptorsMax() - 100,
  open(path) {
    const reference = new Reference(path)
    return { append: (call) => reference.append(call), close: () => undefined }
  },
}

/** One writeSync and one fdatasyncSync, which block the caller: the floor that the disk sets. */
export const RAW: Contender = {
  ...LINES,
  name: 'raw',
  outcome: 'durable',
  keepsOrder: true,
  inFlightMax: 1,
  open(path) {
    const fd = openSync(path, 'a', 0o600)
    const append = (call: AuditCall) => {
      writeSync(fd, lineOf(call))
      fdatasyncSync(fd)
      return 'durable' as const
    }
    return { append, close: () => closeSync(fd) }
  },
}

/** How many files this process may have open, which only Linux says. */
function descriptorsMax(): number {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8')
    const soft = /^Max open files +(\d+)/m.exec(limits)?.[1]
    return Number(soft ?? 1024)
  } catch {
    return 1024
  }
}
