import { hostname } from 'node:os'
import Fastify, { type FastifyRequest } from 'fastify'
import { type AuditedRun, createRunner, ExecAudit, ExecDiagnostics, idOf } from 'x0x-exec-audit'

/*
 * An HTTP gateway with Fastify. Each command is one POST, and each refusal is in the log too:
 *
 *   curl -H 'authorization: Bearer k-alice' --json '{"argv":["uptime"]}' localhost:8080/commands
 */

const auditLogPath = process.env.AUDIT_LOG ?? './logs/exec.log'
const policy = { enabled: true, auditLogPath } as const
// Closed: what cannot be recorded does not run, and its peer gets a 503.
const audit = new ExecAudit(policy, new ExecDiagnostics(), { failureMode: 'closed' })
const runner = createRunner(audit, { maxConcurrent: 16, maxConcurrentPerAgent: 4 })
const machineId = idOf(`host:${hostname()}`)

/** Yours: the users by their keys, and the rules by the programs that they allow. */
const USERS: ReadonlyMap<string, string> = new Map([['k-alice', 'user:alice']])
const RULES: ReadonlyMap<string, string> = new Map([
  ['echo', 'harmless'],
  ['sleep', 'harmless'],
])

interface Command {
  argv: string[]
}

const body = {
  type: 'object',
  required: ['argv'],
  additionalProperties: false,
  properties: { argv: { type: 'array', minItems: 1, items: { type: 'string' } } },
} as const

/** Who asks, and on whose behalf, for the log. */
function askedBy({ headers, ip, id }: FastifyRequest) {
  const principal = USERS.get(headers.authorization?.replace(/^Bearer /, '') ?? '')
  const known = principal ?? 'user:unknown'
  const context = { principal: known, session: `http:${ip}`, tool_call: id }
  return { principal, parties: { agentId: idOf(known), machineId, context } }
}

function answerOf(run: AuditedRun) {
  const { requestId, outcome, denialReason, code, signal, stdout, stderr } = run
  const output = { stdout: stdout.toString(), stderr: stderr.toString() }
  return { requestId, outcome, denialReason, code, signal, ...output }
}

// An argv is text and is compared with the rules as it is: no conversion of numbers to strings.
const server = Fastify({ ajv: { customOptions: { coerceTypes: false, removeAdditional: false } } })

server.post<{ Body: Command }>('/commands', { schema: { body } }, async (request, reply) => {
  const { principal, parties } = askedBy(request)
  const { argv } = request.body
  if (principal === undefined) {
    const denied = await runner.deny({ ...parties, argv, reason: 'unverified_sender' })
    return reply.code(401).send(answerOf(denied))
  }
  const matchedAcl = RULES.get(argv[0] ?? '')
  if (matchedAcl === undefined) {
    const denied = await runner.deny({ ...parties, argv, reason: 'argv_not_allowed' })
    return reply.code(403).send(answerOf(denied))
  }
  // A peer that hangs up ends its command.
  const peer = new AbortController()
  reply.raw.once('close', () => peer.abort())
  const run = await runner.run({ ...parties, argv, matchedAcl, peer: peer.signal })
  const isBusy = run.denialReason === 'concurrency_limit_reached'
  return reply.code(isBusy ? 429 : run.outcome === 'denied' ? 403 : 200).send(answerOf(run))
})

server.setErrorHandler<Error & { code?: string; validation?: unknown }>(
  async (error, request, reply) => {
    if (error.validation === undefined) {
      return reply.code(503).send({ error: error.code ?? error.name })
    }
    const { parties } = askedBy(request)
    const denied = await runner.deny({ ...parties, argv: [], reason: 'malformed_frame' })
    return reply.code(400).send({ ...answerOf(denied), error: error.message })
  },
)

async function stop(): Promise<void> {
  // No new connections; those that are open have their answers once their commands have ended.
  await Promise.all([server.close(), runner.close({ cancelAfterMs: 10_000 })])
  await audit.close()
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop())
void server.listen({ port: Number(process.env.PORT ?? 8080) }).then(console.log)
