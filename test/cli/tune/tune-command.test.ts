import type { ChildProcess } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { TuneReport } from '../../../src/cli/tune/report'
import { runCli, startCli as start } from '../../support/cli'
import { blocksOf } from '../../support/documents'
import { itWithMounts, privileged, unmount } from '../../support/privileged'
import { itWithStrace } from '../../support/strace'
import { useTempDir } from '../../support/temp-dir'
import { until } from '../../support/waiting'

const run = (args: readonly string[], wrapper?: readonly string[]) => runCli(args, '', wrapper)

const dir = useTempDir()
const disk = () => {
  const path = dir.path('disk')
  mkdirSync(path, { recursive: true })
  return path
}

/** What a run on another machine has saved. */
const OLD = {
  version: 1,
  command: 'tune',
  machine: { cpu: 'old', cores: 1, memoryGiB: 1, kernel: 'k', node: '20' },
  disk: { fileSystem: 'f', mountPoint: '/', device: 'd', writeCache: 'w', freeBytes: 1 },
  rate: 20,
  eventBytes: 350,
  raw: [],
  trials: [],
}

describe('tune', () => {
  it('measures, passes or fails, reports in each form, and leaves nothing behind', async () => {
    const saved = dir.path('saved.json')
    const html = dir.path('report.html')
    const old = dir.path('old.json')
    writeFileSync(old, JSON.stringify(OLD))
    const args = ['tune', '--dir', disk(), '--quick', '--rate', '20']
    const [passed, failed] = await Promise.all([
      run([...args, '--slo', 'p50=60s', '--json', '--save', saved, '--html', html]),
      run([...args, '--slo', 'max=1us', '--compare', old]),
    ])
    expect([passed.code, passed.stderr]).toEqual([0, ''])
    expect([failed.code, failed.stderr]).toEqual([1, ''])
    expect(readdirSync(disk())).toEqual([])

    expect(passed.stdout).toBe(readFileSync(saved, 'utf8'))
    expectWhole(JSON.parse(passed.stdout))
    expectAlone(readFileSync(html, 'utf8'))

    // No colours and no bar outside of a terminal.
    expect(failed.stdout.includes('\u001b')).toBe(false)
    expect(failed.stdout).toMatch(/^Machine {2}.+\nDisk {5}.+\nLoad {5}20 events\/s of 350 B\n/)
    expect(failed.stdout).toMatch(
      /\nFAIL {2}max within 1 µs at 20\/s\n.+\n.+\n\nnew ExecAudit\(policy, diagnostics, {\n {2}fsync: { maxDelayMs: [\d.]+(, maxEvents: 1)? },\n}\)\n\n/,
    )
    expect(failed.stdout).toMatch(
      /\nAnother machine was measured then: old, 1 cores, 1 GiB, k, Node 20\n/,
    )
    expect(failed.stdout).toMatch(
      /\nAnother disk was measured then: f on d at \/\nNothing moved by /,
    )
    expect(failed.stdout.endsWith(` more than 25 % since ${old}.\n`)).toBe(true)
  })

  it('takes the command of docs/tuning.md, and removes what it made when it is interrupted', async () => {
    const [, ...args] = blocksOf('docs/tuning.md', 'sh')[0]?.trim().split(' ').slice(1) ?? []
    const { child, end } = start(args.map((arg) => (arg === '/var/log/gateway' ? disk() : arg)))
    await madeTrial(child)
    child.kill('SIGINT')
    expect(await end).toEqual({
      code: 130,
      stdout: '',
      stderr: 'x0x-exec-audit: ended by SIGINT; its files are removed\n',
    })
    expect(readdirSync(disk())).toEqual([])
  })

  itWithMounts('refuses a disk that is memory', async () => {
    const memory = disk()
    privileged('mount', '-t', 'tmpfs', 'tmpfs', memory)
    try {
      const { code, stderr } = await run(['tune', '--dir', memory])
      expect([code, stderr]).toEqual([
        3,
        `x0x-exec-audit: ${memory} is on tmpfs (mounted at ${memory}), which is memory and not a disk: nothing there survives a power cut. Name a folder on the disk that the log will be on\n`,
      ])
    } finally {
      unmount(memory)
    }
  })

  itWithStrace('says what failed when the disk fails, and cleans up', async () => {
    const wrapper = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'inject=fdatasync:error=EIO']
    expect(await run(['tune', '--dir', disk(), '--quick'], wrapper)).toEqual({
      code: 3,
      stdout: '',
      stderr:
        'x0x-exec-audit: EIO: i/o error, fdatasync; the disk reports errors; see the kernel log\n',
    })
    expect(readdirSync(disk())).toEqual([])
  })

  it.each([
    [
      [],
      'x0x-exec-audit: name a folder on the disk that the log will be on (--help shows the usage)\n',
    ],
    [
      ['.', '--dir', '.'],
      'x0x-exec-audit: name a folder either as FOLDER or by --dir (--help shows the usage)\n',
    ],
    [
      ['--dir', '/nowhere/at/all'],
      "x0x-exec-audit: ENOENT: no such file or directory, stat '/nowhere/at/all' (--help shows the usage)\n",
    ],
    [[__filename], `x0x-exec-audit: ${__filename} is not a folder (--help shows the usage)\n`],
    [
      ['--dir', '.', '--html', '/nowhere/at/all.html'],
      "x0x-exec-audit: --html: ENOENT: no such file or directory, access '/nowhere/at' (--help shows the usage)\n",
    ],
    [
      ['--dir', '.', '--rate', '1.5'],
      'x0x-exec-audit: --rate: expected a whole number from 1 to 1000000, got 1.5 (--help shows the usage)\n',
    ],
    [
      ['--dir', '.', '--slo', 'p98=5ms'],
      'x0x-exec-audit: --slo: expected something like p99=5ms, got p98=5ms (--help shows the usage)\n',
    ],
    [
      ['--dir', '.', '--rat', '5'],
      "x0x-exec-audit: unknown option '--rat'; did you mean --rate? (--help shows the usage)\n",
    ],
  ])('refuses %j', async (args, stderr) => {
    expect(await run(['tune', ...args])).toEqual({ code: 2, stdout: '', stderr })
  })

  it('refuses one file for two things, and leaves it alone', async () => {
    const saved = dir.path('saved.json')
    writeFileSync(saved, JSON.stringify({ ...OLD, rate: 1_000 }))
    symlinkSync('saved.json', dir.path('link'))
    const link = dir.path('link')
    for (const [option, other] of [
      ['--html', '--compare'],
      ['--html', '--save'],
      ['--save', '--compare'],
    ] as const) {
      const { code, stderr } = await run(['tune', disk(), option, link, other, saved])
      expect([code, stderr]).toEqual([
        2,
        `x0x-exec-audit: ${option}: ${link} is ${other}, which it would overwrite; name another file (--help shows the usage)\n`,
      ])
    }
    expect(JSON.parse(readFileSync(saved, 'utf8')).rate).toBe(1_000)
    const { stderr } = await run(['tune', '--dir', disk(), '--save', '/dev/null/x'])
    expect(stderr).toMatch(/^x0x-exec-audit: --save: ENOTDIR: /)
  })

  it.each([
    ['{"version":1}', 'is no report of tune of version 1'],
    ['{"version":', 'is no report of tune of version 1'],
    [JSON.stringify(OLD), 'is of another load; measure with --rate 20 --event-bytes 350'],
  ])('refuses to compare with what is not of it: %s', async (text, why) => {
    const other = dir.path('other.json')
    writeFileSync(other, text)
    const { code, stderr } = await run(['tune', '--dir', disk(), '--compare', other])
    expect([code, stderr]).toEqual([
      2,
      `x0x-exec-audit: --compare: ${other} ${why} (--help shows the usage)\n`,
    ])
  })

  it('refuses a folder for a file before it measures', async () => {
    const { code, stderr } = await run(['tune', disk(), '--save', disk()])
    expect([code, stderr]).toEqual([
      2,
      `x0x-exec-audit: --save: ${disk()} is a folder; name a file (--help shows the usage)\n`,
    ])
  })

  it.each([
    ['/proc', 'proc'],
    ['/sys', 'sysfs'],
  ])('refuses %s, which holds no files', async (folder, name) => {
    expect(await run(['tune', folder])).toEqual({
      code: 3,
      stdout: '',
      stderr: `x0x-exec-audit: ${folder} is on ${name} (mounted at ${folder}), which is the kernel's own and holds no files. Name a folder on the disk that the log will be on\n`,
    })
  })
})

describe('the command', () => {
  it('lists what it can do, and shows the help of each', async () => {
    const help = await run(['--help'])
    expect([help.code, help.stderr]).toEqual([0, ''])
    expect(help.stdout).toMatch(/^Usage: x0x-exec-audit \[options] \[command]\n/)
    expect(help.stdout).toMatch(/\n {2}tune +measure a disk, and recommend fsync options/)
    const ofTune = await run(['help', 'tune'])
    expect(ofTune).toEqual(await run(['tune', '--help']))
    expect([ofTune.code, ofTune.stderr]).toEqual([0, ''])
    const options = [...ofTune.stdout.matchAll(/^ {2}(?:-h, )?--([a-z-]+)/gm)].map(
      ([, name]) => name,
    )
    expect(options).toEqual('dir,rate,event-bytes,slo,quick,json,html,save,compare,help'.split(','))
    expect(ofTune.stdout).toMatch(/\nExamples:\n {2}\$ x0x-exec-audit tune /)
  })

  it('says its version, and refuses what it does not know', async () => {
    const { version }: { version: string } = JSON.parse(
      readFileSync(join(__dirname, '../../../package.json'), 'utf8'),
    )
    expect(await run(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
    expect(await run(['tume'])).toEqual({
      code: 2,
      stdout: '',
      stderr:
        "x0x-exec-audit: unknown command 'tume'; did you mean tune? (--help shows the usage)\n",
    })
  })
})

/** Every cell of the sweep is there, with figures that can be. */
function expectWhole(report: TuneReport & { version: number; command: string }): void {
  expect(Object.keys(report)).toEqual(
    'version,command,machine,disk,rate,eventBytes,slo,warnings,raw,trials,again,verdict,options'.split(
      ',',
    ),
  )
  const { version, command, rate, eventBytes, slo, raw, trials, verdict } = report
  expect([version, command, rate, eventBytes, slo]).toEqual([
    ...[1, 'tune', 20, 350],
    { percentile: 'p50', ms: 60_000 },
  ])
  expect(raw.map(({ method, bytes }) => `${method} ${bytes}`)).toEqual(
    [350, 8_192, 65_536].flatMap((bytes) =>
      ['fdatasync', 'fsync', 'O_DSYNC'].map((m) => `${m} ${bytes}`),
    ),
  )
  expect(raw.filter(({ ms }) => !(ms.p50 > 0 && ms.p50 <= ms.p99 && ms.p99 <= ms.max))).toEqual([])
  // A very slow disk leaves out the later settings; the plainest is always there.
  expect(trials.slice(0, 4).map(({ load, rate }) => `${load} ${rate}`)).toEqual([
    ...['half 10', 'rate 20', 'twice 40', 'most null'],
  ])
  const odd = trials.filter(
    ({ achieved, ackMs, callUs, eventsPerSync, syncsPerSecond, syncP50Ms, ringBytesMax }) =>
      !(ackMs.p50 > 0 && ackMs.p50 <= ackMs.p99 && ackMs.p99 <= ackMs.p999) ||
      !(ackMs.p999 <= ackMs.max && achieved > 0 && callUs > 0 && eventsPerSync >= 0.9) ||
      !(syncsPerSecond > 0 && syncP50Ms > 0 && ringBytesMax > 350),
  )
  expect(odd).toEqual([])
  const singles = trials.filter(({ setting }) => setting.maxEvents === 1)
  expect(singles.filter(({ eventsPerSync }) => eventsPerSync !== 1)).toEqual([])
  expect(verdict.pass).toBe(true)
}

/** The page holds its charts, and asks nobody for anything. */
function expectAlone(page: string): void {
  expect(page.startsWith('<!doctype html>\n')).toBe(true)
  expect(page.match(/<svg /g)?.length).toBe(4)
  expect(page).toContain('<span class="pass">PASS</span> p50 within 60 s at 20/s')
  expect(page.replaceAll('xmlns="http://www.w3.org/2000/svg"', '')).not.toMatch(
    /https?:|<script|<link|<img|src=|@import|url\(|NaN|undefined/,
  )
}

/** Resolves when the child has begun to write its first trial's log. */
async function madeTrial(child: ChildProcess): Promise<void> {
  const isWriting = () =>
    readdirSync(disk()).some((name) => existsSync(join(disk(), name, 'trial.log')))
  await until('it writes nothing', () => isWriting() || child.exitCode !== null)
  if (!isWriting()) throw new Error('it has ended before its first trial')
}
