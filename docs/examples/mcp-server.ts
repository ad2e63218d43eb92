import { randomUUID } from 'node:crypto'
import { hostname, userInfo } from 'node:os'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js'
import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js'
import { type AuditedRun, createRunner, ExecAudit, ExecDiagnostics, idOf } from 'x0x-exec-audit'
import { z } from 'zod'

/*
 * An MCP server over standard input and output with one tool, `run`. A tool call is one audited run; a refusal
 * is recorded and is a result with `isError`, so that the model reads why. Standard output is the protocol's;
 * the audit's warnings go to standard error.
 */

const auditLogPath = process.env.AUDIT_LOG ?? './logs/exec.log'
const policy = { enabled: true, auditLogPath } as const
// Closed: what cannot be recorded does not run, and the model gets the error's text.
const audit = new ExecAudit(policy, new ExecDiagnostics(), { failureMode: 'closed' })
const runner = createRunner(audit, { maxConcurrent: 8, maxConcurrentPerAgent: 8 })

/** Over standard input the one who asks is the user who has started the server. */
const principal = `user:${userInfo().username}`
const parties = { agentId: idOf(principal), machineId: idOf(`host:${hostname()}`) }
const session = randomUUID()

/** Yours: the programs that a model may run, each with the rule that allows it. */
const RULES: ReadonlyMap<string, string> = new Map([
  ['echo', 'harmless'],
  ['sleep', 'harmless'],
])

/** What the model gets to read. */
function resultOf(run: AuditedRun): CallToolResult {
  const { outcome, denialReason, stoppedBy, code, signal, stdout, stderr } = run
  if (outcome !== 'exited') {
    const text = `not run: ${denialReason ?? stoppedBy}`
    return { isError: true, content: [{ type: 'text', text }] }
  }
  const ended = signal === null ? `exit code ${code}` : `ended by ${signal}`
  const isError = stoppedBy !== null
  return { isError, content: [{ type: 'text', text: `${ended}\n${stdout}${stderr}` }] }
}

const server = new McpServer({ name: 'audited-commands', version: '1.0.0' })

server.registerTool(
  'run',
  {
    description: 'Runs a program without a shell, and returns its exit code and its output',
    inputSchema: { argv: z.array(z.string()).min(1), timeoutMs: z.int().min(1).optional() },
  },
  async ({ argv, timeoutMs }, { requestId, signal }) => {
    const context = { principal, session, tool_call: String(requestId) }
    const matchedAcl = RULES.get(argv[0] ?? '')
    if (matchedAcl === undefined) {
      const reason = 'argv_not_allowed'
      return resultOf(await runner.deny({ ...parties, argv, context, reason }))
    }
    // The client's notification that it no longer wants the answer ends the command.
    const cancel = signal
    return resultOf(await runner.run({ ...parties, argv, matchedAcl, timeoutMs, context, cancel }))
  },
)

async function stop(): Promise<void> {
  await runner.close({ cancelAfterMs: 1000 })
  await server.close()
  await audit.close()
}

// A client ends the server by closing its input, and by a signal if that does not help.
process.stdin.once('end', () => void stop())
for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => void stop())
void server.connect(new StdioServerTransport())
