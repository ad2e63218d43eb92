import { once } from 'node:events'
import { createServer } from 'node:http'
import { hostname } from 'node:os'
import { isMainThread, type MessagePort, parentPort, threadId, Worker } from 'node:worker_threads'
import { createRunner, ExecAudit, ExecDiagnostics, idOf } from 'x0x-exec-audit'

/*
 * A gateway whose commands run on worker threads, so that neither spawning nor output holds up the thread that
 * answers peers. Each thread has an ExecAudit of its own, on one log:
 *
 *   curl -H 'x-user: alice' localhost:8080/uptime
 */

const THREADS = 2
const MAX_CONCURRENT = 16
const auditLogPath = process.env.AUDIT_LOG ?? './logs/exec.log'

/** Yours: the commands that peers may ask for, by path. */
const COMMANDS: ReadonlyMap<string, readonly string[]> = new Map([
  ['/uptime', ['uptime']],
  ['/nap', ['sleep', '60']],
])

interface Asked {
  readonly id: number
  readonly path: string
  readonly principal: string
}

interface Answer {
  readonly id: number
  readonly status: number
  readonly text: string
}

/** A thread of the gateway: runs what it is asked for until it is told to close. */
function serveCommands(port: MessagePort): void {
  const policy = { enabled: true, auditLogPath } as const
  const audit = new ExecAudit(policy, new ExecDiagnostics(), { failureMode: 'closed' })
  // Caps count within one thread, so each has its share.
  const runner = createRunner(audit, { maxConcurrent: MAX_CONCURRENT / THREADS })
  const machineId = idOf(`host:${hostname()}`)
  const answer = async ({ id, path, principal }: Asked): Promise<Answer> => {
    const context = { principal, session: `thread:${threadId}` }
    const parties = { agentId: idOf(principal), machineId, context }
    const argv = COMMANDS.get(path)
    try {
      const run =
        argv === undefined
          ? await runner.deny({ ...parties, argv: [path], reason: 'argv_not_allowed' })
          : await runner.run({ ...parties, argv, matchedAcl: path })
      const status = run.outcome === 'denied' ? 403 : 200
      return { id, status, text: run.denialReason ?? run.stdout.toString() }
    } catch (error) {
      // It could not be recorded, so nothing has run.
      return { id, status: 503, text: String(error) }
    }
  }
  port.on('message', async (message: Asked | 'close') => {
    if (message !== 'close') return port.postMessage(await answer(message))
    await runner.close({ cancelAfterMs: 5000 })
    await audit.close()
    port.close()
  })
}

/** The main thread: takes the peers' requests, and spreads them over the threads. */
function serveHttp(): void {
  const threads = Array.from({ length: THREADS }, () => new Worker(__filename))
  const waiting = new Map<number, (answer: Answer) => void>()
  for (const thread of threads) {
    thread.on('message', (answer: Answer) => waiting.get(answer.id)?.(answer))
  }
  let count = 0
  const server = createServer(async (request, response) => {
    const id = count++
    const path = request.url ?? ''
    const principal = `user:${request.headers['x-user']}` // yours: who has logged in
    const answered = new Promise<Answer>((resolve) => waiting.set(id, resolve))
    threads[id % THREADS]?.postMessage({ id, path, principal } satisfies Asked)
    const answer = await answered
    waiting.delete(id)
    response.writeHead(answer.status).end(answer.text)
  })
  server.listen(process.env.PORT ?? 8080, () => console.log(JSON.stringify(server.address())))
  const stop = async () => {
    server.close()
    // Never terminate(): that runs no exit handlers, and loses the events that are pending.
    const ended = threads.map((thread) => once(thread, 'exit'))
    for (const thread of threads) thread.postMessage('close')
    await Promise.all(ended)
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop())
}

if (isMainThread) serveHttp()
else if (parentPort !== null) serveCommands(parentPort)
