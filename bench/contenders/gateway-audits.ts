import { createRequire } from 'node:module'
import type { AuditOutcome } from '../../src'
import { type AuditCall, lineObject, submit } from '../harness/workload'
import { LOGGERS } from './peer-loggers'
import { PEERS } from './peers'
import { Reference } from './reference'

/*
 * The audit trails of the gateway in gateway.ts, which finds them by their names.
 */

const { ExecAudit, ExecDiagnostics }: typeof import('../../src') = require('../../dist')

/** A trail that is open. */
export interface Trail {
  /** Resolves when the event is as safe as this trail makes it; rejects if it could not be recorded. */
  record(call: AuditCall): Promise<void>
  /** Syncs so far. */
  syncs(): number
  close(): Promise<void>
}

export interface GatewayAudit {
  readonly name: string
  open(path: string): Trail | Promise<Trail>
}

export const AUDIT_OFF: GatewayAudit = {
  name: 'audit off',
  open: () => ({ record: async () => undefined, syncs: () => 0, close: async () => undefined }),
}

const OURS: GatewayAudit = {
  name: 'x0x-exec-audit',
  open(path) {
    const policy = { enabled: true, auditLogPath: path } as const
    const audit = new ExecAudit(policy, new ExecDiagnostics(), { failureMode: 'closed' })
    return {
      record: (call) => submit(audit, call).then(expectDurable),
      syncs: () => audit.stats().syncs.count,
      close: () => audit.close(),
    }
  },
}

const REFERENCE: GatewayAudit = {
  name: 'reference',
  open(path) {
    const reference = new Reference(path)
    let synced = 0
    return {
      async record(call) {
        expectDurable(await reference.append(call))
        synced++
      },
      syncs: () => synced,
      close: async () => undefined,
    }
  },
}

/** pino's durable setup; it has no acknowledgement of its own, see peers.ts. */
const PINO_FSYNC: readonly GatewayAudit[] = PEERS.filter(({ name }) => name === 'pino fsync').map(
  ({ name, open }) => ({
    name,
    open(path) {
      const syncs = countSyncs()
      const writer = open(path)
      return {
        record: async (call) => expectDurable(await writer.append(call)),
        syncs,
        close: async () => writer.close(),
      }
    },
  }),
)

const PINO_ASYNC: readonly GatewayAudit[] = LOGGERS.filter(
  ({ name }) => name === 'pino, async',
).map(({ name, open }) => ({
  name,
  async open(path) {
    const logger = await open(path)
    return {
      record: async (call) => logger.log(lineObject(call, Date.now())),
      syncs: () => 0,
      close: () => logger.close(),
    }
  },
}))

export const GATEWAY_AUDITS: readonly GatewayAudit[] = [
  AUDIT_OFF,
  OURS,
  REFERENCE,
  ...PINO_FSYNC,
  ...PINO_ASYNC,
]

function expectDurable(outcome: AuditOutcome): void {
  if (outcome !== 'durable') throw new Error(`an event's outcome was ${outcome}`)
}

/** Counts the fsyncs of this thread from now on: sonic-boom does not count them. */
function countSyncs(): () => number {
  const fs: { fsyncSync(fd: number): void } = createRequire(__filename)('node:fs')
  const { fsyncSync } = fs
  let count = 0
  fs.fsyncSync = (fd) => {
    fsyncSync(fd)
    count++
  }
  return () => count
}
