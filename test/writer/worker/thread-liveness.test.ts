import { once } from 'node:events'
import * as fs from 'node:fs'
import { Worker } from 'node:worker_threads'
import type * as ThreadLiveness from '../../../src/writer/worker/thread-liveness'
import { currentThreadId, isThreadGone } from '../../../src/writer/worker/thread-liveness'

const SAY_ID = `
const id = Number(require('node:fs').readlinkSync('/proc/thread-self').split('/').at(-1))
const { parentPort } = require('node:worker_threads')
parentPort.on('message', () => parentPort.close())
parentPort.postMessage(id)`

/** A thread of this process and its kernel's id. */
async function startThread(): Promise<{ id: number; end: () => Promise<unknown> }> {
  const worker = new Worker(SAY_ID, { eval: true })
  const [id]: unknown[] = await once(worker, 'message')
  return { id: Number(id), end: () => worker.terminate() }
}

/** The module as it is when what it imports of node:fs gives wrong answers. */
function withFileSystem(lies: Partial<Record<'statSync' | 'readlinkSync', () => unknown>>) {
  jest.resetModules()
  jest.doMock('node:fs', () => ({ ...fs, ...lies }))
  return jest.requireActual<typeof ThreadLiveness>('../../../src/writer/worker/thread-liveness')
}

function failing(code: string): () => never {
  return () => {
    throw Object.assign(new Error(code), { code })
  }
}

describe('whether a thread is gone', () => {
  afterEach(() => {
    jest.restoreAllMocks()
    jest.dontMock('node:fs')
  })

  it('is known for one that lives, and for one that has ended', async () => {
    const { id, end } = await startThread()
    expect([isThreadGone(id), isThreadGone(currentThreadId())]).toEqual([false, false])
    await end()
    expect(isThreadGone(id)).toBe(true)
  })

  it('is not known for no thread', () => {
    expect([isThreadGone(0), isThreadGone(-1)]).toEqual([false, false])
  })

  it.each(['existsSync', 'statSync', 'lstatSync', 'accessSync', 'readlinkSync'] as const)(
    'is not asked of an fs.%s that was replaced',
    (name) => {
      jest
        .spyOn(jest.requireActual<typeof fs>('node:fs'), name)
        .mockImplementation(failing('ENOENT'))
      expect(isThreadGone(currentThreadId())).toBe(false)
    },
  )

  it.each([
    ['denies access', { statSync: failing('EACCES') }],
    ['has no descriptors left', { statSync: failing('ENFILE') }],
    ['knows of no thread at all', { statSync: failing('ENOENT') }],
    ['answers nothing', { statSync: () => undefined }],
    ['throws what is no error', { statSync: failing('') }],
    ['has a file in its place', { statSync: () => ({ isDirectory: () => false }) }],
    ['does not say who this thread is', { readlinkSync: failing('EACCES') }],
  ])('is not believed of a /proc that %s', async (_, lies) => {
    const { id, end } = await startThread()
    await end()
    expect(withFileSystem(lies).isThreadGone(id)).toBe(false)
  })
})
