const { readFileSync } = require('node:fs')
const { join } = require('node:path')

/** What both frameworks run: one event, and the lines it has left. */
exports.useAudit = async ({ ExecAudit, ExecDiagnostics }, name) => {
  const auditLogPath = join(__dirname, 'logs', name)
  const audit = new ExecAudit({ enabled: true, auditLogPath }, new ExecDiagnostics())
  const outcome = await audit.started({ requestId: '00'.repeat(16), pid: process.pid })
  await audit.close()
  return { outcome, lines: readFileSync(auditLogPath, 'utf8').split('\n').length - 1 }
}
