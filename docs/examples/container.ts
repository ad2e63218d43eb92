import { createServer } from 'node:http'
import { hostname } from 'node:os'
import { createRunner, ExecAudit, ExecDiagnostics, idOf } from 'x0x-exec-audit'

/*
 * A gateway in a container, and how it ends within the time that it is given. Process 1 is an init that passes
 * SIGTERM on and reaps what commands leave behind (`docker run --init`, tini):
 *
 *   ENTRYPOINT ["tini", "--", "node", "gateway.js"]     # not `npm start`, not a shell: they keep the signal
 *   docker run -v audit:/var/log/gateway -e AUDIT_LOG=/var/log/gateway/exec.log --stop-timeout 30 gateway
 *
 * GRACE_MS is the time between SIGTERM and SIGKILL: --stop-timeout, terminationGracePeriodSeconds. It is spent so:
 * commands may end by themselves for a third of it, then they are cancelled, and what is left is for the disk.
 */

const GRACE_MS = Number(process.env.GRACE_MS ?? 30_000)
const auditLogPath = process.env.AUDIT_LOG ?? '/var/log/gateway/exec.log'
const policy = { enabled: true, auditLogPath } as const
const audit = new ExecAudit(policy, new ExecDiagnostics(), { failureMode: 'closed' })
const runner = createRunner(audit, { maxConcurrent: 16 })
const machineId = idOf(`host:${process.env.POD_NAME ?? hostname()}`)

/** Yours: the commands that peers may ask for, by path. */
const COMMANDS: ReadonlyMap<string, readonly string[]> = new Map([
  ['/uptime', ['uptime']],
  ['/nap', ['sleep', '60']],
])
let isStopping = false

const server = createServer(async (request, response) => {
  response.setHeader('connection', 'close')
  // The readiness probe: no more requests are sent here once it fails.
  if (request.url === '/ready') return response.writeHead(isStopping ? 503 : 200).end()
  const path = request.url ?? ''
  const principal = `user:${request.headers['x-user']}` // yours: who has logged in
  const parties = { agentId: idOf(principal), machineId, context: { principal } }
  const argv = COMMANDS.get(path)
  try {
    const reason = isStopping ? 'exec_disabled' : 'argv_not_allowed'
    const run =
      isStopping || argv === undefined
        ? await runner.deny({ ...parties, argv: argv ?? [path], reason })
        : await runner.run({ ...parties, argv, matchedAcl: path })
    const status = run.outcome === 'exited' ? 200 : isStopping ? 503 : 403
    return response.writeHead(status).end(run.denialReason ?? run.stoppedBy ?? run.stdout)
  } catch (error) {
    // It could not be recorded, so nothing has run.
    return response.writeHead(503).end(String(error))
  }
})
server.listen(process.env.PORT ?? 8080, () => console.log(JSON.stringify(server.address())))

process.on('SIGTERM', async () => {
  if (isStopping) return
  isStopping = true
  // A disk that does not answer must not hold up the end: process.exit() waits for exitDrainMs at most.
  setTimeout(() => process.exit(1), GRACE_MS * 0.9).unref()
  await runner.close({ cancelAfterMs: GRACE_MS / 3 })
  server.close()
  await audit.close()
})
