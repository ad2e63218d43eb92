import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import {
  DEFAULT_EXEC_POLICY_PATH,
  DEFAULT_RUN_LIMITS,
  ExecAudit,
  ExecDiagnostics,
  loadExecPolicy,
  PolicyFileError,
} from '../../src'
import { useTempDir } from '../support/temp-dir'

const dir = useTempDir()

function load(text: string | Buffer) {
  writeFileSync(dir.path('exec-acl.toml'), text)
  return loadExecPolicy(dir.path('exec-acl.toml'))
}

function errorOf(text: string | Buffer): PolicyFileError {
  try {
    load(text)
  } catch (thrown) {
    if (thrown instanceof PolicyFileError) return thrown
    throw thrown
  }
  throw new Error('it was taken')
}

const COMMANDS = '\ncommands = [{ argv = ["ls"] }]'

const ALLOW = `
[[exec.allow]]
description = "ops-laptop"
agent_id = "${'a'.repeat(64)}"
machine_id = "${'b'.repeat(64)}"

[[exec.allow.commands]]
argv = ["systemctl", "status", "x0xd"]

[[exec.allow.commands]]
argv = ["journalctl", "-n", "<INT>"]
`

describe("x0x's policy file", () => {
  it('gives the policy, the caps and what is carried along', () => {
    const loaded = load(`
[exec]
enabled = true
max_stdout_bytes = 1_000
max_stderr_bytes = 2_000
max_stdin_bytes = 3_000
max_duration_secs = 40
max_concurrent_per_agent = 5
max_concurrent_total = 6
warn_stdout_bytes = 700
warn_stderr_bytes = 800_000
warn_duration_secs = 9
default_cwd = "/srv"
audit_log_path = "/var/log/gateway/exec.log"
audit_tasklist_id = "01HZX"
${ALLOW}
[logging]
level = "info"
`)
    expect(loaded.policy).toEqual({
      enabled: true,
      auditLogPath: '/var/log/gateway/exec.log',
      auditTasklistId: '01HZX',
    })
    const limits = {
      maxStdoutBytes: 1_000,
      maxStderrBytes: 2_000,
      maxStdinBytes: 3_000,
      maxDurationMs: 40_000,
      warnStdoutBytes: 700,
      warnStderrBytes: 2_000,
      warnDurationMs: 9_000,
      graceMs: 5_000,
      lingerMs: 1_000,
    }
    expect(loaded.limits).toEqual(limits)
    expect(loaded.concurrency).toEqual({ perAgent: 5, total: 6 })
    expect(loaded.defaultCwd).toBe('/srv')
    expect(JSON.parse(JSON.stringify(loaded.allow))).toEqual([
      {
        description: 'ops-laptop',
        agent_id: 'a'.repeat(64),
        machine_id: 'b'.repeat(64),
        commands: [
          { argv: ['systemctl', 'status', 'x0xd'] },
          { argv: ['journalctl', '-n', '<INT>'] },
        ],
      },
    ])
    expect(loaded.summary()).toEqual({
      enabled: true,
      loadedFrom: dir.path('exec-acl.toml'),
      loadedAtUnixMs: expect.any(Number),
      allowEntryCount: 1,
      commandEntryCount: 2,
      auditLogPath: '/var/log/gateway/exec.log',
      limits,
    })
    expect(loaded.path).toBe(dir.path('exec-acl.toml'))
  })

  it("has x0x's defaults", () => {
    const { policy, limits, concurrency, defaultCwd, allow } = load('exec = { enabled = true }')
    expect(policy).toEqual({
      enabled: true,
      auditLogPath: '/var/log/x0x/exec.log',
      auditTasklistId: undefined,
    })
    expect(limits).toEqual(DEFAULT_RUN_LIMITS)
    expect([concurrency, defaultCwd, allow]).toEqual([{ perAgent: 4, total: 32 }, undefined, []])
  })

  it('may hold numbers that are larger than a number here', () => {
    const { limits } = load(
      '[exec]\nenabled = true\nmax_stdout_bytes = 9223372036854775807\nmax_duration_secs = 10000000\n',
    )
    expect(limits.maxStdoutBytes).toBe(Number.MAX_SAFE_INTEGER)
    expect(limits.maxDurationMs).toBe(2 ** 31 - 1)
  })

  it.each([
    ['', 'missing_exec_section'],
    ['[connect]\nenabled = true', 'missing_exec_section'],
    ['[exit]\n[spec]\n[exp]\n[policy]\nexec = 1\n', 'missing_exec_section'],
    ['[exec]', 'exec_disabled'],
    ['[exec]\nenabled = false\nmax_stdin_bytes = 0', 'exec_disabled'],
  ])('%j is a disabled policy', (text, reason) => {
    const loaded = load(text)
    expect(loaded.policy).toEqual({ enabled: false, reason })
    expect(loaded.limits).toEqual(DEFAULT_RUN_LIMITS)
    expect(loaded.summary()).toMatchObject({ enabled: false, disabledReason: reason })
    const audit = new ExecAudit(loaded.policy, new ExecDiagnostics())
    expect(audit.drainSync()).toBe(true)
  })

  it('may be missing at its default place, and nowhere else', () => {
    expect(DEFAULT_EXEC_POLICY_PATH).toMatch(/\/etc\/x0x\/exec-acl\.toml$/)
    if (!existsSync(DEFAULT_EXEC_POLICY_PATH)) {
      const { policy, path } = loadExecPolicy()
      expect([policy, path]).toEqual([
        { enabled: false, reason: 'acl_missing' },
        DEFAULT_EXEC_POLICY_PATH,
      ])
    }
    const path = dir.path('missing.toml')
    expect(() => loadExecPolicy(path)).toThrow(
      expect.objectContaining({ code: 'POLICY_FILE_MISSING', path, line: undefined }),
    )
  })
})

describe('a mistake in the policy file', () => {
  it.each([
    [
      '[exec]\nenabled = true\n\nmax_stdot_bytes = 1\n',
      4,
      'exec.max_stdot_bytes',
      /: unknown key; did you mean max_stdout_bytes\? Known are enabled, /,
    ],
    ['[exec]\nenabeld = true\n', 2, 'exec.enabeld', /: unknown key; did you mean enabled\? /],
    ['exec.enabled = "yes"\n', 1, 'exec.enabled', /: expected true or false, got a string$/],
    [
      '# enabled = 1\n[other]\nenabled = 3\n[exec]\nenabled = 2\n',
      5,
      'exec.enabled',
      /: expected true or false, got 2$/,
    ],
    [
      '[exec]\nenabled = true\nmax_stdin_bytes = 0',
      3,
      'exec.max_stdin_bytes',
      /: expected an integer from 1, got 0$/,
    ],
    [
      '[exec]\r\nwarn_duration_secs = 1.5\r\n',
      2,
      'exec.warn_duration_secs',
      /: expected an integer from 0, got 1\.5$/,
    ],
    [
      `${'\n'.repeat(9)}[exec]\nenabled = true\nmax_concurrent_per_agent = 33`,
      12,
      'exec.max_concurrent_per_agent',
      /: expected at most max_concurrent_total, which is 32 by default, got 33$/,
    ],
    [
      '[exec]\nmax_concurrent_total = 2\nenabled = true',
      2,
      'exec.max_concurrent_total',
      /: expected at least max_concurrent_per_agent, which is 4 by default, got 2; set both keys$/,
    ],
    [
      '[exec]\nenabled = true\nmax_concurrent_total = 2\nmax_concurrent_per_agent = 3',
      4,
      'exec.max_concurrent_per_agent',
      /: expected at most max_concurrent_total, which is 2, got 3$/,
    ],
    [
      '[exec]\nmax_concurrent_total = 4294967296',
      2,
      'exec.max_concurrent_total',
      /: expected an integer from 0 to 4294967295, got 4294967296$/,
    ],
    ['[exec]\naudit_log_path = ""', 2, 'exec.audit_log_path', /: expected a path, got an empty/],
    ['[exec]\naudit_log_path = 1979-05-27', 2, 'exec.audit_log_path', /a string, got a date$/],
    [
      '[exec]\nallow = ["x"]',
      2,
      'exec.allow',
      /: expected \[\[exec.allow\]\] tables, got an array$/,
    ],
    ['a = 1\nexec = 5\n', 2, 'exec', /: expected a table, got 5$/],
  ])('in %j is at line %d, in %s', (text, line, key, message) => {
    const error = errorOf(text)
    expect([error.code, error.line, error.key]).toEqual(['POLICY_FILE_INVALID', line, key])
    expect(error.message.startsWith(`${dir.path('exec-acl.toml')}:${line}: ${key}: `)).toBe(true)
    expect(error.message).toMatch(message)
  })

  it.each([
    ['[exce]\nenabled = true\n', 1, 'exce'],
    ['# Exec\n[Exec]\nenabled = true\n', 2, 'Exec'],
    ['[connect]\n\n[exec_policy]\nenabled = true\n', 3, 'exec_policy'],
    ['\n[[exe.allow]]\nagent_id = "a"\n', 2, 'exe'],
    ['execs.enabled = true', 1, 'execs'],
  ])('is the misspelt section of %j, at line %d', (text, line, key) => {
    const error = errorOf(text)
    expect([error.code, error.line, error.key]).toEqual(['POLICY_FILE_INVALID', line, key])
    expect(error.message).toBe(
      `${dir.path('exec-acl.toml')}:${line}: ${key}: unknown section; did you mean [exec]? Without it the policy is disabled`,
    )
  })

  it.each([
    ['# no section\nenabled = true\n', 2, 'enabled'],
    ['audit_log_path = "/x"\n[exec]\nenabled = true\n', 1, 'audit_log_path'],
    ['[exec]\nenabled = true\n[[allow]]\nagent_id = "a"\n', 3, 'allow'],
  ])('is the key outside of its section in %j, at line %d', (text, line, key) => {
    const error = errorOf(text)
    expect([error.code, error.line, error.key]).toEqual(['POLICY_FILE_INVALID', line, key])
    expect(error.message).toBe(
      `${dir.path('exec-acl.toml')}:${line}: ${key}: it stands outside its section, and so has no effect; put it under [exec]`,
    )
  })

  it.each([
    [
      `agent = "a"${COMMANDS}`,
      6,
      '.agent',
      'unknown key; did you mean agent_id? Known are description, principal, agent_id, machine_id, max_duration_secs, commands',
    ],
    [`description = 1${COMMANDS}`, 6, '.description', 'expected a string, got 1'],
    [
      `max_duration_secs = -1${COMMANDS}`,
      6,
      '.max_duration_secs',
      'expected an integer from 0, got -1',
    ],
    ['commands = ["ls"]', 6, '.commands', 'expected [[exec.allow.commands]] tables, got an array'],
    [
      'commands = []',
      6,
      '.commands',
      'expected at least one [[exec.allow.commands]] table, got none',
    ],
    ['', 3, '.commands', 'expected at least one [[exec.allow.commands]] table, got none'],
    [
      'commands = [{ argv = "ls" }]',
      6,
      '.commands[0].argv',
      'expected an array of strings, got a string',
    ],
    [
      'commands = [{ argv = [] }]',
      6,
      '.commands[0].argv',
      'expected at least one string, got none',
    ],
    ['commands = [{ argv = ["a", 1] }]', 6, '.commands[0].argv[1]', 'expected a string, got 1'],
    [
      '[[exec.allow.commands]]\nargv = ["a"]\n[[exec.allow.commands]]\nargw = ["b"]\nargv = ["c"]',
      9,
      '.commands[1].argw',
      'unknown key; did you mean argv? Known are argv',
    ],
    [
      '[[exec.allow.commands]]\n#',
      6,
      '.commands[0].argv',
      'expected an array of strings, got none',
    ],
    [
      'commands = [{ argv = ["<INT>", "<URL_PATH>", "http://a<URL_PATH>"] },\n{ argv = ["<ANY>"] }]',
      6,
      '.commands[1].argv[0]',
      'expected text without < and >, <INT>, or <URL_PATH> at its end, got "<ANY>"',
    ],
  ])('within an allow entry with %j is at line %d, in %s', (rest, line, key, problem) => {
    const ids = `agent_id = "${'a'.repeat(64)}"\nmachine_id = "${'B'.repeat(64)}"`
    const { mistakes } = errorOf(`[exec]\nenabled = true\n[[exec.allow]]\n${ids}\n${rest}\n`)
    expect(mistakes).toEqual([{ line, key: `exec.allow[0]${key}`, problem }])
  })

  it.each([
    ['agent_id = "ab"', 'agent_id', 'expected 64 hexadecimal digits, got 2 characters'],
    [`agent_id = "${'g'.repeat(64)}"`, 'agent_id', 'expected 64 hexadecimal digits, got others'],
    ['', 'agent_id', 'expected 64 hexadecimal digits, got none; or set principal = "owner"'],
    ['principal = "owner"', 'machine_id', 'expected none beside principal; leave one of them out'],
  ])('with %j is the %s of an allow entry', (id, key, problem) => {
    const entry = `${id}\nmachine_id = "${'b'.repeat(64)}"\ncommands = [{ argv = ["ls"] }]\n`
    const { mistakes } = errorOf(`[exec]\nenabled = true\n[[exec.allow]]\n${entry}`)
    expect(mistakes).toEqual([
      { line: key === 'machine_id' ? 5 : id === '' ? 3 : 4, key: `exec.allow[0].${key}`, problem },
    ])
    // Of a policy that is disabled x0x checks names and types alone.
    expect(load(`[exec]\n[[exec.allow]]\n${entry}`).allow).toHaveLength(1)
  })

  it('is no entry for the owner', () => {
    const entry = '[[exec.allow]]\nprincipal = "owner"\ncommands = [{ argv = ["ls"] }]\n'
    expect(load(`[exec]\nenabled = true\n${entry}`).allow).toHaveLength(1)
    const { mistakes } = errorOf(`[exec]\nenabled = true\n${entry.replace('owner', 'grant')}`)
    expect(mistakes).toEqual([
      {
        line: 4,
        key: 'exec.allow[0].principal',
        problem: 'expected "owner", or none, got "grant"',
      },
    ])
  })

  it('is reported with all others of the file, by line', () => {
    const error = errorOf(
      `audit_log_path = "/x"\r\n[exec]\r\nenabled = true\r\nmax_stdot_bytes = 1\r\nmax_stdin_bytes = 0\r\n${ALLOW.replace('agent_id', 'agentid')}`,
    )
    const file = dir.path('exec-acl.toml')
    expect([error.code, error.line, error.key]).toEqual([
      'POLICY_FILE_INVALID',
      1,
      'audit_log_path',
    ])
    expect(error.mistakes.map(({ line, key }) => [line, key])).toEqual([
      [1, 'audit_log_path'],
      [4, 'exec.max_stdot_bytes'],
      [5, 'exec.max_stdin_bytes'],
      [7, 'exec.allow[0].agent_id'],
      [9, 'exec.allow[0].agentid'],
    ])
    expect(error.message).toBe(
      [
        `${file}: 5 mistakes`,
        ...error.mistakes.map(({ line, key, problem }) => `${file}:${line}: ${key}: ${problem}`),
      ].join('\n'),
    )
  })

  it('of syntax is reported with its line', () => {
    const error = errorOf('[exec]\nenabled = \n')
    expect([error.code, error.line, error.key]).toEqual(['POLICY_FILE_MALFORMED', 2, undefined])
    expect(error.message).toBe(`${dir.path('exec-acl.toml')}:2: not valid TOML: invalid value`)
  })

  it.each([
    ['', '""'],
    ['a\0b', '"a\\u0000b"'],
    [7, 'the number 7'],
    [null, 'null'],
  ])('is %j for its path', (path, got) => {
    expect(() => Reflect.apply(loadExecPolicy, undefined, [path])).toThrow(
      new TypeError(
        `path: expected the path of the policy file, or undefined for ${DEFAULT_EXEC_POLICY_PATH}, got ${got}`,
      ),
    )
  })

  it('is a file that is no text, or no file', () => {
    expect(errorOf(Buffer.from([0x5b, 0xff, 0xfe])).code).toBe('POLICY_FILE_UNREADABLE')
    mkdirSync(dir.path('folder'))
    expect(() => loadExecPolicy(dir.path('folder'))).toThrow(
      expect.objectContaining({
        code: 'POLICY_FILE_UNREADABLE',
        message: expect.stringMatching(/EISDIR/),
      }),
    )
  })
})
