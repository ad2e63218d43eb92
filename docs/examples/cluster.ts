import cluster from 'node:cluster'
import { createServer } from 'node:http'
import { hostname } from 'node:os'
import { createRunner, ExecAudit, ExecDiagnostics, idOf } from 'x0x-exec-audit'

/*
 * A gateway of several processes (node:cluster) and one log. Each process has an ExecAudit of its own on the same
 * path: lines stay whole, those of one process stay in order, and request ids tell commands apart. Nothing else is
 * shared: caps count within one process, and each syncs for itself.
 *
 *   curl -H 'x-user: alice' localhost:8080/uptime
 */

const PROCESSES = 2
const MAX_CONCURRENT = 16
const auditLogPath = process.env.AUDIT_LOG ?? './logs/exec.log'

/** Yours: the commands that peers may ask for, by path. */
const COMMANDS: ReadonlyMap<string, readonly string[]> = new Map([
  ['/uptime', ['uptime']],
  ['/nap', ['sleep', '60']],
])

/** The first process: keeps the others alive, and passes its signals on. */
function keepProcesses(): void {
  let isStopping = false
  for (let i = 0; i < PROCESSES; i++) cluster.fork()
  cluster.on('exit', () => {
    if (!isStopping) cluster.fork()
  })
  cluster.on('listening', (worker, { port }) => {
    console.log(JSON.stringify({ pid: worker.process.pid, port }))
  })
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      isStopping = true
      for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGTERM')
    })
  }
}

/** One of the processes: the gateway. */
function serve(): void {
  const policy = { enabled: true, auditLogPath } as const
  const audit = new ExecAudit(policy, new ExecDiagnostics(), { failureMode: 'closed' })
  const runner = createRunner(audit, { maxConcurrent: MAX_CONCURRENT / PROCESSES })
  const machineId = idOf(`host:${hostname()}`)

  const server = createServer(async (request, response) => {
    const path = request.url ?? ''
    const principal = `user:${request.headers['x-user']}` // yours: who has logged in
    const context = { principal, session: `process:${process.pid}` }
    const parties = { agentId: idOf(principal), machineId, context }
    const argv = COMMANDS.get(path)
    try {
      const run =
        argv === undefined
          ? await runner.deny({ ...parties, argv: [path], reason: 'argv_not_allowed' })
          : await runner.run({ ...parties, argv, matchedAcl: path })
      const status = run.outcome === 'denied' ? 403 : 200
      response.writeHead(status, { connection: 'close' }).end(run.denialReason ?? run.stdout)
    } catch (error) {
      // It could not be recorded, so nothing has run.
      response.writeHead(503, { connection: 'close' }).end(String(error))
    }
  })
  server.listen(process.env.PORT ?? 8080)

  let isStopping = false
  const stop = async () => {
    if (isStopping) return
    isStopping = true
    server.close()
    await runner.close({ cancelAfterMs: 5000 })
    await audit.close()
    cluster.worker?.disconnect()
  }
  // A terminal sends SIGINT to all processes of the cluster at once.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop())
}

if (cluster.isPrimary) keepProcesses()
else serve()
