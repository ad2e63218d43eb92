import { join } from 'node:path'
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads'
import { Control } from './control'
import type { Order, Result } from './messages'

const DIST = join(__dirname, '../../../dist')

/** Makes runs in two threads; resolves with the first broken promise, or with what was done. */
export async function explore(order: Order, isTraced = false): Promise<Result> {
  const { buffer: control } = Control.allocate()
  const { port1, port2 } = new MessageChannel()
  const start = (name: string, port: MessagePort) =>
    new Worker(join(__dirname, name), {
      execArgv: ['-r', 'esbuild-register'],
      workerData: { control, dist: DIST, isTraced, port },
      transferList: [port],
      trackUnmanagedFds: false,
    })
  const threads = [start('caller-thread.ts', port1), start('worker-thread.ts', port2)]
  try {
    return await new Promise<Result>((resolve, reject) => {
      for (const thread of threads) thread.on('message', resolve).on('error', reject)
      threads[0]?.postMessage(order)
    })
  } finally {
    await Promise.all(threads.map((thread) => thread.terminate()))
  }
}
