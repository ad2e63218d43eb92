import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import { beforeAll, describe, expect, test } from 'vitest'
import { ExecAudit, ExecDiagnostics } from 'x0x-exec-audit'

/*
 * The writer's faults under vitest, whose pool of threads makes the audit's thread a worker itself: a worker that
 * dies, a sync that fails, a full ring, a rotation, and an audit that nobody closes.
 */

const folder = join(import.meta.dirname, 'logs')
const requestId = '00'.repeat(16)
const workers = []
process.on('worker', (worker) => workers.push(worker))

const open = (name, options = {}) => {
  const auditLogPath = join(folder, `${process.env.POOL}-${name}.log`)
  const codes = []
  const logger = { warn: ({ code }) => codes.push(code) }
  const policy = { enabled: true, auditLogPath }
  const audit = new ExecAudit(policy, new ExecDiagnostics(), { logger, ...options })
  const pids = (file = auditLogPath) => {
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
    return lines.map((line) => JSON.parse(line).pid)
  }
  return { audit, auditLogPath, codes, pids }
}

const record = (audit, count) =>
  Array.from({ length: count }, (_, pid) => audit.started({ requestId, pid }))

const upTo = (count) => Array.from({ length: count }, (_, i) => i)
/** Below another thread a group that a dead worker had begun is written again. */
const once = (pids) => [...new Set(pids)]

beforeAll(() => {
  mkdirSync(folder, { recursive: true })
})

test('this is the pool that is meant', () => {
  expect(isMainThread).toBe(process.env.POOL === 'forks')
})

describe('a worker that dies', () => {
  test.each([0, 1, 2, 3, 4])('under load, time %i, loses and reorders nothing', async (time) => {
    const { audit, codes, pids } = open(`death-${time}`)
    await audit.started({ requestId, pid: 0 })
    const outcomes = []
    for (let pid = 1; pid < 500; pid++) {
      outcomes.push(audit.started({ requestId, pid }))
      if (pid === 100 * time + 50) workers.at(-1).terminate()
      if (pid % 100 === 0) await outcomes.at(-50)
    }
    expect(new Set(await Promise.all(outcomes))).toEqual(new Set(['durable']))
    await audit.close()
    expect(once(pids())).toEqual(upTo(500))
    expect(codes).toEqual([])
  })
})

test('a sync that fails fails its own event, and no other', async () => {
  const workerFile = join(folder, `${process.env.POOL}-failing-worker.cjs`)
  const real = createRequire(import.meta.url).resolve('x0x-exec-audit/worker')
  writeFileSync(
    workerFile,
    `const fs = require('node:fs')
     const { fdatasyncSync } = fs
     let calls = 0
     fs.fdatasyncSync = (fd) => {
       if (++calls === 2) throw Object.assign(new Error('EIO'), { code: 'EIO', errno: -5 })
       return fdatasyncSync(fd)
     }
     module.exports = require(${JSON.stringify(real)})`,
  )
  const { audit, codes, pids } = open('sync', { workerFile })
  const outcomes = []
  for (let pid = 0; pid < 3; pid++) outcomes.push(await audit.started({ requestId, pid }))
  expect(outcomes).toEqual(['durable', 'failed', 'durable'])
  expect(codes).toEqual(['AUDIT_SYNC_FAILED', 'AUDIT_RECOVERED'])
  await audit.close()
  expect(pids()).toEqual([0, 1, 2])
})

describe('a full ring', () => {
  test.each(['wait', 'block'])("loses and reorders nothing with onFull '%s'", async (onFull) => {
    const { audit, pids } = open(`full-${onFull}`, { ringBytes: 1024, onFull, maxBlockMs: 60_000 })
    const outcomes = await Promise.all(record(audit, 300))
    expect(new Set(outcomes)).toEqual(new Set(['durable']))
    await audit.close()
    expect(pids()).toEqual(upTo(300))
  })
})

test('a rotation under load loses and doubles nothing', async () => {
  const { audit, auditLogPath, pids } = open('rotated')
  const outcomes = record(audit, 200)
  await outcomes[100]
  renameSync(auditLogPath, `${auditLogPath}.1`)
  outcomes.push(audit.started({ requestId, pid: 200 }))
  expect(new Set(await Promise.all(outcomes))).toEqual(new Set(['durable']))
  await audit.close()
  expect([...pids(`${auditLogPath}.1`), ...pids()]).toEqual(upTo(201))
})

test('drainSync() blocks until all is durable, also when the worker has just died', async () => {
  const { audit, pids } = open('drained')
  await audit.started({ requestId, pid: 0 })
  const outcomes = [1, 2, 3].map((pid) => audit.started({ requestId, pid }))
  workers.at(-1).terminate()
  expect(audit.drainSync(30_000)).toBe(true)
  expect(await Promise.all(outcomes)).toEqual(['durable', 'durable', 'durable'])
  await audit.close()
  expect(once(pids())).toEqual(upTo(4))
})

test('an audit that nobody closes holds up neither the thread nor the run', async () => {
  const { audit, auditLogPath } = open('left')
  expect(await audit.started({ requestId, pid: 0 })).toBe('durable')
  expect(existsSync(auditLogPath)).toBe(true)
})
